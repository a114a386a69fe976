"""Several sections of one program, one after the other, on one terminal that somebody has opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from executors.contract import (
    Failure,
    Outcome,
    Program,
    Report,
    Section,
    Target,
    TemplateError,
    Transcript,
    Values,
)
from executors.terminal.channel import Channel, Clock, SystemClock
from executors.terminal.conversation import Conversation
from executors.terminal.program import CONNECT_TIMEOUT, FieldProgram


class TerminalConnection:
    """Stays open until `close`, whatever `end` says: a later section goes on where the one before stopped.

    Serves one job only: nobody knows what a script leaves on a terminal.
    """

    def __init__(
        self, channel: Channel, transcript: Transcript, close: Callable[[], None], clock: Clock | None = None
    ) -> None:
        self._conversation = Conversation(channel, transcript, clock or SystemClock())
        self._close = close
        self._is_closed = False

    def run(self, program: Program, section: Section, values: Values) -> Report:
        """Run one section once. Raises TemplateError, before anything is sent, for a value that does not fit,
        and Failure once it is closed."""
        if self._is_closed:
            raise Failure(Outcome.UNREACHABLE, f"the connection was closed before {section.value} began")
        if not isinstance(program, FieldProgram):
            raise TemplateError(0, "this is no template of the field's language")
        return self._conversation.run(program.steps(section), values)

    def close(self) -> None:
        """Never raises for a connection that is already gone."""
        self._is_closed = True
        self._close()


def timed(target: Target) -> Target:
    """With the time to connect that the program asks for."""
    settings: Mapping[str, str] = target.settings
    if CONNECT_TIMEOUT not in settings:
        return target
    return replace(target, connect_timeout=float(settings[CONNECT_TIMEOUT]))
