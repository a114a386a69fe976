"""One command's conversation over a byte stream: answer what is asked, notice refusals, judge the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from executors.contract import Outcome, Transcript
from executors.ssh.program import Script, Way
from executors.terminal.ansi import PlainText

OUTPUT_LIMIT = 256 * 1024  # characters looked at per command; the rest is read and thrown away
WHOLE_FACTOR = 10  # a command may take ten times the silence it is allowed
GOODBYE_SECONDS = 5.0  # for the target to end a command that was interrupted
QUOTE_LIMIT = 200  # characters of the target's words in a message
INTERRUPT = b"\x03"  # ETX, Ctrl-C on a terminal


class Stream(Protocol):
    """The two ends of a command's input and output."""

    def receive(self, seconds: float) -> bytes:
        """Some bytes, or none at the end of the output. Raises TimeoutError."""

    def send(self, data: bytes) -> None: ...

    def end_input(self) -> None: ...

    def exit_status(self, seconds: float) -> int | None:
        """The exit status, None for an end without one. Raises Failure for a broken connection."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended. `settled`: the section is over, its other commands need not run."""

    outcome: Outcome
    message: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    settled: bool = False


@dataclass(frozen=True, slots=True)
class _Event:
    """Something found in the output: a prompt to answer (its number in the script), or what ends the command.

    An ending is put into words only after the command was hung up: the rest of its line may still be coming.
    """

    start: int
    end: int
    answer: int = -1
    ending: Callable[[], Ended] | None = None


def converse(stream: Stream, script: Script, transcript: Transcript, silence: float) -> Ended:
    """Carry one command to its end. `silence`: seconds without a byte after which it is given up."""
    return _Conversation(stream, script, transcript, silence).carry_out()


