"""LDAP: set-option, connect, bind, find, mod-add, mod-del, mod-replace; `u(…)` is Active Directory's form."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from executors.contract import Encoder, Text
from executors.language.findings import Finding, finding
from executors.language.lines import Directive, argument, directive, first_word
from executors.language.source import Line
from executors.language.steps import Option, Step
from executors.language.tags import text_of, text_with_encoder

UTF16 = re.compile(r"u\((.*)\)", re.DOTALL)
OPTIONS: Final = {"LDAP_OPT_PROTOCOL_VERSION": frozenset("3"), "LDAP_OPT_REFERRALS": frozenset("01")}
VERBS: Final = frozenset({"set-option", "connect", "bind", "find", "mod-add", "mod-del", "mod-replace"})


class Form(StrEnum):
    PLAIN = "plain"
    UNICODE_PASSWORD = "unicode"  # noqa: S105 - in double quotes, UTF-16LE (MS-ADTS 3.1.1.3.1.5)


class Change(StrEnum):
    ADD = "mod-add"
    DELETE = "mod-del"
    REPLACE = "mod-replace"


@dataclass(frozen=True, slots=True)
class Connect(Step):
    """`None` is the device itself."""

    target: Text | None

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.target,) if self.target else ()


@dataclass(frozen=True, slots=True)
class Bind(Step):
    """With the password of the credential that logs in."""

    name: Text

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.name,)


@dataclass(frozen=True, slots=True)
class Find(Step):
    """Exactly one entry."""

    base: Text
    filter: Text

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.base, self.filter)


@dataclass(frozen=True, slots=True)
class Modify(Step):
    """Of the entry found last."""

    change: Change
    attribute: str
    value: Text
    form: Form

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.value,)


def name_part(value: str) -> str:
    """One value within a distinguished name, RFC 4514 2.4."""
    out = "".join(DN_ESCAPES.get(char, char) for char in value)
    if value[:1] in (" ", "#"):
        out = "\\" + out
    if value.endswith(" ") and len(value) > 1:
        out = out[:-1] + "\\ "
    return out


DN_ESCAPES: Final = {**{char: "\\" + char for char in '"+,;<>\\='}, "\0": "\\00", "\n": "\\0a", "\r": "\\0d"}


def filter_part(value: str) -> str:
    """One assertion value of a filter, RFC 4515 3."""
    return "".join(f"\\{ord(char):02x}" if char in "*()\\\0" else char for char in value)


ENCODERS: Final[Mapping[str, Encoder]] = {"ldap-name": name_part, "ldap-filter": filter_part}


def parse(lines: Sequence[Line], notes: list[Finding]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for found in _logical(lines, notes):
        steps += _step(found, any(isinstance(step, Find) for step in steps), notes)
    return tuple(steps)


def _logical(lines: Sequence[Line], notes: list[Finding]) -> list[Directive]:
    """Directives; a line that is none and follows a `find` goes on with its filter."""
    found: list[Directive] = []
    for line in lines:
        if not line.says_something:
            continue
        one = directive(line)
        if one is not None and one.word in VERBS:
            found.append(one)
        elif found and found[-1].word == "find":
            last = found[-1]
            found[-1] = Directive(last.line, last.word, f"{last.rest.rstrip()} {line.text.strip()}")
        else:
            notes.append(finding("unknown-directive", line.number))
    return found


def _step(found: Directive, has_entry: bool, notes: list[Finding]) -> list[Step]:
    if found.word == "connect":
        said = argument(found, notes).string.strip()
        return [Connect(found.line, None if said.lower() in ("", "null") else text_of(said))]
    if not found.rest.strip():
        notes.append(finding("missing-argument", found.line))
        return []
    if found.word == "bind":
        return [Bind(found.line, text_with_encoder(argument(found, notes).string, "ldap-name"))]
    first, rest = first_word(found.rest)
    value = argument(Directive(found.line, found.word, rest), notes)
    if found.word == "set-option":
        if value.string.strip() not in OPTIONS.get(first.upper(), frozenset()):
            notes.append(finding("unknown-option", found.line))
        return [Option(found.line, found.word, (text_of(first), text_of(value.string)))]
    if not value.raw:
        notes.append(finding("missing-argument", found.line))
        return []
    if found.word == "find":
        if not value.quoted:
            notes.append(finding("unquoted-filter", found.line))
        base = text_with_encoder(first, "ldap-name")
        return [Find(found.line, base, text_with_encoder(_joined(value.string), "ldap-filter"))]
    if not has_entry:
        notes.append(finding("modify-before-find", found.line))
    return [_modify(found, first, value.string, notes)]


def _modify(found: Directive, attribute: str, value: str, notes: list[Finding]) -> Modify:
    if attribute.lower() == "useraccountcontrol":
        notes.append(finding("overwrites-account-flags", found.line))
    unicode_form = UTF16.fullmatch(value)
    text = text_of(unicode_form[1] if unicode_form else value)
    form = Form.UNICODE_PASSWORD if unicode_form else Form.PLAIN
    return Modify(found.line, Change(found.word), attribute, text, form)


def _joined(filter_text: str) -> str:
    """A filter broken over lines: blanks between its brackets mean nothing."""
    return re.sub(r"(?<=[()&|!])\s+(?=\()|(?<=\))\s+(?=\))", "", filter_text.strip())
