"""Notes what a real device and a template say to each other, as a dialogue that can be played again.

Values are written as their tags. What is sent is known by its place in the template, what is received is
searched for values; a secret in a form that cannot be put back makes the recording worthless, so it is
refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

from executors.contract import (
    Connection,
    Executor,
    Failure,
    Literal,
    Login,
    Outcome,
    Redactor,
    Secret,
    Tag,
    Target,
    Text,
    Transcript,
    Value,
    Values,
)
from executors.contract.parts import TAG
from executors.decorators import Around
from executors.terminal.replay import LOST, Act, unescaped, written
from executors.terminal.screen import Screen

T = TypeVar("T")

LINE: Final = re.compile(r"(?:\\[^n]|[^\\])*(?:\\n|\Z)")  # as it is written: up to a line feed
LINE_ENDS: Final = ("\n", "\r", "\r\n", "")
PIECE: Final = 6  # characters of a secret that no device says by accident
INTERRUPT: Final = b"\x03"  # ends what is no longer wanted; a played device needs none


class Unrecordable(Exception):
    """The recording was not made; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a template may send: as it goes out, and as the template has it."""

    wire: Secret
    text: Text


@dataclass(frozen=True, slots=True)
class Said:
    data: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """`end` is what ended the line; `is_shown`: whether a terminal may repeat it."""

    source: Source
    end: str
    is_shown: bool


@dataclass(frozen=True, slots=True)
class Marked:
    """A command's start or end."""

    act: Act
    text: Text = ()


Event = Said | Heard | Marked


class Recorder:
    """`events` are of one connection, in their order."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.fault = ""
        self._sources: Sequence[Source] = ()
        self._next = 0
        self._is_shown = True

    def begins(self, sources: Sequence[Source]) -> None:
        """From here on one of these is sent, mostly in this order."""
        self._sources = sources
        self._next = 0

    def starts(self, command: Text, *, on_terminal: bool) -> None:
        self._is_shown = on_terminal
        self.events.append(Marked(Act.STARTS, command))

    def says(self, data: bytes) -> None:
        self.events.append(Said(data))

    def ends(self, how: str) -> None:
        last = next((event for event in reversed(self.events) if not isinstance(event, Heard)), None)
        if not (isinstance(last, Marked) and last.act is Act.ENDS):
            self.events.append(Marked(Act.ENDS, (Literal(how),) if how else ()))

    def hears(self, data: bytes) -> None:
        if data == INTERRUPT:
            return
        sent = data.decode()
        count = len(self._sources)
        for place in ((self._next + offset) % count for offset in range(count)):
            source = self._sources[place]
            wire = source.wire.reveal()
            if sent.startswith(wire) and sent[len(wire) :] in LINE_ENDS:
                self._next = place + 1
                self.events.append(Heard(source, sent[len(wire) :], self._is_shown))
                return
        self.fault = "something was sent that is no line of the template"


@runtime_checkable
class Recordable(Protocol):
    """A connection whose dialogue can be noted."""

    def record(self, recorder: Recorder) -> None:
        """From now on; nothing has been run yet."""


class Recording(Around):
    """An executor all of whose connections are recorded."""

    def __init__(self, inner: Executor, recorder: Recorder) -> None:
        super().__init__(inner)
        self._recorder = recorder

    def guard(self, verb: str, transcript: Transcript, call: Callable[[], T]) -> T:
        del verb, transcript
        return call()

    def connect(self, target: Target, login: Login, transcript: Transcript) -> Connection:
        connection = self._inner.connect(target, login, transcript)
        if not isinstance(connection, Recordable):
            connection.close()
            raise Failure(Outcome.BAD_TEMPLATE, f"{self.name} has no dialogue that could be recorded")
        connection.record(self._recorder)
        return connection


class RecordedChannel:
    """A channel, or a command's stream, whose two directions are noted."""

    def __init__(self, inner: Any, recorder: Recorder) -> None:
        self._inner = inner
        self._recorder = recorder

    def send(self, data: bytes) -> None:
        self._recorder.hears(data)
        self._inner.send(data)

    def receive(self, seconds: float) -> bytes:
        try:
            data: bytes = self._inner.receive(seconds)
        except Failure:
            self._recorder.ends(LOST)
            raise
        if data:
            self._recorder.says(data)
        else:
            self._at_end()
        return data

    def _at_end(self) -> None:
        self._recorder.ends("")


