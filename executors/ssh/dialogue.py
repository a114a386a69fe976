"""One command's conversation over a byte stream: answer what is asked, notice refusals, judge the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from executors.contract import Outcome, Transcript
from executors.ssh.program import Script, Way
from executors.terminal.ansi import PlainText

OUTPUT_LIMIT = 256 * 1024  # characters looked at per command; the rest is read and thrown away
WHOLE_FACTOR = 10  # a command may take ten times the silence it is allowed
REST_SECONDS = 0.1  # without a byte, after which a shell has said what it had to say
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
    """How a command ended. `settled`: the section is over, its other commands need not run.

    `rest`: the shell waits at its prompt, and this is what the next command hears first. None: it was hung
    up, or has ended.
    """

    outcome: Outcome
    message: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    settled: bool = False
    rest: str | None = None


@dataclass(frozen=True, slots=True)
class _Ending:
    """It is put into words only after the command was hung up: the rest of its line may still be coming.

    `stays`: it is not hung up, the shell is back at its prompt.
    """

    words: Callable[[], Ended]
    stays: bool = False


@dataclass(frozen=True, slots=True)
class _Event:
    """Something found in the output: a prompt to answer, by its number in the script, or what ends it all."""

    start: int
    end: int
    answer: int = -1
    ending: _Ending | None = None


def converse(
    stream: Stream, script: Script, transcript: Transcript, silence: float, heard: str = ""
) -> Ended:
    """Carry one command to its end. `silence`: seconds without a byte after which it is given up.

    `heard`: the rest that the shell's last command left.
    """
    return _Conversation(stream, script, transcript, silence, heard).carry_out()


class _Conversation:
    def __init__(
        self, stream: Stream, script: Script, transcript: Transcript, silence: float, heard: str
    ) -> None:
        self._stream = stream
        self._script = script
        self._way = script.command.way
        self._transcript = transcript
        self._silence = silence
        self._deadline = time.monotonic() + WHOLE_FACTOR * silence
        self._plain = PlainText()
        self._text = heard
        self._greeting = self._way is Way.SHELL and not heard  # until its first prompt
        self._overflowed = False
        self._position = 0  # everything before it has been dealt with
        self._scanned = 0  # nothing to be found starts before it
        self._next = 0  # the first prompt not yet answered or passed over
        self._answered: dict[str, None] = {}
        self._inputs_sent = False
        self._echo = ""  # what the terminal still has to repeat
        self._echo_is_certain = False
        needles = [*dict(script.refusals), *dict(script.answers), script.until]
        self._longest = max(map(len, needles), default=1)

    def carry_out(self) -> Ended:
        try:
            self._send_inputs()
            while (ending := self._react()) is None:
                if not self._hear_more():
                    return self._judge()
            if not ending.stays:
                self._hang_up()
            return ending.words()
        except TimeoutError:
            self._hang_up()
            return Ended(Outcome.TIMEOUT, f"no answer in time{self._last_words()}")

    def _patience(self, deadline: float) -> float:
        """Seconds to wait for more. Raises TimeoutError at the deadline, even if the target never stops."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(self._silence, left)

    def _hear_more(self) -> bool:
        """Some more output, of a shell until it rests: its prompt comes last. False at the end."""
        first = data = self._stream.receive(self._patience(self._deadline))
        while data:
            self._hear(data)
            data = self._soon() if self._way is Way.SHELL else b""
        return bool(first)

    def _soon(self) -> bytes:
        try:
            return self._stream.receive(min(REST_SECONDS, self._patience(self._deadline)))
        except TimeoutError:
            return b""

    def _hear(self, data: bytes) -> None:
        text = self._plain.feed(data)
        self._transcript.received(text)
        room = OUTPUT_LIMIT - len(self._text)
        self._text += text[:room]
        self._overflowed = self._overflowed or len(text) > room

    def _react(self) -> _Ending | None:
        """Deal with everything found so far, in the order in which it was said. What ends it, if anything."""
        while (event := self._find()) is not None:
            if event.ending is not None:
                return event.ending
            self._position = self._scanned = event.end
            self._answer(event.answer)
        if self._says_it_all():
            return _Ending(partial(Ended, Outcome.OK))
        return None

    def _says_it_all(self) -> bool:
        """A shell that is not waited for until its prompt has nothing more to say than what is expected."""
        waits = self._way is not Way.SHELL or self._script.until or not self._is_answered()
        return not waits and bool(self._script.expects) and not self._missing()

    def _find(self) -> _Event | None:
        """The earliest event; of two at the same place the longer one."""
        if self._echo and self._text[self._position :].strip():
            self._pass_echo()
        events = sorted(self._events(), key=lambda event: (event.start, -event.end))
        self._scanned = max(self._position, len(self._text) - self._longest + 1)
        return events[0] if events else None

    def _events(self) -> Iterator[_Event]:
        for needle, _ in self._script.refusals:
            if (at := self._text.find(needle, self._scanned)) >= 0:
                yield _Event(at, at + len(needle), ending=_Ending(partial(self._refused, at)))
        askable = dict(self._askable())
        for needle, number in askable.items():
            if (at := self._asked(needle)) >= 0:
                yield _Event(at, at + len(needle), answer=number)
        until = self._script.until
        if until and self._is_answered() and (at := self._last(until)) >= 0:
            yield _Event(at, at + len(until), ending=_Ending(partial(self._at_rest, at), stays=True))
        for needle in self._answered:
            if needle not in askable and (at := self._repeated(needle)) >= 0:
                yield _Event(at, at + len(needle), ending=_Ending(partial(self._asked_again, needle)))

    def _asked(self, needle: str) -> int:
        """Where a prompt stands, -1 if nowhere. In a greeting, and before the line that was typed last is
        repeated, only what comes last is one: a banner may hold what looks like it."""
        if self._greeting or self._echo:
            return self._last(needle)
        return self._text.find(needle, self._scanned)

    def _repeated(self, needle: str) -> int:
        return self._last(needle) if self._way is Way.SHELL else self._text.find(needle, self._scanned)

    def _last(self, needle: str) -> int:
        """Where the text stands that all which was said ends with, blanks apart; -1 if it does not."""
        said, needle = self._text.rstrip(" "), needle.rstrip(" ")
        at = len(said) - len(needle)
        return at if said.endswith(needle) and at >= self._position else -1

    def _pass_echo(self) -> None:
        """A shell repeats what is typed, and nothing in that is a prompt. A secret may be typed unseen: then
        the line ends at once, and what looks like it may be the beginning of the next prompt."""
        at = self._text.find(self._echo, max(self._position, self._scanned - len(self._echo)))
        comes_first = at >= 0 and not self._text[self._position : at].strip(" ")
        if at >= 0 and (self._echo_is_certain or comes_first):
            self._position = self._scanned = at + len(self._echo)
        if at >= 0 or not self._echo_is_certain:
            self._echo = ""

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
        self._greeting = False
        self._answered[prompt] = None
        self._send_line(text.wire.reveal(), text.shown)
        if self._way is Way.SHELL:
            self._echo = PlainText().feed(text.wire.reveal().encode()).strip()
            self._echo_is_certain = text.shown == text.wire.reveal()
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
        start = self._text.rfind("\n", 0, position + 1) + 1  # the refusal may begin with the end of a line
        line = self._text[start:].partition("\n")[0].strip()
        return Ended(outcome, self._transcript.redact(line)[:QUOTE_LIMIT])

    def _asked_again(self, prompt: str) -> Ended:
        """passwd(1) answers a refused password by asking again; what it said before tells why."""
        outcome = self._script.repeats.get(prompt, Outcome.SCRIPT_MISMATCH)
        before = self._text[self._position :].partition(prompt)[0]
        if self._way is Way.SHELL:  # whose prompt begins with what the template does not name
            before = self._text[self._position :].rpartition("\n")[0]
        said = self._quote(before)
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
        if told := self._told():
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
        if self._script.until:
            return self._mismatch(f"ended before {self._script.until!r}{self._last_words()}")
        return self._captured()

    def _at_rest(self, prompt: int) -> Ended:
        """The shell's prompt is back, and stays in its place for whatever is to be typed next."""
        if self._overflowed:
            return self._mismatch(f"more than {OUTPUT_LIMIT // 1024} KiB of output")
        rest = self._text[prompt:]
        if told := self._told():
            return Ended(Outcome.OK, facts=told, settled=True, rest=rest)
        ended = self._captured()
        return replace(ended, rest=rest) if ended.outcome is Outcome.OK else ended

    def _told(self) -> dict[str, str]:
        return {
            telling.name: telling.value for needle, telling in self._script.tellings if needle in self._text
        }

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
        if missing := self._missing():
            return self._mismatch(f"did not say {missing[0]!r}{self._last_words()}")
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
