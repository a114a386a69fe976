"""A recorded dialogue, played back to a template in no time: who says what is a file that people write.

One line a turn:

    < TEXT     the device says this
    << STATUS  the device ends: with a command's exit status, with nothing, or `lost` for a broken connection
    > TEXT     it must hear this and the end of a line
    >> TEXT    it must hear these bytes
    $ COMMAND  a native template must start this command; its login shell if there is none
    = OUTCOME  how the template must end; well, if no line says so

A line feed, return, tab and backslash are written as \\n, \\r, \\t and \\\\, and `[\\#` begins no tag; tags
stand for their values, `[#NAME|encoder#]` for one as its encoder writes it. Blank lines are nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from executors.contract import (
    COMMON_ENCODERS,
    Failure,
    Literal,
    Outcome,
    Report,
    Section,
    Tag,
    TemplateError,
    Text,
    Transcript,
    Values,
    join,
)
from executors.contract.parts import Encoder
from executors.language.parsing import Parsed
from executors.language.steps import NewLine, SetNewLine, walk
from executors.language.tags import text_of
from executors.terminal.conversation import Conversation

ESCAPE: Final = re.compile(r"\\([nrt\\#])")
ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "#": "#"}
WRITTEN: Final = str.maketrans({"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"})
LOST: Final = "lost"
WHOLE: Final = 65536  # bytes a read


class Act(StrEnum):
    """What begins a line."""

    SAYS = "<"
    ENDS = "<<"
    HEARS_LINE = ">"
    HEARS = ">>"
    STARTS = "$"
    OUTCOME = "="


@dataclass(frozen=True, slots=True)
class Turn:
    """`line` is that of the dialogue's file, from 1. A line that is heard has its end in `data`."""

    line: int
    act: Act
    data: bytes


@dataclass(frozen=True, slots=True)
class Language:
    """How a grammar writes values: its encoders, the one of a command, and what ends a line that is sent."""

    encoders: Mapping[str, Encoder] = field(default_factory=lambda: COMMON_ENCODERS)
    command: str = "line"
    new_line: str = "\n"


@dataclass(frozen=True, slots=True)
class Dialogue:
    turns: tuple[Turn, ...]
    outcome: Outcome


def written(text: Text) -> str:
    """A text as a line of a dialogue has it."""
    return "".join(_part(part) for part in text)


def unescaped(source: str) -> str:
    return ESCAPE.sub(lambda match: ESCAPES[match[1]], source)


def _part(part: Literal | Tag) -> str:
    if isinstance(part, Literal):
        return part.text.translate(WRITTEN).replace("[#", "[\\#")
    return f"[#{part.name}|{part.encoder}#]" if part.encoder else f"[#{part.name}#]"


def dialogue_of(source: str, values: Values, others: Values, language: Language) -> Dialogue:
    """`values` are of the template's tags, `others` of those that a device may say beside them.

    Raises TemplateError, with the dialogue's line, for what is no turn, and for a tag without a value or
    whose value cannot stand there."""
    turns = [
        _turn(number, line, values, others, language)
        for number, line in enumerate(source.split("\n"), 1)
        if line.strip()
    ]
    ends = [turn for turn in turns if turn.act is Act.OUTCOME]
    outcome = _outcome(ends[-1]) if ends else Outcome.OK
    return Dialogue(tuple(turn for turn in turns if turn.act is not Act.OUTCOME), outcome)


def _turn(number: int, line: str, values: Values, others: Values, language: Language) -> Turn:
    sign, _, source = line.partition(" ")
    if sign not in [*Act]:
        raise TemplateError(
            number, f"a line of a dialogue begins with {', '.join(f'`{act} `' for act in Act)}"
        )
    act = Act(sign)
    default = {Act.SAYS: "raw", Act.STARTS: language.command}.get(act, "line")
    known = {**others, **values} if act is Act.SAYS else values
    said = _said(number, source, known, language, default)
    if act is Act.SAYS:
        said = said.replace("\n", "\r\n")
    return Turn(number, act, (said + language.new_line if act is Act.HEARS_LINE else said).encode())


