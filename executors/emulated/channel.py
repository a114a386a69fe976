"""A console as the channel of a conversation, with a clock that jumps: a dialogue takes milliseconds."""

from __future__ import annotations

from typing import Final

from executors.emulated.console import Console, Piece

WHOLE: Final = 64 * 1024  # bytes a read


class JumpingClock:
    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class ConsoleChannel:
    """`executors.terminal.channel.Channel` over a console. `chunk`: the most bytes that one read gives.

    `clock` goes on by what is waited for; give `clock.now` to the device if its changes come late.
    """

    def __init__(self, console: Console, *, clock: JumpingClock | None = None, chunk: int = WHOLE) -> None:
        self.clock = clock or JumpingClock()
        self._console = console
        self._chunk = chunk
        self._pieces: list[Piece] = console.play(b"")

    @property
    def unread(self) -> bytes:
        """What the device has said and nobody has read yet."""
        return b"".join(piece.data for piece in self._pieces)

    def send(self, data: bytes) -> None:
        self._pieces += self._console.play(data)

    def receive(self, seconds: float) -> bytes:
        while self._pieces:
            piece = self._pieces.pop(0)
            if piece.after > seconds:
                self._pieces.insert(0, Piece(piece.after - seconds, piece.data))
                break
            self.clock.sleep(piece.after)
            seconds -= piece.after
            if len(piece.data) > self._chunk:
                self._pieces.insert(0, Piece(0.0, piece.data[self._chunk :]))
            if piece.data:
                return piece.data[: self._chunk]
        if self._console.over and not self._pieces:
            return b""
        self.clock.sleep(seconds)
        raise TimeoutError
