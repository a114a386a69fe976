"""A device without a mind: says what each wait of a template needs, and records what arrives next.

The mirror of a template: what it records is what a real device would have been told.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from executors.contract import COMMON_ENCODERS, Values, join
from executors.emulated.account import Access
from executors.emulated.console import Ask, Console, Echo, Keys, Talk
from executors.language import tcl
from executors.language.patterns import Pattern, Pieces, Search
from executors.language.steps import End, Send, Step, Wait

LONGEST: Final = 64 * 1024  # characters of one line
KEYS: Final = Keys(cr_lf_is_one=True)


class NoExample(Exception):
    """No text could be made that this pattern matches. Write its `Offer` by hand."""


@dataclass(frozen=True)
class Offer:
    """The device says this."""

    text: str


@dataclass(frozen=True)
class Hear:
    """The device waits for one line, or for so many characters."""

    characters: int | None = None


Turn = Offer | Hear


class ScriptedDevice:
    """Plays `dialogue` once a session, and lets everybody in. `echoes`: it shows what is typed."""

    def __init__(self, dialogue: Sequence[Turn], *, echoes: bool = False) -> None:
        self.received: list[str] = []
        """Lines without their ends, and texts typed without one, secrets in clear."""
        self.finished = False
        self._dialogue = tuple(dialogue)
        self._echoes = echoes
        self._lock = threading.RLock()

    def authenticate(self, name: str, password: str) -> Access:  # noqa: ARG002
        return Access.OPENS

    def open(
        self,
        username: str | None = None,  # noqa: ARG002
        command: str | None = None,  # noqa: ARG002
        *,
        terminal: bool = True,  # noqa: ARG002
    ) -> Console:
        console = Console(KEYS, self.received.append, self._lock)
        console.start(self._played(console))
        return console

    def _played(self, console: Console) -> Talk[None]:
        for turn in self._dialogue:
            if isinstance(turn, Offer):
                console.say(turn.text)
            else:
                self.received.append((yield from self._heard(console, turn.characters)))
        self.finished = True

    def _heard(self, console: Console, characters: int | None) -> Talk[str]:
        typed = ""
        while len(typed) < (LONGEST if characters is None else characters):
            char = yield Ask("", Echo.NONE, key=True)
            if self._echoes:
                console.say(char)
            if char == "\n" and characters is None:
                break
            typed += char
        return typed


def dialogue_of(steps: Sequence[Step], values: Values) -> tuple[Turn, ...]:
    """The mirror of a template's steps. Raises NoExample, and TemplateError for a value that does not fit."""
    return tuple(_turns(steps, values))


def _turns(steps: Sequence[Step], values: Values) -> Iterator[Turn]:
    for step in steps:
        if isinstance(step, End):
            return
        if isinstance(step, Wait):
            yield Offer(example(step.pattern, values))
        elif isinstance(step, tcl.Expect):
            yield from _clauses(step, values)
        elif isinstance(step, Send):
            yield from _hearing(step, values)


def _clauses(step: tcl.Expect, values: Values) -> Iterator[Turn]:
    """The clauses that go round again, in their order, and the first that goes on."""
    for clause in step.clauses:
        fails = any(isinstance(each, tcl.Exit) and each.status for each in clause.body)
        if clause.pattern is None or fails:
            continue
        yield Offer(example(clause.pattern, values))
        yield from _turns(clause.body, values)
        if not any(isinstance(each, tcl.Continue) for each in clause.body):
            return


def _hearing(step: Send, values: Values) -> Iterator[Turn]:
    text = join(step.text, values, COMMON_ENCODERS, "line").wire.reveal()
    *lines, rest = re.split(r"\r\n|\r|\n", text)
    yield from (Hear() for _ in lines)
    if step.newline:
        yield Hear()
    elif rest:
        yield Hear(len(rest))


def example(pattern: Pattern, values: Values) -> str:
    """A text in which the pattern is found. Raises NoExample."""
    matcher = pattern.compiled(values)
    if isinstance(matcher, Pieces):
        return " ".join(matcher.texts) or " "
    source = matcher.pattern.pattern if isinstance(matcher, Search) else ""
    candidates: tuple[str, ...] = (_simplified(source), *"$#>: aA0-\n")
    for text in candidates:
        if matcher.find(text, 0) is not None:
            return text
    raise NoExample(NoExample.__doc__)


_CLASS: Final = re.compile(r"(?<!\\)\[(?!\^)(\\?.)(?:\\.|[^\]\\])*\]")
_GROUP: Final = re.compile(r"\((?:\?:)?([^()|]*)(?:\|[^()]*)?\)")
_TIMES: Final = re.compile(r"(\\.|[^\\])\{([0-9]{1,4})[0-9,]*\}")
MOST_TIMES: Final = 100
_SIGNS: Final = {
    "\\s": " ",
    "\\d": "0",
    "\\w": "a",
    "\\S": "a",
    "\\b": "",
    "\\Z": "",
    ".": "a",
    "^": "",
    "$": "",
}


def _simplified(source: str) -> str:
    """What a simple regular expression looks like once its signs are taken for an example of each."""
    text, before = (
        _CLASS.sub(lambda match: match[1] if len(match[1]) > 1 else re.escape(match[1]), source),
        "",
    )
    while text != before:
        text, before = _GROUP.sub(r"\1", text), text
    text = _TIMES.sub(lambda match: match[1] * min(int(match[2]), MOST_TIMES), text.partition("|")[0])
    text = re.sub(r"(?<!\\)[+*?]", "", text)
    return re.sub(r"\\.|[.^$]", lambda match: _SIGNS.get(match[0], match[0][-1]), text)
