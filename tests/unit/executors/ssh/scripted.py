"""A channel in memory: the target's side of a dialogue is a script, and what is sent is compared with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from executors.ssh.dialogue import REST_SECONDS


@dataclass(frozen=True, slots=True)
class Says:
    data: bytes


@dataclass(frozen=True, slots=True)
class Hears:
    data: bytes


@dataclass(frozen=True, slots=True)
class HearsEnd:
    """The end of standard input."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing more comes until the timeout."""


@dataclass(frozen=True, slots=True)
class Exits:
    """The end; None stands for no exit status."""

    status: int | None


Turn = Says | Hears | HearsEnd | Silence | Exits


class ScriptedStream:
    """Hands out what the target says, at most `chunk` bytes a read, once everything before it has been heard.

    After the script, an interrupt and the end of input are accepted: the target has ended.
    """

    def __init__(self, turns: Sequence[Turn], chunk: int) -> None:
        self._turns = list(turns)
        self._chunk = chunk
        self._heard = b""
        self.interrupted = False

    def receive(self, seconds: float) -> bytes:
        assert seconds >= 0
        turn = self._turns[0] if self._turns else Exits(None)
        if isinstance(turn, Says):
            data, rest = turn.data[: self._chunk], turn.data[self._chunk :]
            self._turns[:1] = [Says(rest)] if rest else []
            return data
        if isinstance(turn, Silence):
            self._turns.pop(0)
            raise TimeoutError
        if isinstance(turn, Exits):
            return b""
        if isinstance(turn, Hears) and seconds <= REST_SECONDS:
            raise TimeoutError
        raise AssertionError(f"the target waits for {turn}, but is read from; heard so far: {self._heard!r}")

    def send(self, data: bytes) -> None:
        if data == b"\x03":
            self.interrupted = True
            self._turns = [turn for turn in self._turns if isinstance(turn, Says | Exits)]
            return
        expected = self._turns.pop(self._blanks_in_flight())
        assert isinstance(expected, Hears), f"sent {data!r}, but the target was at {expected}"
        assert data == expected.data
        self._heard += data

    def _blanks_in_flight(self) -> int:
        """A prompt may be answered while the blank after it is still on its way."""
        turn = self._turns[0]
        return int(isinstance(turn, Says) and not turn.data.strip())

    def end_input(self) -> None:
        if self._turns and isinstance(self._turns[0], HearsEnd):
            self._turns.pop(0)

    def exit_status(self, seconds: float) -> int | None:
        assert seconds >= 0
        turn = self._turns[0]
        assert isinstance(turn, Exits)
        return turn.status

    @property
    def finished(self) -> bool:
        """Whether everything in the script has happened but the end."""
        return all(isinstance(turn, Exits) for turn in self._turns)
