"""The way to a target: TCP, or through a jump host that is logged in to first and has its own pinned key."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import paramiko

from executors.contract import Failure, Hop, Login, Outcome, Target, Transcript
from executors.ssh import host_keys
from executors.ssh.login import AnyTransport, log_in, prepare
from executors.ssh.transport import Link, exchange_keys


@dataclass(frozen=True, slots=True)
class Path:
    """A transport whose host key is checked, and the jump host that it goes through."""

    transport: AnyTransport
    through: Path | None = None

    def close(self) -> None:
        """From the far end to the near one. Never raises."""
        self.transport.hang_up()
        if self.through is not None:
            self.through.close()


def link(target: Target, transcript: Transcript) -> tuple[Link, Path | None]:
    """The bare connection, and the jump host that it goes through, if there is one. Raises Failure."""
    through = (
        None if target.jump is None else _jump(target.jump, transcript, weak=_is_weak(target.jump.target))
    )
    try:
        return _link(target, through), through
    except BaseException:
        if through is not None:
            through.close()
        raise


def reach(target: Target, login: Login, transcript: Transcript) -> Path:
    """Connect and exchange keys for `login`, who has not logged in yet, unlike at jump hosts. Raises
    Failure."""
    return _reach(target, login, transcript, weak=_is_weak(target))


def _is_weak(target: Target) -> bool:
    """Whether any device on the way has the consent: then the whole way is asyncssh's."""
    return target.weak_algorithms or (target.jump is not None and _is_weak(target.jump.target))


def _reach(target: Target, login: Login, transcript: Transcript, *, weak: bool) -> Path:
    offered = host_keys.algorithms(target)
    through = None if target.jump is None else _jump(target.jump, transcript, weak=weak)
    try:
        return Path(_transport(target, login, offered, transcript, through, weak=weak), through)
    except BaseException:
        if through is not None:
            through.close()
        raise


def _transport(
    target: Target,
    login: Login,
    offered: list[str],
    transcript: Transcript,
    through: Path | None,
    *,
    weak: bool,
) -> AnyTransport:
    if not weak:
        wire = _link(target, through)
        assert isinstance(wire, socket.socket | paramiko.Channel)
        return exchange_keys(target, wire, offered, transcript)
    from executors.ssh.weak import WeakTransport  # asyncssh costs most devices nothing

    if through is not None:
        assert isinstance(through.transport, WeakTransport)
        return WeakTransport(target, login, offered, transcript, None, through.transport)
    wire = _link(target, None)
    assert isinstance(wire, socket.socket)
    return WeakTransport(target, login, offered, transcript, wire, None)


def _jump(hop: Hop, transcript: Transcript, *, weak: bool) -> Path:
    key = prepare(hop.login)
    path = _reach(hop.target, hop.login, transcript, weak=weak)
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
