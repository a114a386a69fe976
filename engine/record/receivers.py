"""Receivers of notices: where they are, what they want, and whether they get it.

One that is disabled misses nothing: when it is enabled it gets what it missed, as far as notices are kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from cryptography.x509 import load_pem_x509_certificates
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    update,
)

from engine.record import audit
from engine.record.catalogue import KINDS
from engine.record.models import delivery, outbox, outbox_head, receiver
from engine.record.urls import Place, parse
from engine.store.clock import now
from engine.store.errors import KeyturnError, Kind
from engine.store.statements import insert_unless_there

SYSLOG: Final = "syslog"
WEBHOOK: Final = "webhook"
SCHEMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {SYSLOG: ("tls", "tcp", "udp"), WEBHOOK: ("https", "http")}
)
# The first of each kind is taken if none is said.
FORMATS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {SYSLOG: ("rfc5424", "cef"), WEBHOOK: ("cloudevents",)}
)
OPTIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {SYSLOG: ("ca", "facility", "max_bytes"), WEBHOOK: ("ca", "cleartext")}
)
ENCRYPTED: Final = ("tls", "https")
FACILITIES: Final = range(24)  # RFC 5424, 6.2.1
LENGTHS: Final = range(480, 65_536)  # bytes; RFC 5424, 6.1: every receiver takes 480
MAX_CA: Final = 256 * 1024
MAX_PATTERNS: Final = 64
ALL: Final = "*"
_NAME: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,62}[A-Za-z0-9_])?")
_PATTERN: Final = re.compile(r"(?=.{1,64}\Z)(\*|[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*(\.\*)?)")


class BadReceiver(KeyturnError):
    """A field holds what it cannot hold."""

    code = "bad_receiver"
    kind = Kind.INVALID

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem}")


class UnknownReceiver(KeyturnError):
    code = "unknown_receiver"
    kind = Kind.NOT_FOUND

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no receiver {name!r}; add it with `keyturn receiver add`")


class DuplicateReceiver(KeyturnError):
    code = "duplicate_receiver"
    kind = Kind.CONFLICT

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a receiver {name!r} already; choose another name, or remove that one")


@dataclass(frozen=True, slots=True)
class NewReceiver:
    """`format` None: the usual one of the kind. `options`: `ca` (PEM), `facility` and `max_bytes` of syslog,
    `cleartext` of webhooks. `secret` is a webhook's signing key, sealed to the zone."""

    name: str
    kind: str
    zone: str
    url: str
    format: str | None = None
    kinds: Sequence[str] = (ALL,)
    options: Mapping[str, Any] = field(default_factory=dict)
    secret: bytes | None = None
    from_start: bool = False


@dataclass(frozen=True, slots=True)
class Receiver:
    """Moments are seconds since 1970-01-01 UTC. `waiting` and `dead` count a webhook's deliveries."""

    id: int
    name: str
    kind: str
    zone: str
    url: str
    format: str
    kinds: tuple[str, ...]
    options: Mapping[str, Any]
    enabled: bool
    sent: int
    settled: int
    failures: int
    due: float
    error: str | None
    delivered_at: float | None
    created: float
    waiting: int
    dead: int


def wants(kinds: Sequence[str], kind: str) -> bool:
    """Whether one of the patterns fits the notice: `*`, `operation.*`, or the kind itself."""
    return any(
        pattern in (ALL, kind) or (pattern.endswith(".*") and kind.startswith(pattern[:-1]))
        for pattern in kinds
    )


# Managing


def add(connection: Connection, actor: str, new: NewReceiver) -> Receiver:
    """It gets what happens from now on, or, `from_start`, all that is kept. The caller checked the zone.

    Raises BadReceiver, BadUrl, DuplicateReceiver.
    """
    values = _checked(new)
    head = _locked_head(connection)
    start = 0 if new.from_start else head
    moments = {"due": now(), "created": now()}
    values |= {"sent": start, "settled": start, **moments}
    if insert_unless_there(connection, receiver, values, ["name"]) is None:
        raise DuplicateReceiver(new.name)
    made = get(connection, new.name)
    if new.kind == WEBHOOK and new.from_start:
        _queue_missed(connection, made)
    details = {"kind": made.kind, "zone": made.zone, "to": _place(made.kind, made.url).origin}
    details |= {"format": made.format, "kinds": " ".join(made.kinds)}
    _write_down(connection, actor, "add", made.name, details | {"from_start": new.from_start})
    return get(connection, new.name)


