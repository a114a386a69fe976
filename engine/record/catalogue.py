"""Every kind of notice that leaves the engine: its stable number, severity, fields and one-line text.

Receivers match on these numbers and names, so neither is ever given to something else. Severities are those
of RFC 5424, table 2: 0 emergency … 7 debug. `docs/notices.md` is written from here: `python -m
engine.record.catalogue > docs/notices.md`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engine.record.audit import Scalar

ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFORMATION = range(1, 7)
SEVERITIES = ("emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug")

# Classes of OCSF 1.3 (schema.ocsf.io) that an importer maps a kind to.
ACCOUNT_CHANGE, ENTITY_MANAGEMENT, APPLICATION_LIFECYCLE, APPLICATION_ERROR = 3001, 3004, 6002, 6008


@dataclass(frozen=True, slots=True)
class Field:
    """`cef` is a key of CEF's extension dictionary; without one the key is `keyturn` and the name."""

    type: type[str | int | float | bool]
    meaning: str
    cef: str = ""


FIELDS: Mapping[str, Field] = {
    "operation": Field(
        int, "ties everything that belongs to one operation: its trigger, its attempts", "cn1"
    ),
    "parent_operation": Field(int, "the operation whose commit caused this one: ties a cascade", "cn2"),
    "credential": Field(str, "whose secret: `USER@DEVICE`", "duser"),
    "device": Field(str, "the device's name in the catalog", "dhost"),
    "zone": Field(str, "whose workers do it"),
    "action": Field(str, "what was asked for: `change_secret`, `verify` …", "act"),
    "state": Field(str, "the operation's state from now on"),
    "outcome": Field(str, "the typed end of the last attempt: `ok`, `unreachable`, `bad_login` …", "outcome"),
    "trigger": Field(str, "what asked for the operation: `manual`, `parent_changed` …"),
    "requester": Field(str, "who asked for the operation", "suser"),
    "attempt": Field(int, "the newest attempt's number within the operation; 0 before the first", "cn3"),
    "principal": Field(str, "who did it", "suser"),
    "reason": Field(str, "why, in the words of whoever decided", "reason"),
    "version": Field(int, "the number of the secret's version"),
    "worker": Field(str, "the worker process: its host, boot and process id", "sproc"),
    "every": Field(float, "seconds until the next one is due; longer silence is an alarm"),
    "sequence": Field(int, "the last sealed entry's number in the audit chain"),
    "hash": Field(str, "that entry's hash: keep it where nobody can rewrite it together with the database"),
    "unsealed": Field(int, "committed audit entries that are not in the chain yet"),
    "receiver": Field(str, "the receiver's name"),
    "failures": Field(int, "how often in a row it failed"),
    "error": Field(str, "the last failure, and what to do about it", "reason"),
    "behind": Field(int, "notices that this receiver still has to get"),
    "credentials": Field(int, "how many credentials must be proven anew"),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """`fields` are all that its payload has, always; a name that ends in `?` may be null.

    `version` grows by one when a field changes its meaning, its type, or goes; new fields only add.
    """

    id: int
    name: str
    severity: int
    text: str
    fields: tuple[str, ...]
    ocsf: int
    version: int = 1

    def shown(self, fields: Mapping[str, Scalar]) -> str:
        """The one-line text with the fields in it; `?` for what an older row does not have."""
        known = {name: value for name, value in fields.items() if value is not None}
        return self.text.format_map(_Shown(known))

    @property
    def types(self) -> dict[str, tuple[type[str | int | float | bool], bool]]:
        """By field: its type, and whether it may be null."""
        names = ((field.removesuffix("?"), field.endswith("?")) for field in self.fields)
        return {name: (FIELDS[name].type, nullable) for name, nullable in names}


class _Shown(dict[str, Scalar]):
    """Only whole names are looked up, and values are only inserted: no text of a field is ever a format."""

    def __missing__(self, key: str) -> str:
        return "?"


_ASKED = ("credential", "device", "zone", "action", "trigger", "requester", "parent_operation?")
_STATE = (*_ASKED, "attempt", "state", "outcome?")

# What a row of a kind that is not listed (any more) goes out as.
UNKNOWN = Kind(1, "unlisted", NOTICE, "a notice of a kind that this release does not list", (), 0)

KINDS = (
    Kind(
        100,
        "operation.accepted",
        INFORMATION,
        "{requester} asked for {action} of {credential}",
        ("credential", "action", "trigger", "requester", "parent_operation?", "state"),
        ACCOUNT_CHANGE,
    ),
    Kind(
        101,
        "operation.scheduled",
        INFORMATION,
        "{action} of {credential} will be tried again",
        _STATE,
        ACCOUNT_CHANGE,
    ),
    Kind(
        102,
        "operation.waiting_approval",
        NOTICE,
        "{action} of {credential} waits for approval",
        _STATE,
        ACCOUNT_CHANGE,
    ),
    Kind(103, "operation.running", INFORMATION, "{action} of {credential} has begun", _STATE, ACCOUNT_CHANGE),
    Kind(104, "operation.succeeded", NOTICE, "{action} of {credential} succeeded", _STATE, ACCOUNT_CHANGE),
    Kind(
        105, "operation.failed", ERROR, "{action} of {credential} failed: {outcome}", _STATE, ACCOUNT_CHANGE
    ),
    Kind(
        106,
        "operation.in_doubt",
        WARNING,
        "{action} of {credential} was sent, and what is in force is not known yet: {outcome}",
        _STATE,
        ACCOUNT_CHANGE,
    ),
    Kind(
        107, "operation.canceled", NOTICE, "{action} of {credential} was called off", _STATE, ACCOUNT_CHANGE
    ),
    Kind(
        108,
        "operation.expired",
        WARNING,
        "{action} of {credential} was not begun in time",
        _STATE,
        ACCOUNT_CHANGE,
    ),
    Kind(
        110,
        "operation.needs_person",
        CRITICAL,
        "{action} of {credential} waits for a person: no stored secret was seen to open it",
        (*_ASKED, "attempt"),
        ACCOUNT_CHANGE,
    ),
    Kind(
        111,
        "operation.not_saved",
        WARNING,
        "the new secret of {credential} is in force, but not saved on {device}",
        (*_ASKED, "attempt"),
        ACCOUNT_CHANGE,
    ),
    Kind(
        200,
        "attempt.failed",
        WARNING,
        "attempt {attempt} at {action} of {credential} did not succeed: {outcome}; the operation goes on",
        (*_ASKED, "attempt", "outcome"),
        ACCOUNT_CHANGE,
    ),
    Kind(
        300,
        "secret.break_glass",
        ALERT,
        "{principal} asked for the secret of {credential} in an emergency",
        ("credential", "principal"),
        ENTITY_MANAGEMENT,
    ),
    Kind(
        301,
        "secret.revealed",
        NOTICE,
        "{principal} was shown version {version} of the secret of {credential}",
        ("credential", "principal", "version", "reason"),
        ENTITY_MANAGEMENT,
    ),
    Kind(
        400,
        "engine.heartbeat",
        INFORMATION,
        "the engine lives; its next sign of life is due in {every} seconds",
        ("worker", "zone", "every"),
        APPLICATION_LIFECYCLE,
    ),
    Kind(
        401,
        "audit.checkpoint",
        INFORMATION,
        "audit entry {sequence} has the hash {hash}",
        ("sequence", "hash", "unsealed"),
        APPLICATION_LIFECYCLE,
    ),
    Kind(
        402,
        "engine.restored",
        CRITICAL,
        "the database is an older copy: {credentials} credentials must be proven before any is changed",
        ("credentials",),
        APPLICATION_LIFECYCLE,
    ),
    Kind(
        500,
        "worker.started",
        NOTICE,
        "worker {worker} of zone {zone} has started",
        ("worker", "zone"),
        APPLICATION_LIFECYCLE,
    ),
    Kind(
        501,
        "worker.stopped",
        NOTICE,
        "worker {worker} of zone {zone} has stopped: {reason}",
        ("worker", "zone", "reason"),
        APPLICATION_LIFECYCLE,
    ),
    Kind(
        502,
        "worker.lost",
        ERROR,
        "worker {worker} of zone {zone} is silent and counts as gone",
        ("worker", "zone"),
        APPLICATION_ERROR,
    ),
    Kind(
        510,
        "zone.without_worker",
        CRITICAL,
        "zone {zone} has no worker: nothing is done in it",
        ("zone",),
        APPLICATION_ERROR,
    ),
    Kind(
        600,
        "receiver.failing",
        ERROR,
        "receiver {receiver} got nothing for {failures} tries, {behind} notices wait: {error}",
        ("receiver", "zone", "failures", "behind", "error"),
        APPLICATION_ERROR,
    ),
    Kind(
        700,
        "device.paused",
        NOTICE,
        "{principal} paused changes on {device}: {reason}",
        ("device", "principal", "reason"),
        ENTITY_MANAGEMENT,
    ),
)

_BY_NAME = {kind.name: kind for kind in KINDS}


def kind_of(name: str) -> Kind:
    """UNKNOWN for a name that is not listed."""
    return _BY_NAME.get(name, UNKNOWN)


def faults(name: str, payload: Mapping[str, Scalar]) -> list[str]:
    """What a payload of that kind has that it should not have, or lacks; empty if it is as declared."""
    if name not in _BY_NAME:
        return [f"{name} is not in the catalogue"]
    declared = _BY_NAME[name].types
    found = [f"{name}: {field} is missing" for field in declared if field not in payload]
    found += [f"{name}: {field} is not declared" for field in payload if field not in declared]
    for field in declared.keys() & payload.keys():
        kind, nullable = declared[field]
        value = payload[field]
        if not (nullable if value is None else type(value) is kind):
            found.append(f"{name}: {field} is a {type(value).__name__}, not a {kind.__name__}")
    return found


def page() -> Iterator[str]:
    """The lines of docs/notices.md."""
    yield from _INTRODUCTION.splitlines()
    for kind in sorted(KINDS, key=lambda each: each.id):
        row = (kind.id, f"`{kind.name}`", SEVERITIES[kind.severity], kind.text, _listed(kind), kind.version)
        yield "| " + " | ".join(str(cell) for cell in (*row, kind.ocsf)) + " |"
    yield from _BEFORE_FIELDS.splitlines()
    for name, field in FIELDS.items():
        yield f"| `{name}` | {field.type.__name__} | `{cef_key(name)}` | {field.meaning} |"


def cef_key(name: str) -> str:
    """The extension key of a field; CEF allows letters and digits only."""
    known = FIELDS.get(name)
    if known is not None and known.cef:
        return known.cef
    return "keyturn" + "".join(part.capitalize() for part in name.split("_"))


def _listed(kind: Kind) -> str:
    return ", ".join(f"`{field}`" for field in kind.fields)


_INTRODUCTION = """\
# Notices

What the engine tells SIEM and webhooks, written from `engine/record/catalogue.py`; change it there.

Notices are numbered without gaps, in the order in which all receivers get them. **A number and the
incarnation belong together**: a database that is restored from an older copy draws a new incarnation and
gives numbers anew. Notices come *at least once*: after a break the last ones are sent again, under the same
numbers. A receiver that gets all kinds sees from the numbers what is missing and what came twice; one that
gets some kinds sees only what came twice.

An attempt that failed is not an operation that failed: `attempt.failed` says that the operation goes on.
`engine.heartbeat` comes as often as the setting `heartbeat` says; make its absence an alarm. No notice holds
a secret.

## Syslog

RFC 5424, facility 13 (log audit) unless the receiver says otherwise, MSGID the kind. Over TLS as RFC 5425
has it and over TCP with the same octet counting. Over UDP whatever is lost is lost, and nobody hears of it.
`[keyturn@32473 …]` holds `seq` (the number), `incarnation`, `schema` (the kind's version) and the fields;
32473 is the enterprise number of examples (RFC 5612), until Keyturn has its own. `[meta sequenceId]` is the
number too, but wraps after 2147483647. Control characters in fields are shown as their pictures (`␊`).

CEF stands inside the same header. There `externalId` is the number and `deviceExternalId` the incarnation.

Syslog has no answer. A notice counts as arrived when the connection it went over has stayed open for ten
seconds and the receiver's kernel has taken everything; until then it is sent again after a break. A receiver
that dies with what it has not read for longer than that loses it, and the gap in the numbers shows it.

A message longer than the receiver's `max_bytes` (8192 unless it says otherwise, over UDP 2048 at most) has
its longest fields end in `…`, then lacks the last ones.

## Kinds

The first column is CEF's signature id and is never given to another kind. A field that ends in `?` may be
absent. `operation` stands beside the listed fields wherever a notice belongs to an operation. Kinds that
this release does not list go out with the number 1. OCSF is the class to import as.

| id | kind | severity | text | fields | version | OCSF |
| --- | --- | --- | --- | --- | --- | --- |"""

_BEFORE_FIELDS = """
## Fields

| field | type | CEF key | meaning |
| --- | --- | --- | --- |"""

if __name__ == "__main__":
    print("\n".join(page()))
