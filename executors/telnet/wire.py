"""Telnet's bytes (RFC 854) as a channel: its commands are answered and taken out, text goes through.

A reader of our own rather than telnetlib3, which is asyncio: the executors are synchronous and run one job a
process, and what is needed is small and has to be bounded. Options are refused but for ECHO (857) and
SUPPRESS-GO-AHEAD (858), which the far end may do, and NAWS (1073), by which we say how wide we are: lines
that wrap cannot be matched.
"""

from __future__ import annotations

import contextlib
import re
import time
from typing import Final

import paramiko

from executors.contract import Failure, Outcome, Target, Transcript
from executors.ssh.path import Path, link
from executors.ssh.transport import Link

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
ECHO, SUPPRESS_GO_AHEAD, NAWS = 1, 3, 31
THEY_MAY: Final = frozenset({ECHO, SUPPRESS_GO_AHEAD})
WE_MAY: Final = frozenset({SUPPRESS_GO_AHEAD, NAWS})
COLUMNS, ROWS = 1000, 24
OUR_SIZE: Final = bytes((IAC, SB, NAWS, *COLUMNS.to_bytes(2, "big"), *ROWS.to_bytes(2, "big"), IAC, SE))
CHUNK: Final = 32768  # bytes
LONGEST_COMMAND: Final = 4096  # bytes between IAC SB and IAC SE
MOST_ANSWERS: Final = 256  # a far end that negotiates for ever is left without an answer
LINE_END: Final = re.compile(rb"\r\n|\n|\r")


class Negotiation:
    """Takes commands out of what arrives, however it is cut, and says what to answer.

    Each option is answered when the answer would be a new one, so that no two sides answer each other for
    ever.
    """

    def __init__(self) -> None:
        self._held = b""
        self._last: dict[tuple[bool, int], int] = {}  # by whose option it is and which: our last answer
        self._answers = 0

    def taken(self, data: bytes) -> tuple[bytes, bytes]:
        """The text, and the answers. Raises ValueError for a command without end."""
        data = self._held + data
        text, answers, at = bytearray(), bytearray(), 0
        while (start := data.find(IAC, at)) >= 0:
            text += data[at:start]
            length = _length(data, start)
            if not length:
                at = start
                break
            command = data[start : start + length]
            if command == bytes((IAC, IAC)):
                text.append(IAC)
            elif length == 3:
                answers += self._answer(command[1], command[2])
            at = start + length
        else:
            text += data[at:]
            at = len(data)
        self._held = data[at:]
        if len(self._held) > LONGEST_COMMAND:
            raise ValueError("a command of its protocol does not end")
        return bytes(text), bytes(answers)

    def _answer(self, verb: int, option: int) -> bytes:
        theirs = verb in (WILL, WONT)
        if theirs:
            reply = DO if verb == WILL and option in THEY_MAY else DONT
        else:
            reply = WILL if verb == DO and option in WE_MAY else WONT
        refusal = DONT if theirs else WONT
        was = self._last.get((theirs, option), refusal if verb in (WONT, DONT) else None)
        if was == reply or self._answers >= MOST_ANSWERS:
            return b""
        self._last[theirs, option] = reply
        self._answers += 1
        return bytes((IAC, reply, option)) + (OUR_SIZE if (reply, option) == (WILL, NAWS) else b"")


def _length(data: bytes, start: int) -> int:
    """Of the command at this place; 0 if its end has not come."""
    if start + 1 >= len(data):
        return 0
    verb = data[start + 1]
    if verb in (DO, DONT, WILL, WONT):
        return 3 if start + 2 < len(data) else 0
    if verb != SB:
        return 2
    at = start + 2
    while (at := data.find(IAC, at)) >= 0 and at + 1 < len(data):
        if data[at + 1] == SE:
            return at + 2 - start
        at += 2  # IAC IAC is a byte of the content
    return 0


def escaped(data: bytes) -> bytes:
    """A line end is CR LF, a carriage return alone CR NUL (RFC 854); a byte 255 is doubled."""
    ends = LINE_END.sub(lambda match: b"\r\0" if match[0] == b"\r" else b"\r\n", data)
    return ends.replace(b"\xff", b"\xff\xff")


class Wire:
    """`executors.terminal.channel.Channel` over Telnet. What was read can be put back, to be read again."""

    def __init__(self, device: str, link: Link, through: Path | None = None) -> None:
        self._device = device
        self._link = link
        self._through = through
        self._negotiation = Negotiation()
        self._again = b""

    def send(self, data: bytes) -> None:
        self._send(escaped(data))

    def receive(self, seconds: float) -> bytes:
        if self._again:
            data, self._again = self._again, b""
            return data
        deadline = time.monotonic() + seconds
        while True:
            raw = self._read(deadline - time.monotonic())
            if not raw:
                return b""
            try:
                text, answers = self._negotiation.taken(raw)
            except ValueError as error:
                raise self._broken(error) from None
            if answers:
                self._send(answers)
            if text:
                return text
            if time.monotonic() >= deadline:
                raise TimeoutError

    def put_back(self, data: bytes) -> None:
        self._again = data + self._again

    def close(self) -> None:
        """Never raises."""
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._link.close()
        if self._through is not None:
            self._through.close()

    def _read(self, seconds: float) -> bytes:
        self._link.settimeout(max(0.001, seconds))  # 0 would mean: without waiting, by another error
        try:
            return self._link.recv(CHUNK)
        except TimeoutError:
            raise
        except OSError as error:
            raise self._broken(error) from None

    def _send(self, data: bytes) -> None:
        try:
            self._link.sendall(data)
        except OSError as error:
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> Failure:
        return Failure(Outcome.UNREACHABLE, f"{self._device}: the connection broke: {error}")


def reach(target: Target, transcript: Transcript) -> Wire:
    """Connect; nobody has logged in yet. Raises Failure."""
    if not target.cleartext:
        raise Failure(
            Outcome.UNTRUSTED_HOST,
            f"{target.device}: telnet sends secrets where others can read them, and this device does not "
            "allow it; use ssh, or allow it for this device: cleartext",
        )
    connection, through = link(target, transcript)
    transcript.note(f"telnet to {target.device}: nothing is encrypted")
    return Wire(target.device, connection, through)