def list_all(connection: Connection) -> list[Receiver]:
    return [_receiver(row) for row in connection.execute(_SELECT.order_by(receiver.c.name))]


def get(connection: Connection, name: str) -> Receiver:
    """Raises UnknownReceiver."""
    row = connection.execute(_SELECT.where(receiver.c.name == name)).one_or_none()
    if row is None:
        raise UnknownReceiver(name)
    return _receiver(row)


def enable(connection: Connection, actor: str, name: str) -> Receiver:
    """Send again, from where it was disabled on. Raises UnknownReceiver."""
    _locked_head(connection)
    found = locked(connection, name)
    if not found.enabled:
        _set(connection, found.id, enabled=True, failures=0, error=None, due=now())
        begin_anew(connection, delivery.c.receiver_id == found.id, delivery.c.state == "waiting")
        if found.kind == WEBHOOK:
            _queue_missed(connection, found)
        _write_down(connection, actor, "enable", name)
    return get(connection, name)


def disable(connection: Connection, actor: str, name: str) -> Receiver:
    """Send nothing until it is enabled. What is on its way at this moment still arrives.

    Raises UnknownReceiver.
    """
    head = _locked_head(connection)
    found = locked(connection, name)
    if found.enabled:
        # Up to here its notices are queued; what is numbered from now on is queued when it is enabled.
        stopped = {"sent": head} if found.kind == WEBHOOK else {}
        _set(connection, found.id, enabled=False, **stopped)
        _write_down(connection, actor, "disable", name)
    return get(connection, name)


def remove(connection: Connection, actor: str, name: str) -> None:
    """With all that waits for it. Raises UnknownReceiver."""
    found = locked(connection, name)
    connection.execute(delete(delivery).where(delivery.c.receiver_id == found.id))
    connection.execute(delete(receiver).where(receiver.c.id == found.id))
    _write_down(connection, actor, "remove", name, {"undelivered": found.waiting + found.dead})


def locked(connection: Connection, name: str) -> Receiver:
    """The receiver, which nobody else changes until the transaction ends. Raises UnknownReceiver."""
    connection.execute(select(receiver.c.id).where(receiver.c.name == name).with_for_update())
    return get(connection, name)


def begin_anew(connection: Connection, *which: ColumnElement[bool]) -> int:
    """Let these deliveries be tried as if they were new; return how many."""
    fresh = {"state": "waiting", "tries": 0, "due": now(), "created": now(), "finished": None, "error": None}
    statement = update(delivery).where(*which).values(**fresh).returning(delivery.c.id)
    return len(connection.execute(statement).all())


def _locked_head(connection: Connection) -> int:
    """The last number given; none is given until the transaction ends, so that no notice is missed."""
    return int(connection.execute(select(outbox_head.c.sequence).with_for_update()).scalar_one())


def _queue_missed(connection: Connection, found: Receiver) -> None:
    """Deliveries of a webhook for all numbered notices after `sent` that it wants and that are kept."""
    fitting = or_(*(_fits(pattern) for pattern in found.kinds))
    missed = select(
        outbox.c.id, literal(found.id), literal(found.url), literal("waiting"), literal(0), now(), now()
    ).where(outbox.c.sequence > found.sent, fitting)
    columns = ["notice_id", "receiver_id", "url", "state", "tries", "due", "created"]
    connection.execute(insert(delivery).from_select(columns, missed, include_defaults=False))


def _fits(pattern: str) -> ColumnElement[bool]:
    if pattern == ALL:
        return true()
    if pattern.endswith(".*"):
        return outbox.c.kind.startswith(pattern[:-1], autoescape=True)
    return outbox.c.kind == pattern


def _set(connection: Connection, receiver_id: int, **values: Any) -> None:
    connection.execute(update(receiver).where(receiver.c.id == receiver_id).values(**values))


def _write_down(
    connection: Connection, actor: str, what: str, name: str, details: Mapping[str, Any] | None = None
) -> None:
    audit.write(
        connection, actor=actor, action=f"receiver.{what}", object=f"receiver {name}", details=details
    )


# Reading


def _count(state: str) -> Any:
    mine = select(func.count()).where(delivery.c.receiver_id == receiver.c.id, delivery.c.state == state)
    return mine.scalar_subquery().label(state)


