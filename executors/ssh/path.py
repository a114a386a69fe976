"""The way to a target: TCP, or through a jump host that is logged in to first and has its own pinned key."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import paramiko

from executors.contract import Failure, Hop, Outcome, Target, Transcript
from executors.ssh import host_keys
from executors.ssh.login import log_in, prepare
from executors.ssh.transport import Link, Transport, exchange_keys


@dataclass(frozen=True, slots=True)
class Path:
    """A transport whose host key is checked, and the jump host that it goes through."""

    transport: Transport
    through: Path | None = None

    def close(self) -> None:
        """From the far end to the near one. Never raises."""
        self.transport.hang_up()
        if self.through is not None:
            self.through.close()


def link(target: Target, transcript: Transcript) -> tuple[Link, Path | None]:
    """The bare connection, and the jump host that it goes through, if there is one. Raises Failure."""
    through = None if target.jump is None else _jump(target.jump, transcript)
    try:
        return _link(target, through), through
    except BaseException:
        if through is not None:
            through.close()
        raise


def reach(target: Target, transcript: Transcript) -> Path:
    """Connect and exchange keys; nobody has logged in yet, except at jump hosts. Raises Failure."""
    offered = host_keys.algorithms(target)
    wire, through = link(target, transcript)
    try:
        return Path(exchange_keys(target, wire, offered, transcript), through)
    except BaseException:
        if through is not None:
            through.close()
        raise


def _jump(hop: Hop, transcript: Transcript) -> Path:
    key = prepare(hop.login)
    path = reach(hop.target, transcript)
    try:
        log_in(path.transport, hop.target, hop.login, key, transcript)
    except BaseException:
        path.close()
        raise
    return path


def _link(target: Target, through: Path | None) -> Link:
    address = (target.address, target.port)
    try:
        if through is not None:
            return through.transport.open_channel(
                "direct-tcpip", address, ("127.0.0.1", 0), timeout=target.connect_timeout
            )
        link = socket.create_connection(address, target.connect_timeout)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (OSError, EOFError, UnicodeError, paramiko.SSHException) as error:
        way = " through the jump host" if through else ""
        raise Failure(
            Outcome.UNREACHABLE,
            f"{target.device}: no connection to {address[0]} port {address[1]}{way}: {error}",
        ) from None
    return link