class _Conversation:
    def __init__(self, stream: Stream, script: Script, transcript: Transcript, silence: float) -> None:
        self._stream = stream
        self._script = script
        self._way = script.command.way
        self._transcript = transcript
        self._silence = silence
        self._deadline = time.monotonic() + WHOLE_FACTOR * silence
        self._plain = PlainText()
        self._text = ""
        self._overflowed = False
        self._position = 0  # everything before it has been dealt with
        self._scanned = 0  # nothing to be found starts before it
        self._next = 0  # the first prompt not yet answered or passed over
        self._answered: dict[str, None] = {}
        self._inputs_sent = False
        needles = [*dict(script.refusals), *dict(script.answers)]
        self._longest = max(map(len, needles), default=1)

    def carry_out(self) -> Ended:
        try:
            self._send_inputs()
            while data := self._stream.receive(self._patience(self._deadline)):
                self._hear(data)
                ending = self._react()
                if ending is not None:
                    self._hang_up()
                    return ending()
            return self._judge()
        except TimeoutError:
            self._hang_up()
            return Ended(Outcome.TIMEOUT, f"no answer in time{self._last_words()}")

    def _patience(self, deadline: float) -> float:
        """Seconds to wait for more. Raises TimeoutError at the deadline, even if the target never stops."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(self._silence, left)

    def _hear(self, data: bytes) -> None:
        text = self._plain.feed(data)
        self._transcript.received(text)
        room = OUTPUT_LIMIT - len(self._text)
        self._text += text[:room]
        self._overflowed = self._overflowed or len(text) > room

    def _react(self) -> Callable[[], Ended] | None:
        """Deal with everything found so far, in the order in which it was said."""
        while (event := self._find()) is not None:
            if event.ending is not None:
                return event.ending
            self._position = self._scanned = event.end
            self._answer(event.answer)
        if self._way is Way.SHELL and self._is_answered() and self._script.expects and not self._missing():
            return partial(Ended, Outcome.OK)
        return None

    def _find(self) -> _Event | None:
        """The earliest event; of two at the same place the longer one."""
        events = sorted(self._events(), key=lambda event: (event.start, -event.end))
        self._scanned = max(self._position, len(self._text) - self._longest + 1)
        return events[0] if events else None

    def _events(self) -> Iterator[_Event]:
        for needle, _ in self._script.refusals:
            if (at := self._text.find(needle, self._scanned)) >= 0:
                yield _Event(at, at + len(needle), ending=partial(self._refused, at))
        askable = dict(self._askable())
        for needle, number in askable.items():
            if (at := self._text.find(needle, self._scanned)) >= 0:
                yield _Event(at, at + len(needle), answer=number)
        for needle in self._answered:
            if needle not in askable and (at := self._text.find(needle, self._scanned)) >= 0:
                yield _Event(at, at + len(needle), ending=partial(self._asked_again, needle))

    def _askable(self) -> Iterator[tuple[str, int]]:
        """The prompts that may come now: those that need not be asked, up to the first one that must."""
        pairs = zip(self._script.answers, self._script.command.answers, strict=True)
        seen = set()
        for number, ((needle, _), answer) in enumerate(pairs):
            if number >= self._next and needle not in seen:
                seen.add(needle)
                yield needle, number
                if answer.required:
                    return

    def _answer(self, number: int) -> None:
        prompt, text = self._script.answers[number]
        self._next = number + 1
        self._answered[prompt] = None
        self._send_line(text.wire.reveal(), text.shown)
        self._send_inputs()

    def _send_inputs(self) -> None:
        """Standard input of `run`, once nothing more can be asked; its end is what the command waits for.

        While an optional prompt may still come, standard input stays open.
        """
        if self._way is not Way.RUN or self._inputs_sent or self._next < len(self._script.command.answers):
            return
        self._inputs_sent = True
        for line in self._script.inputs:
            self._send_line(line.wire.reveal(), line.shown)
        self._stream.end_input()

    def _send_line(self, line: str, shown: str) -> None:
        self._transcript.sent(shown)
        self._stream.send(line.encode() + b"\n")

    def _is_answered(self) -> bool:
        return not any(answer.required for answer in self._script.command.answers[self._next :])

    def _missing(self) -> list[str]:
        return [needle for needle in self._script.expects if needle not in self._text]

    def _refused(self, position: int) -> Ended:
        """Of refusals that begin alike the longest counts, however the output was cut."""
        matching = [each for each in self._script.refusals if self._text.startswith(each[0], position)]
        _, outcome = max(matching, key=lambda each: len(each[0]))
        start = self._text.rfind("\n", 0, position) + 1
        line = self._text[start:].partition("\n")[0].strip()
        return Ended(outcome, self._transcript.redact(line)[:QUOTE_LIMIT])

    def _asked_again(self, prompt: str) -> Ended:
        """passwd(1) answers a refused password by asking again; what it said before tells why."""
        outcome = self._script.repeats.get(prompt, Outcome.SCRIPT_MISMATCH)
        said = self._quote(self._text[self._position :].partition(prompt)[0])
        return Ended(outcome, self._transcript.redact(f"asked {prompt!r} once more than answered{said}"))

    def _hang_up(self) -> None:
        """Interrupt what still runs and wait for its end, so that nothing is left working on the target."""
        deadline = time.monotonic() + GOODBYE_SECONDS
        try:
            if self._way is not Way.RUN:
                self._stream.send(INTERRUPT)
            self._stream.end_input()
            while data := self._stream.receive(self._patience(deadline)):
                self._hear(data)
        except TimeoutError:
            self._transcript.note("the command did not end when interrupted")

    def _judge(self) -> Ended:
        """The output has ended: what the exit status, the answers given and the output say."""
        told = {
            telling.name: telling.value for needle, telling in self._script.tellings if needle in self._text
        }
        if told:
            return Ended(Outcome.OK, facts=told, settled=True)
        status = self._stream.exit_status(self._patience(self._deadline))
        outcome = self._meaning(status)
        if outcome is not Outcome.OK:
            return Ended(outcome, f"ended with {_status(status)}{self._last_words()}")
        if self._overflowed:
            return self._mismatch(f"more than {OUTPUT_LIMIT // 1024} KiB of output")
        if not self._is_answered():
            waited = next(needle for needle, number in self._askable() if self._is_required(number))
            return self._mismatch(f"ended without asking {waited!r}{self._last_words()}")
        if missing := self._missing():
            return self._mismatch(f"did not say {missing[0]!r}{self._last_words()}")
        return self._captured()

    def _is_required(self, number: int) -> bool:
        return self._script.command.answers[number].required

    def _meaning(self, status: int | None) -> Outcome:
        exits = self._script.command.exits
        if status is None:
            return Outcome.OK if self._way is Way.SHELL else Outcome.SCRIPT_MISMATCH
        if status in exits:
            return exits[status]
        if status == 0 or (self._way is Way.SHELL and not exits):
            return Outcome.OK
        return exits.get(None, Outcome.SCRIPT_MISMATCH)

    def _captured(self) -> Ended:
        facts: dict[str, str] = {}
        for capture in self._script.command.captures:
            match = capture.pattern.search(self._text)
            if match is None or match[1] is None:
                return self._mismatch(f"the output holds no {capture.name}{self._last_words()}")
            facts[capture.name] = capture.results.get(match[1], match[1]) if capture.results else match[1]
            if capture.results and match[1] not in capture.results:
                return self._mismatch(f"{match[1]!r} is no known {capture.name}")
        return Ended(Outcome.OK, facts=facts)

    def _mismatch(self, message: str) -> Ended:
        return Ended(Outcome.SCRIPT_MISMATCH, self._transcript.redact(message))

    def _last_words(self) -> str:
        return self._quote(self._text)

    def _quote(self, text: str) -> str:
        """The last line of the target's words, to follow a message; redacted before it is cut."""
        line = next((line.strip() for line in reversed(text.split("\n")) if line.strip()), "")
        return f": {self._transcript.redact(line)[:QUOTE_LIMIT]}" if line else ""


def _status(status: int | None) -> str:
    return "no exit status" if status is None else f"exit status {status}"
