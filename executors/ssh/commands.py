"""The commands of a section, one after the other: each on a stream of its own, but for a shell that rests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Protocol

from executors.contract import Outcome, Report, StepRecord, Transcript
from executors.ssh.dialogue import Ended, Stream, converse
from executors.ssh.program import Script, Way


class Open(Stream, Protocol):
    """A stream that somebody has opened and that has to be closed."""

    def close(self) -> None: ...


class Commands:
    """`opened` begins a script's command on a new stream. A shell that waits at its prompt is kept for the
    next `shell`; any other command ends it."""

    def __init__(
        self, opened: Callable[[Script, float], Open], transcript: Transcript, silence: float
    ) -> None:
        """`silence`: seconds without a byte after which a command that says nothing else is given up."""
        self._opened = opened
        self._transcript = transcript
        self._silence = silence
        self._kept: tuple[Open, str] | None = None

    def run(self, scripts: Iterable[Script]) -> Report:
        """Stops at the first that does not end well. Raises Failure for a broken connection."""
        facts: dict[str, str] = {}
        steps: list[StepRecord] = []
        for script in scripts:
            started = time.monotonic()
            ended = self.perform(script)
            took = round((time.monotonic() - started) * 1000)
            steps.append(StepRecord(script.command.line, script.shown, ended.outcome, took))
            facts.update(ended.facts)
            if ended.outcome is not Outcome.OK or ended.settled:
                return Report(ended.outcome, ended.message, facts, tuple(steps))
        return Report(Outcome.OK, facts=facts, steps=tuple(steps))

    def perform(self, script: Script) -> Ended:
        """One command from its start to its end. Raises Failure for a broken connection."""
        self._transcript.sent(script.shown)
        silence = script.command.timeout or self._silence
        stream, heard = self._stream(script, silence)
        try:
            ended = converse(stream, script, self._transcript, silence, heard)
        except BaseException:
            stream.close()
            raise
        if ended.rest is None:
            stream.close()
        else:
            self._kept = stream, ended.rest
        return ended

    def at_rest(self) -> bool:
        """Whether no shell is left where a command has brought it."""
        return self._kept is None

    def close(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept[0].close()

    def _stream(self, script: Script, silence: float) -> tuple[Open, str]:
        if self._kept is not None and script.command.way is Way.SHELL:
            kept, self._kept = self._kept, None
            return kept
        self.close()
        return self._opened(script, silence), ""
