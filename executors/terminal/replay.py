"""A recorded dialogue, played back to a template in no time: who says what is a file that people write.

One line a turn: `< ` what the device says, `> ` the line that it must hear, `>> ` bytes that it must hear
without a line's end. A line feed, return, tab and backslash are written as \\n, \\r, \\t and \\\\; tags stand
for their values. Blank lines are nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from executors.contract import Outcome, Report, TemplateError, Transcript, Values
from executors.contract.parts import TAG
from executors.language.parsing import Parsed
from executors.language.steps import NewLine, SetNewLine, walk
from executors.language.tags import ALIASES
from executors.terminal.conversation import converse

ESCAPE: Final = re.compile(r"\\([nrt\\])")
ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}
SAYS, HEARS_LINE, HEARS = "<", ">", ">>"


@dataclass(frozen=True, slots=True)
class Turn:
    """`line` is that of the dialogue's file, from 1."""

    line: int
    is_heard: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Replayed:
    """`fault` says where the template left the dialogue; empty if it kept to it to its end."""

    report: Report
    fault: str

    @property
    def is_good(self) -> bool:
        return self.report.outcome is Outcome.OK and not self.fault


def turns_of(dialogue: str, parsed: Parsed, values: Values) -> tuple[Turn, ...]:
    """Raises TemplateError, with the dialogue's line, for what is no turn and for a tag without a value."""
    modes = [step.mode for step in walk(parsed.steps) if isinstance(step, SetNewLine)]
    new_line = (modes[0] if modes else NewLine.UNIX).characters
    numbered = enumerate(dialogue.split("\n"), 1)
    return tuple(_turn(number, line, new_line, values) for number, line in numbered if line.strip())


def _turn(number: int, line: str, new_line: str, values: Values) -> Turn:
    sign, _, text = line.partition(" ")
    if sign not in (SAYS, HEARS_LINE, HEARS):
        raise TemplateError(number, "a line of a dialogue begins with `< `, `> ` or `>> `")
    plain = ESCAPE.sub(lambda match: ESCAPES[match[1]], text)
    said = TAG.sub(lambda match: _value(number, match[1].upper(), values), plain)
    if sign == SAYS:
        return Turn(number, is_heard=False, data=said.replace("\n", "\r\n").encode())
    return Turn(number, is_heard=True, data=(said + new_line if sign == HEARS_LINE else said).encode())


def _value(number: int, name: str, values: Values) -> str:
    value = values.get(ALIASES.get(name, name))
    if value is None:
        raise TemplateError(number, f"the template does not use [#{name}#], so the dialogue cannot")
    return value.reveal()


def replay(
    parsed: Parsed, turns: Sequence[Turn], values: Values, *, bytewise: bool, echoing: bool
) -> Replayed:
    """Play the dialogue once. Raises TemplateError for a value that does not fit the template."""
    device = PlayedDevice(list(turns), 1 if bytewise else 65536, echoing=echoing)
    report = converse(device, parsed.steps, values, Transcript(), device)
    return Replayed(report, device.fault or device.left())


@dataclass
class PlayedDevice:
    """A channel and its clock. It says nothing ahead of what it must hear first; waiting takes no time."""

    turns: list[Turn]
    chunk: int
    echoing: bool
    fault: str = ""
    _time: float = 0.0
    _heard: bytes = b""
    _ready: bytes = field(default=b"")

    def now(self) -> float:
        return self._time

    def sleep(self, seconds: float) -> None:
        self._time += seconds

    def send(self, data: bytes) -> None:
        self._heard += data

    def receive(self, seconds: float) -> bytes:
        while not self._ready and self.turns and not self.fault:
            if not self._take(self.turns[0]):
                break
        if self.fault:
            return b""
        data, self._ready = self._ready[: self.chunk], self._ready[self.chunk :]
        if data:
            return data
        self._time += seconds
        raise TimeoutError

    def left(self) -> str:
        """What is wrong when the template is done: a line that never came, or more than the dialogue has."""
        while self.turns and not self.fault and self._take(self.turns[0]):
            pass
        waiting = next((turn for turn in self.turns if turn.is_heard), None)
        if waiting and not self.fault:
            return f"dialogue line {waiting.line}: this was never sent"
        more = f"after the dialogue the device heard {_shown(self._heard)}" if self._heard else ""
        return self.fault or more

    def _take(self, turn: Turn) -> bool:
        """Whether the turn is over: a line must have come whole, and must be the one that is due."""
        if not turn.is_heard:
            self._ready = turn.data
        elif len(self._heard) >= len(turn.data) or not turn.data.startswith(self._heard):
            self._hear(turn)
        else:
            return False
        self.turns.pop(0)
        return True

    def _hear(self, turn: Turn) -> None:
        heard, self._heard = self._heard[: len(turn.data)], self._heard[len(turn.data) :]
        if heard != turn.data:
            self.fault = f"dialogue line {turn.line}: the device heard {_shown(heard)}"
        elif self.echoing:
            self._ready = re.sub(rb"[\r\n]+\Z", b"\r\n", heard)


def _shown(data: bytes) -> str:
    return repr(data.decode("utf-8", "backslashreplace"))
