"""3270 screens: the documented directives, and raw actions of s3270 (x3270-script(1))."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from executors.contract import Literal, Text
from executors.language.findings import Finding, finding
from executors.language.lines import Directive, argument, directive
from executors.language.source import Line
from executors.language.steps import Option, SetTimeout, Sleep, Step, Timer
from executors.language.tags import names, text_of

PLACE = re.compile(r"(.*\S)[ \t]+([0-9]{1,3}),([0-9]{1,3}),([0-9]{1,3}),([0-9]{1,3})[ \t]*")
NUMBER = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,3})?")
ESCAPE = re.compile(r"\\([trn\\])")
KEYS: Final = {"t": "\t", "r": "\r", "n": "\n", "\\": "\\"}
ACTION = re.compile(r"[ \t]*([A-Za-z][A-Za-z0-9]*)[ \t]*(?:\((.*)\))?[ \t]*", re.DOTALL)
WORDS: Final = frozenset(
    {"timeout", "sleep", "echo", "connect", "search", "search_not", "send", "screenshot", "disconnect"}
)
ACTIONS: Final = names("""
    wait ascii ascii1 asciifield string enter clear tab backtab home newline pf pa movecursor movecursor1 up
    down left right eraseeof eraseinput deletefield fieldend reset insert delete sysreq attn
    connect disconnect snap expect hexstring key printtext quit pause nop ebcdic readbuffer
    """)
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Search(Step):
    """The screen at row, column (from 0), so many rows and columns, must equal `text`; or must not."""

    text: Text
    row: int
    column: int
    rows: int
    columns: int
    wanted: bool

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.text,)


@dataclass(frozen=True, slots=True)
class Type(Step):
    r"""Type text; `\t` is the next field, `\r` Enter, `\n` a new line."""

    text: Text

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.text,)


@dataclass(frozen=True, slots=True)
class Action(Step):
    """One action of s3270 with its argument as data; the executor quotes it for s3270's own parser."""

    name: str
    argument: Text

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.argument,)


def parse(lines: Sequence[Line], notes: list[Finding]) -> tuple[Step, ...]:
    steps = [_step(line, notes) for line in lines if line.says_something]
    if any(isinstance(step, Action) for step in steps):
        notes.append(finding("raw-actions", next(s.line for s in steps if isinstance(s, Action))))
    return tuple(step for step in steps if step is not None)


def _step(line: Line, notes: list[Finding]) -> Step | None:
    found = directive(line)
    if found is not None and found.word in WORDS and not found.rest.startswith("("):
        return _documented(found, notes)
    action = ACTION.fullmatch(line.text)
    if action and action[1].lower() in ACTIONS:
        return _action(line.number, action[1].lower(), (action[2] or "").strip())
    notes.append(finding("unknown-directive", line.number))
    return None


def _documented(found: Directive, notes: list[Finding]) -> Step | None:
    if found.word in ("connect", "disconnect", "screenshot"):
        return Option(found.line, found.word, (text_of(found.rest.strip()),) if found.rest.strip() else ())
    if found.word == "echo":
        return Option(found.line, found.word, (text_of(found.rest.strip()),))
    if found.word == "send":
        said = argument(found, notes).raw
        parts = (Literal(_keys(p.text)) if isinstance(p, Literal) else p for p in text_of(said))
        return Type(found.line, tuple(parts))
    if found.word in ("search", "search_not"):
        return _search(found, notes)
    said = argument(found, notes).string.strip()
    if not NUMBER.fullmatch(said):
        notes.append(finding("bad-number", found.line))
        return None
    if found.word == "sleep":
        return Sleep(found.line, float(said))
    return SetTimeout(found.line, Timer.WHOLE, float(said))


def _keys(text: str) -> str:
    return ESCAPE.sub(lambda match: KEYS[match[1]], text)


def _search(found: Directive, notes: list[Finding]) -> Step | None:
    match = PLACE.fullmatch(found.rest)
    if match is None:
        notes.append(finding("missing-argument", found.line))
        return None
    text = match[1]
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    row, column, rows, columns = (int(match[number]) for number in range(2, 6))
    return Search(found.line, text_of(text), row, column, rows, columns, found.word == "search")


def _action(line: int, name: str, inside: str) -> Action:
    """The argument: what is in quotes, or all that stands between the outermost brackets."""
    quoted = QUOTED.fullmatch(inside)
    if quoted is None:
        return Action(line, name, text_of(inside))
    parts = text_of(quoted[1])
    return Action(
        line,
        name,
        tuple(
            Literal(re.sub(r"\\(.)", lambda m: KEYS.get(m[1], m[1]), part.text))
            if isinstance(part, Literal)
            else part
            for part in parts
        ),
    )
