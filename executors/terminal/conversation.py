"""One template's dialogue with a terminal: wait, type, watch, by the rules of the field's language.

- A match is searched for in what arrived since the last one and consumes through its end.
- `no-expect` watches until the target is quiet or the read timeout, and its text stays
  forbidden until the next line is sent: a slow error counts as well. It consumes nothing.
- A wait that directly follows a wait, with nothing new from the target in between, is satisfied by what the
  last one matched (`expect "#"`, `sleep 20`, `expect "#"`).
- A line sent without a wait after the one before first waits until the target is quiet, or shows the prompt
  that `set-prompt` names.
- So does the first line: what looks like a prompt may stand in a banner that is still coming. And a wait
  that was satisfied by what had come before the last line says nothing about that line, so the next one is
  sent, and the connection closed, when the target is quiet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from executors.contract import Failure, Outcome, Report, StepRecord, Transcript, Values
from executors.contract.parts import MASK
from executors.language import tcl
from executors.language.patterns import Matcher, Span
from executors.language.steps import End, NewLine, SetNewLine, SetTimeout, Sleep, Step, Timer, walk
from executors.terminal.channel import Channel, Clock, SystemClock
from executors.terminal.ready import Awaiting, Choice, Forbidding, Prompting, Ready, Typing, ready
from executors.terminal.screen import Screen

READ_SECONDS: Final = 5.0  # of each wait, if the template says nothing
TCL_READ_SECONDS: Final = 10.0  # the same for Tcl, expect(1)
LEAST_CONNECT_SECONDS: Final = 5.0  # templates say 1, which real networks do not keep
LEAST_READ_SECONDS: Final = 1.0
LONGEST_READ_SECONDS: Final = 600.0
QUIET_SECONDS: Final = 2.0  # without a byte, after which a target has said what it had to say
PACE_SECONDS: Final = 0.5  # the same between lines sent without a wait
SETTLE_SECONDS: Final = 0.05  # for more of what ends a regular expression's match
MOST_OUTPUT: Final = 8 * 1024 * 1024  # bytes of a whole run
MOST_ROUNDS: Final = 200  # of exp_continue within one expect
QUOTED: Final = 200  # characters of the target's words in a message


class Next(StrEnum):
    """What follows a list of steps."""

    GO_ON = "go on"
    AGAIN = "again"  # exp_continue
    END = "end"


@dataclass(slots=True)
class Watch:
    """A forbidden text, looked for from here on in what arrives."""

    line: int
    matcher: Matcher


def converse(
    channel: Channel,
    steps: Sequence[Step],
    values: Values,
    transcript: Transcript,
    clock: Clock | None = None,
) -> Report:
    """Carry the dialogue to its end. Raises TemplateError, before the first byte, for a value not fit."""
    return Conversation(channel, transcript, clock or SystemClock()).run(steps, values)


def connect_seconds(steps: Sequence[Step], default: float) -> float:
    """How long connecting may take."""
    said = [step.seconds for step in steps if isinstance(step, SetTimeout) and step.timer is Timer.CONNECT]
    return max(LEAST_CONNECT_SECONDS, said[-1]) if said else default


class Conversation:
    """One terminal's. Several runs may follow each other on it: each goes on where the one before stopped."""

    def __init__(self, channel: Channel, transcript: Transcript, clock: Clock) -> None:
        self._records: list[StepRecord] = []
        self._channel = channel
        self._transcript = transcript
        self._clock = clock
        self._read_seconds = READ_SECONDS
        self._new_line = NewLine.UNIX
        self._screen = Screen()
        self._watches: list[Watch] = []
        self._prompt: Matcher | None = None
        self._received = 0  # bytes
        self._ended = False
        # The target may still be speaking: nothing was waited for since the last line.
        self._unanswered = True
        self._has_typed = False
        self._older = 0  # characters of the screen's text that came before the last line was sent
        self._last_match: str | None = None  # None once something was sent
        self._news = False  # the target said something since the last match

    def run(self, steps: Sequence[Step], values: Values) -> Report:
        """Carry out one section. Raises TemplateError, before the first byte, for a value that is not fit."""
        prepared = ready(steps, values)
        self._records = []
        self._new_line = NewLine.UNIX
        is_tcl = any(isinstance(step, tcl.Expect) for step in walk(steps))
        self._read_seconds = TCL_READ_SECONDS if is_tcl else READ_SECONDS
        outcome, message = Outcome.OK, ""
        try:
            if self._perform(prepared) is Next.AGAIN:
                raise Failure(Outcome.BAD_TEMPLATE, "exp_continue stands outside of any expect")
            self._wind_up()
        except Failure as failure:
            outcome, message = failure.outcome, failure.message
        return Report(outcome, message, steps=tuple(self._records))

    def _perform(self, steps: Sequence[Ready]) -> Next:
        for step in steps:
            following = self._timed(step)
            if following is not Next.GO_ON:
                return following
        return Next.GO_ON

    def _wind_up(self) -> None:
        """Let the last line be carried out before the connection is closed."""
        if self._unanswered and not self._ended:
            self._until_quiet(PACE_SECONDS, self._read_seconds)

    def _timed(self, step: Ready) -> Next:
        begun = self._clock.now()
        outcome = Outcome.OK
        try:
            return self._one(step)
        except Failure as failure:
            outcome = failure.outcome
            raise
        finally:
            milliseconds = int((self._clock.now() - begun) * 1000)
            self._records.append(StepRecord(step.line, _shown(step), outcome, milliseconds))

    def _one(self, step: Ready) -> Next:
        if isinstance(step, Typing):
            self._type(step)
        elif isinstance(step, Awaiting):
            return self._await(step)
        elif isinstance(step, Forbidding):
            self._forbid(step)
        elif isinstance(step, tcl.Exit):
            if step.status:
                raise Failure(
                    Outcome.SCRIPT_MISMATCH, f"the script ended with exit {step.status}{self._last_words()}"
                )
            return Next.END
        elif isinstance(step, tcl.Continue):
            return Next.AGAIN
        elif isinstance(step, End):
            return Next.END
        else:
            self._set(step)
        return Next.GO_ON

    def _set(self, step: Ready) -> None:
        if isinstance(step, Sleep):
            self._listen(step.seconds)
        elif isinstance(step, SetTimeout) and step.timer is Timer.READ:
            self._read_seconds = min(LONGEST_READ_SECONDS, max(LEAST_READ_SECONDS, step.seconds))
        elif isinstance(step, SetNewLine):
            self._new_line = step.mode
        elif isinstance(step, Prompting):
            self._prompt = step.matcher

    # Typing

    def _type(self, step: Typing) -> None:
        if self._unanswered:
            self._pace()
        elif not self._has_typed:
            self._until_quiet(PACE_SECONDS, READ_SECONDS)
        if self._ended:
            raise Failure(Outcome.UNREACHABLE, f"the target had closed the connection{self._last_words()}")
        text = step.wire.reveal()
        self._transcript.sent(step.shown.rstrip("\r\n"))
        self._watches = []
        self._last_match = None
        ends_line = step.newline or text.endswith(("\r", "\n"))
        is_secret = step.shown.rstrip("\r\n") == MASK != text
        self._screen.typed(text.rstrip("\r\n"), ends_line=ends_line, is_secret=is_secret)
        self._channel.send((text + (self._new_line.characters if step.newline else "")).encode())
        self._has_typed, self._older = True, len(self._screen.text)
        self._unanswered = ends_line
        self._news = False

    def _pace(self) -> None:
        """Wait for the prompt if it is known, else for quiet. At first the target may take its time."""
        deadline = self._clock.now() + self._read_seconds
        while self._prompt is not None:
            span = self._prompt.find(self._screen.text, 0)
            if span is not None:
                self._screen.consume(span[1])
                return
            left = deadline - self._clock.now()
            if left <= 0 or not self._hear(min(QUIET_SECONDS, left)):
                return
        if not self._received:
            self._hear(self._read_seconds)
        self._until_quiet(PACE_SECONDS, self._read_seconds)

    # Waiting

    def _await(self, step: Awaiting) -> Next:
        for _ in range(MOST_ROUNDS):
            choice = self._chosen(step)
            following = self._perform(choice.body)
            if following is not Next.AGAIN:
                return following
        raise Failure(
            Outcome.SCRIPT_MISMATCH, f"went round more than {MOST_ROUNDS} times{self._last_words()}"
        )

    def _chosen(self, step: Awaiting) -> Choice:
        deadline = self._clock.now() + self._read_seconds
        while True:
            found = self._earliest(step.choices)
            if found is not None:
                choice, span, can_grow = found
                if not (can_grow and span[1] == len(self._screen.text) and self._hear(SETTLE_SECONDS)):
                    return self._matched(choice, span)
                continue
            left = deadline - self._clock.now()
            if self._ended or left <= 0:
                return self._unmet(step)
            if not self._nothing_since_match():
                self._hear(left)
            elif not self._hear(min(left, QUIET_SECONDS)) and not self._ended:
                again = self._rearmed(step.choices)
                if again is not None:
                    return again

    def _nothing_since_match(self) -> bool:
        return self._last_match is not None and not self._news

    def _earliest(self, choices: Sequence[Choice]) -> tuple[Choice, Span, bool] | None:
        """The match that ends first; a forbidden text that ends before it fails the run."""
        found: tuple[Choice, Span, bool] | None = None
        for choice in choices:
            if choice.matcher is None:
                continue
            span = choice.matcher.find(self._screen.text, 0)
            if span is not None and (found is None or span[1] < found[1][1]):
                found = choice, span, choice.matcher.can_grow
        self._check_watches(found[1][1] if found else len(self._screen.text))
        return found

    def _matched(self, choice: Choice, span: Span) -> Choice:
        self._last_match = self._screen.text[span[0] : span[1]]
        self._screen.consume(span[1])
        self._screen.matched()
        self._unanswered = 0 < span[1] <= self._older
        self._older = max(0, self._older - span[1])
        self._news = bool(self._screen.text.strip())
        return choice

    def _rearmed(self, choices: Sequence[Choice]) -> Choice | None:
        """Nothing new came since the last match: look at that match again."""
        last = self._last_match or ""
        whole = last + self._screen.text
        for choice in choices:
            span = choice.matcher.find(whole, 0) if choice.matcher else None
            if span is not None:
                self._last_match = whole[span[0] : span[1]]
                self._screen.consume(max(0, span[1] - len(last)))
                return choice
        return None

    def _unmet(self, step: Awaiting) -> Choice:
        event = tcl.On.EOF if self._ended else tcl.On.TIMEOUT
        for choice in step.choices:
            if choice.on in (event, tcl.On.DEFAULT):
                self._unanswered = False
                return choice
        if self._ended:
            raise self._failure(
                Outcome.UNREACHABLE, f"the target closed the connection before {step.shown!r} came"
            )
        outcome = Outcome.SCRIPT_MISMATCH if self._screen.text.strip() else Outcome.TIMEOUT
        raise self._failure(outcome, f"waited {self._read_seconds:g} s for {step.shown!r}")

    # Watching

    def _forbid(self, step: Forbidding) -> None:
        self._watches.append(Watch(step.line, step.matcher))
        deadline = self._clock.now() + self._read_seconds
        while True:
            self._check_watches(len(self._screen.text))
            left = deadline - self._clock.now()
            has_spoken = bool(self._screen.text.strip())
            if self._ended or left <= 0 or not self._hear(min(left, QUIET_SECONDS) if has_spoken else left):
                break
        self._check_watches(len(self._screen.text))
        self._unanswered = False

    def _check_watches(self, end: int) -> None:
        for watch in self._watches:
            span = watch.matcher.find(self._screen.text[:end], 0)
            if span is not None:
                said = self._line_at(span[0])
                raise self._failure(
                    Outcome.SCRIPT_MISMATCH, f"line {watch.line} forbids what the target said: {said}"
                )

    # Hearing

    def _hear(self, seconds: float) -> bool:
        """Whether something came within the time. Ended is not heard."""
        if self._ended:
            return False
        try:
            data = self._channel.receive(max(0.0, seconds))
        except TimeoutError:
            self._screen.rest()
            return False
        if not data:
            self._screen.rest()
            self._ended = True
            return False
        self._received += len(data)
        if self._received > MOST_OUTPUT:
            raise self._failure(
                Outcome.SCRIPT_MISMATCH, f"more than {MOST_OUTPUT // 1024 // 1024} MiB of output"
            )
        text = self._screen.feed(data)
        self._transcript.received(text)
        self._news = self._news or bool(text.strip())
        return True

    def _until_quiet(self, quiet: float, limit: float) -> None:
        deadline = self._clock.now() + limit
        while (left := deadline - self._clock.now()) > 0 and self._hear(min(quiet, left)):
            pass

    def _listen(self, seconds: float) -> None:
        """Sleep, and hear what is said meanwhile."""
        deadline = self._clock.now() + seconds
        while (left := deadline - self._clock.now()) > 0:
            if self._ended:
                self._clock.sleep(left)
            else:
                self._hear(left)

    # Words

    def _failure(self, outcome: Outcome, message: str) -> Failure:
        return Failure(
            outcome, self._transcript.redact(message + ("" if "said:" in message else self._last_words()))
        )

    def _line_at(self, place: int) -> str:
        start = self._screen.text.rfind("\n", 0, place) + 1
        return self._transcript.redact(self._screen.text[start:].partition("\n")[0].strip())[:QUOTED]

    def _last_words(self) -> str:
        lines = (self._last_match or "") + self._screen.text
        line = next((line.strip() for line in reversed(lines.split("\n")) if line.strip()), "")
        return f"; last it said: {self._transcript.redact(line)[:QUOTED]}" if line else ""


def _shown(step: Ready) -> str:
    if isinstance(step, Typing):
        return f"send {step.shown.rstrip()}"
    if isinstance(step, Awaiting):
        return f"wait for {step.shown}"
    if isinstance(step, Forbidding):
        return f"forbid {step.shown}"
    return type(step).__name__.lower()
