"""An emulated device behind a real SSH server on loopback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import asyncssh

from executors.emulated.account import Access
from executors.emulated.console import Console
from executors.emulated.device import Served
from executors.emulated.serving import Background, deliver

READ: int = 4096  # bytes
OLD: Mapping[str, Any] = {
    "kex_algs": ["diffie-hellman-group14-sha1", "diffie-hellman-group1-sha1"],
    "encryption_algs": ["aes128-cbc", "3des-cbc"],
    "mac_algs": ["hmac-sha1"],
}


class SshDevice:
    """`with SshDevice(device) as served:` listens at `served.address`, `served.port`; a host key a start.

    `keyboard_interactive`: the server asks the password as a question instead of taking it as one. `old`:
    it speaks SHA-1 and CBC and nothing newer.
    """

    address = "127.0.0.1"

    def __init__(
        self, device: Served, *, port: int = 0, keyboard_interactive: bool = False, old: bool = False
    ) -> None:
        self._device = device
        self._wanted = port
        self._asks = keyboard_interactive
        self._old = old
        self.port = 0
        self.host_key = ""
        """As in known_hosts: kind and body."""

    def __enter__(self) -> Self:
        self._background = Background()
        try:
            self._acceptor = self._background.run(self._listen())
        except BaseException:
            self._background.stop()
            raise
        self.port = self._acceptor.get_port()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._background.run(self._close())
        self._background.stop()

    async def _listen(self) -> asyncssh.SSHAcceptor:
        key = asyncssh.generate_private_key("ssh-rsa" if self._old else "ssh-ed25519")
        self.host_key = " ".join(key.export_public_key().decode().split()[:2])
        self._connections: set[asyncssh.SSHServerConnection] = set()
        acceptor: asyncssh.SSHAcceptor = await asyncssh.listen(
            self.address,
            self._wanted,
            server_host_keys=_signing(key) if self._old else [key],
            **(OLD if self._old else {}),
            server_factory=lambda: _Door(self._device, self._connections, asks=self._asks),
            process_factory=self._talk,
            line_editor=False,
            encoding=None,
        )
        return acceptor

    async def _close(self) -> None:
        self._acceptor.close()
        for connection in list(self._connections):
            connection.abort()
        await self._acceptor.wait_closed()

    async def _talk(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        name = process.get_extra_info("username")
        console = self._device.open(name, process.command, terminal=process.term_type is not None)
        try:
            await self._exchange(process, console)
        except (OSError, asyncssh.Error):
            return  # whoever asked has gone
        if console.dropped:
            process.get_extra_info("connection").abort()
        else:
            process.exit(console.status)

    async def _exchange(self, process: asyncssh.SSHServerProcess[bytes], console: Console) -> None:
        await deliver(console.play(b""), process.stdout)
        while not console.over:
            try:
                data = await process.stdin.read(READ)
            except asyncssh.TerminalSizeChanged:
                continue
            except (asyncssh.BreakReceived, asyncssh.SignalReceived):
                data = b"\x03"
            await deliver(console.play(data) if data else console.end_of_input(), process.stdout)
            if not data and console.silent:
                await process.channel.wait_closed()
                raise ConnectionResetError


def _signing(key: asyncssh.SSHKey) -> Sequence[asyncssh.SSHKeyPair]:
    """The key as one that signs with SHA-1 only."""
    pairs = asyncssh.load_keypairs([key])
    for pair in pairs:
        pair.host_key_algorithms = [b"ssh-rsa"]
    return pairs


class _Door(asyncssh.SSHServer):
    """The server's side of authentication. `asks`: the password is a question's answer."""

    def __init__(self, device: Served, connections: set[asyncssh.SSHServerConnection], *, asks: bool) -> None:
        self._device = device
        self._connections = connections
        self._asks = asks

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._connections.discard(self._connection)

    def password_auth_supported(self) -> bool:
        return not self._asks

    def validate_password(self, username: str, password: str) -> bool:
        return self._device.authenticate(username, password) is Access.OPENS

    def kbdint_auth_supported(self) -> bool:
        return self._asks

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:  # noqa: ARG002
        return "", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool:
        return len(responses) == 1 and self._device.authenticate(username, responses[0]) is Access.OPENS
