"""HTTP: a real browser is led through pages. Times are milliseconds; selectors are jQuery's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from executors.contract import Text
from executors.language.findings import Finding, finding
from executors.language.lines import ESCAPE, Directive, argument, directive
from executors.language.source import Line
from executors.language.steps import Option, SetTimeout, Sleep, Step, Timer
from executors.language.tags import has_secret, text_of

MILLISECONDS = re.compile(r"[0-9]{1,8}")
SHORTEST_SLEEP: Final = 100  # milliseconds; less was meant as seconds
SHORTEST_RUN: Final = 1000
HIT = re.compile(r"^(?:\$|jQuery)\([^;]*\)(?:\.length)?[ \t]*;?$")


@dataclass(frozen=True, slots=True)
class Visit(Step):
    """Go to an address, or to a path of the same origin."""

    address: Text
    is_start: bool

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.address,)


@dataclass(frozen=True, slots=True)
class NewAction(Step):
    """What follows happens on one page, which is waited for first."""


@dataclass(frozen=True, slots=True)
class Test(Step):
    """`location`, `selector`, `visible` or `not-visible`; the run fails if it does not hold."""

    of: str
    what: Text

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.what,)


@dataclass(frozen=True, slots=True)
class Act(Step):
    """`click`, `jclick`, `really-click`."""

    how: str
    selector: Text

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.selector,)


@dataclass(frozen=True, slots=True)
class Fill(Step):
    """Set a field's value, or click and type if `really`."""

    selector: Text
    value: Text
    really: bool

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.selector, self.value)


@dataclass(frozen=True, slots=True)
class SetProperty(Step):
    selector: Text
    name: str
    value: Text

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.selector, self.value)


@dataclass(frozen=True, slots=True)
class Offset(Step):
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Script(Step):
    """JavaScript of the page. A tag in it is put in as a JavaScript string's inside."""

    source: Text

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.source,)


@dataclass(frozen=True, slots=True)
class Log(Step):
    text: Text

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.text,)


Take = Callable[[Directive, list[Finding]], "Step | None"]


