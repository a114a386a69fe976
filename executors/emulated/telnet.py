"""An emulated device behind Telnet on loopback: RFC 854, with ECHO (857) and SUPPRESS-GO-AHEAD (858)."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Final, Self

from executors.emulated.console import Console, Piece
from executors.emulated.device import Served
from executors.emulated.serving import Background, deliver

IAC, DONT, DO, WONT, WILL, SUBNEGOTIATION, END = 255, 254, 253, 252, 251, 250, 240
INTERRUPT_PROCESS: Final = 244
ECHO, SUPPRESS_GO_AHEAD = 1, 3
OFFERED: Final = bytes((IAC, WILL, ECHO, IAC, WILL, SUPPRESS_GO_AHEAD))
READ: Final = 4096  # bytes


class _State(Enum):
    DATA = "data"
    COMMAND = "command"  # after IAC
    OPTION = "option"  # after WILL, WONT, DO, DONT
    INSIDE = "subnegotiation"
    INSIDE_COMMAND = "IAC within a subnegotiation"


@dataclass
class Negotiation:
    """Takes Telnet's commands out of what arrives and answers them, however they are cut.

    It offers to echo and to go on without signals, and refuses everything else. Answers are given to WILL
    and DO only, so that no two sides answer each other for ever.
    """

    _state: _State = _State.DATA
    _verb: int = 0

    def taken(self, data: bytes) -> tuple[bytes, bytes]:
        """What was typed, and what to answer."""
        typed, answers = bytearray(), bytearray()
        for byte in data:
            self._take(byte, typed, answers)
        return bytes(typed), bytes(answers)

    def _take(self, byte: int, typed: bytearray, answers: bytearray) -> None:
        if self._state is _State.DATA:
            if byte == IAC:
                self._state = _State.COMMAND
            else:
                typed.append(byte)
        elif self._state is _State.COMMAND:
            self._command(byte, typed)
        elif self._state is _State.OPTION:
            self._state = _State.DATA
            answers += _answer(self._verb, byte)
        elif self._state is _State.INSIDE:
            self._state = _State.INSIDE_COMMAND if byte == IAC else _State.INSIDE
        else:
            self._state = _State.DATA if byte == END else _State.INSIDE

    def _command(self, byte: int, typed: bytearray) -> None:
        self._state = _State.DATA
        if byte in (DO, DONT, WILL, WONT):
            self._verb, self._state = byte, _State.OPTION
        elif byte == SUBNEGOTIATION:
            self._state = _State.INSIDE
        elif byte == IAC:
            typed.append(IAC)
        elif byte == INTERRUPT_PROCESS:
            typed.append(3)


def _answer(verb: int, option: int) -> bytes:
    if verb == DO and option not in (ECHO, SUPPRESS_GO_AHEAD):
        return bytes((IAC, WONT, option))
    return bytes((IAC, DONT, option)) if verb == WILL else b""


class TelnetDevice:
    """`with TelnetDevice(device) as served:` listens at `served.address`, `served.port`; the device itself
    asks for the login.
    """

    address = "127.0.0.1"

    def __init__(self, device: Served, *, port: int = 0) -> None:
        self._device = device
        self._wanted = port
        self.port = 0

    def __enter__(self) -> Self:
        self._background = Background()
        try:
            self._server = self._background.run(asyncio.start_server(self._talk, self.address, self._wanted))
        except BaseException:
            self._background.stop()
            raise
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._background.run(self._close())
        self._background.stop()

    async def _close(self) -> None:
        self._server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        console = self._device.open()
        try:
            with contextlib.suppress(OSError):  # whoever asked has gone
                await _exchange(console, reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _exchange(console: Console, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    negotiation = Negotiation()
    writer.write(OFFERED)
    await deliver(_escaped(console.play(b"")), writer)
    while not console.over and (data := await reader.read(READ)):
        typed, answers = negotiation.taken(data)
        writer.write(answers)
        await deliver(_escaped(console.play(typed)), writer)


def _escaped(pieces: list[Piece]) -> list[Piece]:
    return [Piece(piece.after, re.sub(b"\xff", b"\xff\xff", piece.data)) for piece in pieces]