_OWN: Final = [name for name in Receiver.__dataclass_fields__ if name in receiver.c]
_SELECT: Final[Select[*tuple[Any, ...]]] = select(
    *(receiver.c[name] for name in _OWN), _count("waiting"), _count("dead")
)


def _receiver(row: Row[*tuple[Any, ...]]) -> Receiver:
    values = dict(row._mapping)
    return Receiver(**values | {"kinds": tuple(values["kinds"])})


# Checking


def _checked(new: NewReceiver) -> dict[str, Any]:
    """The columns. Raises BadReceiver, BadUrl."""
    if not _NAME.fullmatch(new.name):
        raise BadReceiver("name", "write 1 to 64 letters, digits, '.', '-' or '_'")
    if new.kind not in SCHEMES:
        raise BadReceiver("kind", f"write one of {', '.join(SCHEMES)}")
    place = _place(new.kind, new.url)
    chosen = new.format or FORMATS[new.kind][0]
    if chosen not in FORMATS[new.kind]:
        raise BadReceiver("format", f"a {new.kind} receiver takes {' or '.join(FORMATS[new.kind])}")
    options = dict(new.options)
    for name, value in options.items():
        _check_option(new.kind, place, name, value)
    if place.scheme == "http" and not place.loopback and options.get("cleartext") is not True:
        raise BadReceiver(
            "url", "http:// shows notices to whoever listens; write https://, or opt in: `cleartext`"
        )
    return {
        **{"name": new.name, "kind": new.kind, "zone": new.zone, "url": new.url, "format": chosen},
        **{"options": options, "kinds": _patterns(new.kinds), "secret": new.secret},
        **{"enabled": True, "failures": 0},
    }


def _place(kind: str, url: str) -> Place:
    place = parse(url, SCHEMES[kind])
    if place.port is None:
        raise BadReceiver("url", f"write {place.scheme}://HOST:PORT, such as port 6514 of syslog over TLS")
    if kind == SYSLOG and place.target != "/":
        raise BadReceiver("url", f"a {kind} receiver has no path; write {place.scheme}://HOST:PORT")
    return place


def _patterns(kinds: Sequence[str]) -> list[str]:
    if not 1 <= len(kinds) <= MAX_PATTERNS:
        raise BadReceiver("kinds", f"give 1 to {MAX_PATTERNS} patterns; `*` is all notices")
    for pattern in kinds:
        if not _PATTERN.fullmatch(pattern):
            raise BadReceiver("kinds", "write `*`, all of a sort (`operation.*`), or one kind of notice")
        if not any(wants((pattern,), each.name) for each in KINDS):
            raise BadReceiver("kinds", f"no notice fits {pattern}; docs/notices.md lists them")
    return list(dict.fromkeys(kinds))


def _check_option(kind: str, place: Place, name: str, value: object) -> None:
    if name not in OPTIONS[kind]:
        raise BadReceiver("options", f"a {kind} receiver takes {', '.join(OPTIONS[kind])} and nothing else")
    if fault := _CHECKS[name](place, value):
        raise BadReceiver(f"options.{name}", fault)


def _ca_fault(place: Place, value: object) -> str | None:
    if place.scheme not in ENCRYPTED:
        return f"{place.scheme}:// has no certificates; leave it out, or write {' or '.join(ENCRYPTED)}"
    if not isinstance(value, str) or len(value) > MAX_CA:
        return f"give PEM text of at most {MAX_CA // 1024} KiB"
    try:
        load_pem_x509_certificates(value.encode("utf-8", "replace"))
    except ValueError:
        return "it holds no certificate in PEM (-----BEGIN CERTIFICATE-----), or a damaged one"
    return "it holds a private key; give certificates alone" if "PRIVATE KEY" in value else None


def _facility_fault(_: Place, value: object) -> str | None:
    return None if _is_in(value, FACILITIES) else f"write a number from 0 to {FACILITIES[-1]}"


def _max_bytes_fault(_: Place, value: object) -> str | None:
    return None if _is_in(value, LENGTHS) else f"write a number from {LENGTHS[0]} to {LENGTHS[-1]}"


def _cleartext_fault(_: Place, value: object) -> str | None:
    return None if isinstance(value, bool) else "write true or false"


def _is_in(value: object, numbers: range) -> bool:
    return type(value) is int and value in numbers


_CHECKS: Final = MappingProxyType(
    {
        "ca": _ca_fault,
        "facility": _facility_fault,
        "max_bytes": _max_bytes_fault,
        "cleartext": _cleartext_fault,
    }
)
