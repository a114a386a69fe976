"""Telnet as a channel: text comes out, commands are answered on the way, what breaks is named."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import cast

import pytest

from executors.contract import Failure, Outcome
from executors.ssh.transport import Link
from executors.telnet.wire import Wire


class Line:
    """The far end; what it gives next may be an error."""

    def __init__(self, gives: Iterable[bytes | Exception]) -> None:
        self._gives = iter(gives)
        self.sent = b""

    def settimeout(self, seconds: float) -> None:
        assert seconds > 0

    def recv(self, count: int) -> bytes:
        given = next(self._gives, TimeoutError())
        if isinstance(given, Exception):
            raise given
        return given[:count]

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.sent += b"closed"


def wire(*gives: bytes | Exception) -> tuple[Wire, Line]:
    line = Line(gives)
    return Wire("web1", cast("Link", line)), line


def test_commands_alone_are_nothing_to_read() -> None:
    found, line = wire(b"\xff\xfb\x01", b"\xff\xfd\x18", b"login: ")
    assert found.receive(5.0) == b"login: "
    assert line.sent == b"\xff\xfd\x01\xff\xfc\x18"


def test_commands_for_ever_are_silence() -> None:
    line = Line(itertools.repeat(b"\xff\xf1"))
    with pytest.raises(TimeoutError):
        Wire("web1", cast("Link", line)).receive(0.01)


def test_what_is_put_back_is_read_again_first() -> None:
    found, _ = wire(b"later")
    found.put_back(b"b")
    found.put_back(b"a")
    assert [found.receive(1.0), found.receive(1.0)] == [b"ab", b"later"]


def test_the_end_is_no_bytes() -> None:
    found, _ = wire(b"")
    assert found.receive(1.0) == b""


@pytest.mark.parametrize("broken", [ConnectionResetError("reset"), b"\xff\xfa" + b"x" * 5000])
def test_what_breaks_is_unreachable(broken: bytes | Exception) -> None:
    found, _ = wire(broken)
    with pytest.raises(Failure, match="web1: the connection broke") as caught:
        found.receive(1.0)
    assert caught.value.outcome is Outcome.UNREACHABLE


def test_silence_is_a_timeout() -> None:
    found, _ = wire()
    with pytest.raises(TimeoutError):
        found.receive(0.0)


def test_what_is_typed_is_escaped_and_closing_closes() -> None:
    found, line = wire()
    found.send(b"a\xff\n")
    found.close()
    assert line.sent == b"a\xff\xff\r\nclosed"
