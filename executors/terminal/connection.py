"""Several sections of one program, one after the other, on one terminal that somebody has opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from executors.contract import (
    COMMON_ENCODERS,
    Failure,
    Outcome,
    Program,
    Report,
    Section,
    Target,
    TemplateError,
    Transcript,
    Values,
    join,
)
from executors.language.steps import Send, Step, walk
from executors.terminal.channel import Channel, Clock, SystemClock
from executors.terminal.conversation import Conversation
from executors.terminal.program import CONNECT_TIMEOUT, FieldProgram
from executors.terminal.recording import RecordedChannel, Recorder, Source


class TerminalConnection:
    """Stays open until `close`, whatever `end` says: a later section goes on where the one before stopped.

    Serves one job only: nobody knows what a script leaves on a terminal.
    """

    def __init__(
        self, channel: Channel, transcript: Transcript, close: Callable[[], None], clock: Clock | None = None
    ) -> None:
        self._channel = channel
        self._transcript = transcript
        self._clock = clock or SystemClock()
        self._conversation = Conversation(channel, transcript, self._clock)
        self._recorder: Recorder | None = None
        self._close = close
        self._is_closed = False

    def run(self, program: Program, section: Section, values: Values) -> Report:
        """Run one section once. Raises TemplateError, before anything is sent, for a value that does not fit,
        and Failure once it is closed."""
        if self._is_closed:
            raise Failure(Outcome.UNREACHABLE, f"the connection was closed before {section.value} began")
        if not isinstance(program, FieldProgram):
            raise TemplateError(0, "this is no template of the field's language")
        steps = program.steps(section)
        if self._recorder is not None:
            self._recorder.begins(_sources(steps, values))
        return self._conversation.run(steps, values)

    def record(self, recorder: Recorder) -> None:
        """Note the dialogue from its beginning: nothing has been run yet."""
        self._recorder = recorder
        channel = RecordedChannel(self._channel, recorder)
        self._conversation = Conversation(channel, self._transcript, self._clock)

    def close(self) -> None:
        """Never raises for a connection that is already gone."""
        self._is_closed = True
        self._close()


def _sources(steps: Sequence[Step], values: Values) -> list[Source]:
    texts = [step.text for step in walk(steps) if isinstance(step, Send)]
    return [Source(join(text, values, COMMON_ENCODERS, "line").wire, text) for text in texts]


def timed(target: Target) -> Target:
    """With the time to connect that the program asks for."""
    settings: Mapping[str, str] = target.settings
    if CONNECT_TIMEOUT not in settings:
        return target
    return replace(target, connect_timeout=float(settings[CONNECT_TIMEOUT]))
