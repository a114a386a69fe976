"""What a parsed body consists of, as far as dialects share it. All immutable; no values are known yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from executors.contract import Text
from executors.language.patterns import Pattern


@dataclass(frozen=True, slots=True)
class Step:
    """One directive. `line` counts from 1 within the whole file."""

    line: int

    @property
    def texts(self) -> tuple[Text, ...]:
        """Every text in which a tag may stand."""
        return ()

    @property
    def inner(self) -> tuple[Step, ...]:
        """Steps inside this one, in the order in which they stand."""
        return ()


def walk(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        yield from walk(step.inner)


@dataclass(frozen=True, slots=True)
class Send(Step):
    """Type `text`, and the new line of the mode in force if `newline`."""

    text: Text
    newline: bool

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.text,)


@dataclass(frozen=True, slots=True)
class Wait(Step):
    """Go on once `pattern` has arrived since the last match."""

    pattern: Pattern

    @property
    def texts(self) -> tuple[Text, ...]:
        return self.pattern.texts


@dataclass(frozen=True, slots=True)
class Forbid(Step):
    """Fail if `pattern` arrives in answer to what was sent last. Consumes nothing."""

    pattern: Pattern

    @property
    def texts(self) -> tuple[Text, ...]:
        return self.pattern.texts


@dataclass(frozen=True, slots=True)
class Sleep(Step):
    seconds: float


@dataclass(frozen=True, slots=True)
class End(Step):
    """Close the connection; nothing after it runs."""


class NewLine(StrEnum):
    """What ends a line that is sent."""

    UNIX = "unix"
    WINDOWS = "windows"
    MAC = "mac"

    @property
    def characters(self) -> str:
        return {"unix": "\n", "windows": "\r\n", "mac": "\r"}[self.value]


@dataclass(frozen=True, slots=True)
class SetNewLine(Step):
    mode: NewLine


class Timer(StrEnum):
    CONNECT = "connect"
    READ = "read"  # of each wait
    WHOLE = "whole"  # of the whole run


@dataclass(frozen=True, slots=True)
class SetTimeout(Step):
    timer: Timer
    seconds: float


@dataclass(frozen=True, slots=True)
class Option(Step):
    """A setting that the executor reads before it connects, by the name of its directive."""

    name: str
    values: tuple[Text, ...]

    @property
    def texts(self) -> tuple[Text, ...]:
        return self.values


@dataclass(frozen=True, slots=True)
class Command(Step):
    """One whole command that the executor has the target run."""

    text: Text

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.text,)