def _said(number: int, source: str, values: Values, language: Language, default: str) -> str:
    text = text_of(source)
    for part in text:
        if isinstance(part, Tag) and part.name not in values:
            raise TemplateError(number, f"the template does not use [#{part.name}#], so the dialogue cannot")
    plain = tuple(Literal(unescaped(part.text)) if isinstance(part, Literal) else part for part in text)
    try:
        return join(plain, values, language.encoders, default).wire.reveal()
    except TemplateError as error:
        raise TemplateError(number, error.reason) from None


def _outcome(turn: Turn) -> Outcome:
    try:
        return Outcome(turn.data.decode().strip())
    except ValueError:
        known = ", ".join(Outcome)
        raise TemplateError(turn.line, f"this is no outcome; there are: {known}") from None


@dataclass
class PlayedDevice:
    """A channel and its clock. It says nothing ahead of what it must hear first; waiting takes no time."""

    turns: list[Turn]
    chunk: int
    echoing: bool
    fault: str = ""
    ended: str | None = None  # what its end said
    _time: float = 0.0
    _heard: bytes = b""
    _ready: bytes = b""

    def now(self) -> float:
        return self._time

    def sleep(self, seconds: float) -> None:
        self._time += seconds

    def send(self, data: bytes) -> None:
        self._heard += data

    def receive(self, seconds: float) -> bytes:
        data = self.read()
        if self.ended == LOST and not data:
            raise Failure(Outcome.UNREACHABLE, "the connection broke, as it did when this was recorded")
        if data or self.fault or self.ended is not None:
            return data
        self._time += seconds
        raise TimeoutError

    def read(self) -> bytes:
        """What is there, none if nothing is."""
        while not self._ready and self.turns and not self.fault and self._take(self.turns[0]):
            pass
        data, self._ready = self._ready[: self.chunk], self._ready[self.chunk :]
        return b"" if self.fault else data

    def left(self) -> str:
        """What is wrong when the template is done: a line that never came, or more than the dialogue has."""
        while self.turns and not self.fault and self._take(self.turns[0]):
            pass
        waiting = next((turn for turn in self.turns if turn.act not in (Act.SAYS, Act.ENDS)), None)
        if waiting and not self.fault:
            return f"dialogue line {waiting.line}: this was never sent"
        more = f"after the dialogue the device heard {_shown(self._heard)}" if self._heard else ""
        return self.fault or more

    def _take(self, turn: Turn) -> bool:
        """Whether the turn is over: a line must have come whole, and must be the one that is due."""
        if turn.act is Act.SAYS:
            self._ready = turn.data
        elif turn.act is Act.ENDS:
            self.ended = turn.data.decode().strip()
        elif turn.act is not Act.STARTS and self._is_whole(turn):
            self._hear(turn)
        else:
            return False
        self.turns.pop(0)
        return turn.act is not Act.ENDS

    def _is_whole(self, turn: Turn) -> bool:
        return len(self._heard) >= len(turn.data) or not turn.data.startswith(self._heard)

    def _hear(self, turn: Turn) -> None:
        heard, self._heard = self._heard[: len(turn.data)], self._heard[len(turn.data) :]
        if heard != turn.data:
            self.fault = f"dialogue line {turn.line}: the device heard {_shown(heard)}"
        elif self.echoing:
            self._ready = re.sub(rb"[\r\n]+\Z", b"\r\n", heard)


class FieldPlay:
    """A template of the field's language before a played device."""

    def __init__(
        self, parsed: Parsed, dialogue: Dialogue, values: Values, *, bytewise: bool, echoing: bool
    ) -> None:
        self._parsed = parsed
        self._values = values
        self._device = PlayedDevice(list(dialogue.turns), 1 if bytewise else WHOLE, echoing)
        self._conversation = Conversation(self._device, Transcript(), self._device)

    def has(self, section: Section) -> bool:
        return self._parsed.has(section)

    def run(self, section: Section) -> Report:
        """Raises TemplateError for a value that does not fit the template."""
        return self._conversation.run(self._parsed.section(section), self._values)

    def fault(self) -> str:
        """Where the template left the dialogue; empty if it kept to it to its end."""
        return self._device.left()


def language_of(parsed: Parsed) -> Language:
    modes = [step.mode for step in walk(parsed.steps) if isinstance(step, SetNewLine)]
    return Language(new_line=(modes[0] if modes else NewLine.UNIX).characters)


def _shown(data: bytes) -> str:
    return repr(data.decode("utf-8", "backslashreplace"))
