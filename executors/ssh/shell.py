"""The login shell on a terminal, as a channel for conversations."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import paramiko

from executors.contract import Failure, Outcome, Target
from executors.ssh.login import AnyTransport
from executors.ssh.transport import Start

if TYPE_CHECKING:
    from executors.ssh.weak import WeakChannel

CHUNK: Final = 32768  # bytes


class ShellChannel:
    """`executors.terminal.channel.Channel` over an SSH channel."""

    def __init__(self, device: str, channel: paramiko.Channel | WeakChannel, transport: AnyTransport) -> None:
        self._device = device
        self._channel = channel
        self._transport = transport

    def send(self, data: bytes) -> None:
        try:
            self._channel.sendall(data)
        except OSError as error:  # a timeout too: it takes nothing more
            raise self._broken(error) from None

    def receive(self, seconds: float) -> bytes:
        self._channel.settimeout(seconds)
        try:
            data = self._channel.recv(CHUNK)
        except TimeoutError:
            raise
        except OSError as error:
            raise self._broken(error) from None
        if not data and not self._channel.eof_received and not self._transport.is_active():
            raise self._broken(EOFError("no end of the output came"))
        return data

    def close(self) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.close()

    def _broken(self, error: Exception) -> Failure:
        return Failure(
            Outcome.UNREACHABLE, f"{self._device}: the connection broke: {str(error) or 'no answer'}"
        )


def open_shell(target: Target, transport: AnyTransport) -> ShellChannel:
    """Raises Failure."""
    try:
        channel = transport.begin(Start(), target.read_timeout)
    except TimeoutError:
        raise Failure(Outcome.TIMEOUT, f"{target.device}: no answer to the request for a shell") from None
    except (OSError, EOFError, paramiko.SSHException) as error:
        outcome = Outcome.PERMISSION_DENIED if transport.is_active() else Outcome.UNREACHABLE
        raise Failure(outcome, f"{target.device}: the server gives no shell: {error}") from None
    return ShellChannel(target.device, channel, transport)