class RecordedStream(RecordedChannel):
    """The end of a command's output is noted with its exit status, which is asked for later or not at all."""

    _is_over = False

    def end_input(self) -> None:
        self._inner.end_input()

    def exit_status(self, seconds: float) -> int | None:
        try:
            status: int | None = self._inner.exit_status(seconds)
        except Failure:
            self._recorder.ends(LOST)
            raise
        self._recorder.ends("" if status is None else str(status))
        return status

    def close(self) -> None:
        if self._is_over:
            self._recorder.ends("")  # nobody asked
        self._inner.close()

    def _at_end(self) -> None:
        self._is_over = True


def dialogue(
    recorder: Recorder, new_line: str, values: Values, secrets: Sequence[Secret], outcome: Outcome
) -> str:
    """The file's text. `secrets` are all that may be seen, with or without a tag. Raises Unrecordable."""
    if recorder.fault:
        raise Unrecordable(recorder.fault)
    if not recorder.events:
        raise Unrecordable("nothing was said, so there is nothing to record")
    lines = list(_lines(recorder.events, new_line, _Tagger(values)))
    ending = [] if outcome is Outcome.OK else [f"{Act.OUTCOME} {outcome}"]
    text = "\n".join([*lines, *ending, ""])
    if _shows(text, lines, secrets):
        raise Unrecordable(
            "the device showed a secret in a form that cannot be replaced by its tag; nothing was written"
        )
    return text


def _shows(text: str, lines: Sequence[str], secrets: Sequence[Secret]) -> bool:
    """Whether a form of a secret is left, or a piece of one in what the device says: devices that help or
    complete repeat half of a line."""
    redactor = Redactor(secrets)
    said = unescaped("".join(line[2:] for line in lines if line.startswith(f"{Act.SAYS} ")))
    if any(redactor.redact(each) != each for each in (text, said)):
        return True
    plain = TAG.sub("\n", said).casefold()
    return any(piece in plain for secret in secrets for piece in _pieces(secret))


def _pieces(secret: Secret) -> Iterator[str]:
    folded = secret.reveal().casefold()
    return (folded[start : start + PIECE] for start in range(len(folded) - PIECE + 1))


def _lines(events: Sequence[Event], new_line: str, tagger: _Tagger) -> Iterator[str]:
    screen, is_new_line = Screen(), False
    for event in events:
        if isinstance(event, Said):
            screen.feed(event.data)
            continue
        yield from _said(screen, tagger, is_new_line)
        is_new_line = isinstance(event, Heard) and event.is_shown and bool(event.end)
        if isinstance(event, Marked):
            screen = Screen() if event.act is Act.STARTS else screen
            yield f"{event.act} {written(event.text)}"
            continue
        if event.is_shown:
            screen.typed(event.source.wire.reveal().rstrip("\r\n"), ends_line=bool(event.end))
        yield _heard(event, new_line)
    yield from _said(screen, tagger, is_new_line)


def _heard(event: Heard, new_line: str) -> str:
    if event.end == new_line:
        return f"{Act.HEARS_LINE} {written(event.source.text)}"
    return f"{Act.HEARS} {written((*event.source.text, Literal(event.end)))}"


def _said(screen: Screen, tagger: _Tagger, is_new_line: bool) -> Iterator[str]:
    """What was said since the last line that was typed, without its echo and the echo of its end."""
    screen.rest()
    text = screen.text
    if text.strip():
        screen.matched()
    screen.consume(len(text))
    text = text.removeprefix("\n") if is_new_line else text
    tagged = written(tagger.tagged(text))
    yield from (f"{Act.SAYS} {line}" for line in LINE.findall(tagged) if line)


class _Tagger:
    """Finds values in what a device says: secrets anywhere, others as whole words."""

    def __init__(self, values: Values) -> None:
        self._names: dict[str, str] = {}
        for name, value in sorted(values.items(), key=lambda each: not each[1].is_secret):
            self._names.setdefault(value.reveal(), name)
        longest_first = sorted(values.values(), key=lambda value: -len(value.reveal()))
        patterns = [_pattern(value) for value in longest_first if value.reveal()]
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def tagged(self, text: str) -> Text:
        parts: list[Literal | Tag] = []
        end = 0
        for match in self._pattern.finditer(text) if self._pattern else ():
            parts += [Literal(text[end : match.start()]), Tag(self._names[match[0]])]
            end = match.end()
        return (*parts, Literal(text[end:]))


def _pattern(value: Value) -> str:
    plain = re.escape(value.reveal())
    return plain if value.is_secret else rf"(?<!\w){plain}(?!\w)"
