"""cURL requests, and the older form browser that templates of the same executor were written in once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from executors.contract import Text
from executors.language.findings import Finding, finding
from executors.language.lines import Directive, argument, directive, first_word
from executors.language.source import Line
from executors.language.steps import Option, Step
from executors.language.tags import text_of
from executors.language.terminal import Read, expect, forbid, forbid_spelt_otherwise, option

METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Request(Step):
    """Make the request that the settings above describe. Legacy: fetch the page."""

    url: Text

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.url,)


@dataclass(frozen=True, slots=True)
class SelectForm(Step):
    """Choose the page's form by its submit button."""

    button: Text

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.button,)


@dataclass(frozen=True, slots=True)
class Field(Step):
    """Set one field of the form chosen; hidden ones keep their values."""

    name: Text
    value: Text

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.name, self.value)


@dataclass(frozen=True, slots=True)
class Submit(Step):
    pass


def _one(make: Callable[[int, Text], Step]) -> Read:
    def read(found: Directive, notes: list[Finding]) -> Step | None:
        text = argument(found, notes).text
        if not text:
            notes.append(finding("missing-argument", found.line))
            return None
        return make(found.line, text)

    return read


def _fill(found: Directive, notes: list[Finding]) -> Step | None:
    name, rest = first_word(found.rest)
    value = argument(Directive(found.line, found.word, rest), notes)
    if not name:
        notes.append(finding("missing-argument", found.line))
        return None
    if not value.raw:
        notes.append(finding("fill-without-value", found.line))
    return Field(found.line, text_of(name), value.text)


def _submit(found: Directive, notes: list[Finding]) -> Step:  # noqa: ARG001 - one signature for all
    return Submit(found.line)


def _method(found: Directive, notes: list[Finding]) -> Step | None:
    said = argument(found, notes).string.strip().upper()
    if said not in METHODS:
        notes.append(finding("bad-choice", found.line, ", ".join(sorted(METHODS))))
        return None
    return Option(found.line, found.word, (text_of(said),))


CHECKS: Final[Mapping[str, Read]] = {
    "expect": expect,
    "no-expect": forbid,
    "noexpect": forbid_spelt_otherwise,
    "not-expect": forbid_spelt_otherwise,
}
REQUESTS: Final[Mapping[str, Read]] = {
    **CHECKS,
    "set-disable-auth": option(0),
    "set-request-header": option(2),
    "set-request-param": option(2),
    "set-request-content": option(1),
    "set-content-type": option(1),
    "set-request-method": _method,
    "set-oauth2": option(3),
    "request": _one(Request),
}
FORMS: Final[Mapping[str, Read]] = {
    **CHECKS,
    "get": _one(Request),
    "select-button": _one(SelectForm),
    "fill-form": _fill,
    "submit": _submit,
}


def parse(lines: Sequence[Line], notes: list[Finding]) -> tuple[Step, ...]:
    steps = _read(lines, REQUESTS, notes)
    if steps and not any(isinstance(step, Request) for step in steps):
        notes.append(finding("no-request", 0))
    return steps


def parse_forms(lines: Sequence[Line], notes: list[Finding]) -> tuple[Step, ...]:
    return _read(lines, FORMS, notes)


def _read(lines: Sequence[Line], table: Mapping[str, Read], notes: list[Finding]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for line in lines:
        if not line.says_something:
            continue
        found = directive(line)
        if found is None or found.word not in table:
            notes.append(finding("unknown-directive", line.number))
            continue
        step = table[found.word](found, notes)
        steps += [] if step is None else [step]
    return tuple(steps)