def parse(lines: Sequence[Line], notes: list[Finding]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for line in lines:
        if not line.says_something:
            continue
        found = directive(line)
        if found is None or found.word not in DIRECTIVES:
            notes.append(finding("unknown-directive", line.number))
            continue
        step = DIRECTIVES[found.word](found, notes)
        if step is not None:
            steps.append(step)
    _note_start(steps, notes)
    return tuple(steps)


def _note_start(steps: Sequence[Step], notes: list[Finding]) -> None:
    starts = [place for place, step in enumerate(steps) if isinstance(step, Visit) and step.is_start]
    if starts and starts[0] > 0:
        notes.append(finding("late-start", steps[starts[0]].line))


def split_last(rest: str) -> tuple[str, str]:
    """Cut at the last blank outside quotes and brackets: a selector may hold blanks, a value comes last.

    A first argument in quotes ends at its closing quote.
    """
    if rest.startswith('"') and (end := _closing(rest)):
        return ESCAPE.sub(r"\1", rest[1:end]), _unquoted(rest[end + 1 :].strip())
    cuts = list(_blanks_outside(rest.rstrip()))
    if not cuts:
        return rest.strip(), ""
    return rest[: cuts[-1]].strip(), _unquoted(rest[cuts[-1] :].strip())


def _closing(rest: str) -> int:
    """Of a quoted first argument: the first quote that a blank or the end follows."""
    match = re.compile(r'"(?:[^"\\]|\\.|"(?![ \t]|\Z))*"').match(rest)
    return match.end() - 1 if match else 0


def _blanks_outside(text: str) -> Iterator[int]:
    quote, depth = "", 0
    for place, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([":
            depth += 1
        elif char in ")]":
            depth = max(0, depth - 1)
        elif char in " \t" and not depth:
            yield place


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        return ESCAPE.sub(r"\1", value[1:-1])
    return value


def _required(found: Directive, notes: list[Finding]) -> Text | None:
    """The one argument. Only one that is quoted as a whole is quoted: a selector may end in a quote."""
    rest = found.rest.rstrip()
    whole = rest.startswith('"')
    text = argument(found, notes).text if whole else text_of(rest)
    if not text:
        notes.append(finding("missing-argument", found.line))
        return None
    return text


def _visit(found: Directive, notes: list[Finding]) -> Step | None:
    address = _required(found, notes)
    return None if address is None else Visit(found.line, address, found.word == "start-at")


def _test(found: Directive, notes: list[Finding]) -> Step | None:
    what = _required(found, notes)
    if what is None:
        return None
    if found.word == "test-location" and "://" in found.rest:
        notes.append(finding("absolute-location", found.line))
    return Test(found.line, found.word.removeprefix("test-"), what)


def _act(found: Directive, notes: list[Finding]) -> Step | None:
    selector = _required(found, notes)
    return None if selector is None else Act(found.line, found.word, selector)


def _fill(found: Directive, notes: list[Finding]) -> Step | None:
    selector, value = split_last(found.rest)
    if not selector:
        notes.append(finding("missing-argument", found.line))
        return None
    if not value:
        notes.append(finding("fill-without-value", found.line))
    return Fill(found.line, text_of(selector), text_of(value), found.word == "really-fill")


def _prop(found: Directive, notes: list[Finding]) -> Step | None:
    before, value = split_last(found.rest)
    selector, name = split_last(before)
    if not (selector and name and value):
        notes.append(finding("missing-argument", found.line))
        return None
    return SetProperty(found.line, text_of(selector), name, text_of(value))


def _offset(found: Directive, notes: list[Finding]) -> Step | None:
    match = re.fullmatch(r"(-?[0-9]{1,5})[ \t,]+(-?[0-9]{1,5})[ \t]*", found.rest)
    if match is None:
        notes.append(finding("bad-number", found.line))
        return None
    return Offset(found.line, int(match[1]), int(match[2]))


def _script(found: Directive, notes: list[Finding]) -> Step | None:
    source = found.rest.strip()
    if not source:
        notes.append(finding("missing-argument", found.line))
        return None
    if HIT.match(source):
        notes.append(finding("check-cannot-fail", found.line))
    text = text_of(source)
    if has_secret(text):
        notes.append(finding("secret-in-command-line", found.line))
    return Script(found.line, text)


def _seconds(found: Directive, least: int, notes: list[Finding]) -> float | None:
    """Seconds of a number of milliseconds; one below `least` was meant as seconds, and is taken so."""
    said = argument(found, notes).string.strip()
    if not MILLISECONDS.fullmatch(said):
        notes.append(finding("bad-number", found.line))
        return None
    if int(said) >= least:
        return int(said) / 1000
    notes.append(finding("doubtful-unit", found.line))
    return float(said)


def _sleep(found: Directive, notes: list[Finding]) -> Step | None:
    """Also ends the action; the next one begins after it."""
    time = _seconds(found, SHORTEST_SLEEP, notes)
    return None if time is None else Sleep(found.line, time)


def _timeout(found: Directive, notes: list[Finding]) -> Step | None:
    time = _seconds(found, SHORTEST_RUN, notes)
    return None if time is None else SetTimeout(found.line, Timer.WHOLE, time)


def _agent(found: Directive, notes: list[Finding]) -> Step | None:
    text = _required(found, notes)
    return None if text is None else Option(found.line, "useragent", (text,))


def _new_action(found: Directive, notes: list[Finding]) -> Step:  # noqa: ARG001 - one signature for all
    return NewAction(found.line)


def _log(found: Directive, notes: list[Finding]) -> Step:
    return Log(found.line, argument(found, notes).text)


DIRECTIVES: Final[Mapping[str, Take]] = {
    "start-at": _visit,
    "set-location": _visit,
    "timeout": _timeout,
    "useragent": _agent,
    "user-agent": _agent,
    "new-action": _new_action,
    "test-location": _test,
    "test-selector": _test,
    "test-visible": _test,
    "test-not-visible": _test,
    "fill": _fill,
    "really-fill": _fill,
    "click": _act,
    "jclick": _act,
    "really-click": _act,
    "offset": _offset,
    "prop": _prop,
    "jscript": _script,
    "sleep": _sleep,
    "log": _log,
}
