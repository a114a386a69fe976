"""An emulated device behind a real SSH server on loopback. Needs asyncssh, which is loaded at start."""

from __future__ import annotations

from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from executors.emulated.account import Access
from executors.emulated.console import Console
from executors.emulated.device import Served
from executors.emulated.serving import Background, deliver

if TYPE_CHECKING:
    import asyncssh

READ: int = 4096  # bytes


class AsyncsshMissing(Exception):
    """asyncssh is not installed; an emulated SSH server needs it: `pip install asyncssh`."""


class SshDevice:
    """`with SshDevice(device) as served:` listens at `served.address`, `served.port`; a host key a start.

    `keyboard_interactive`: the server asks the password as a question instead of taking it as one.
    Raises AsyncsshMissing.
    """

    address = "127.0.0.1"

    def __init__(self, device: Served, *, port: int = 0, keyboard_interactive: bool = False) -> None:
        self._asyncssh = _asyncssh()
        self._device = device
        self._wanted = port
        self._asks = keyboard_interactive
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
        key = self._asyncssh.generate_private_key("ssh-ed25519")
        self.host_key = " ".join(key.export_public_key().decode().split()[:2])
        self._connections: set[Any] = set()
        acceptor: asyncssh.SSHAcceptor = await self._asyncssh.listen(
            self.address,
            self._wanted,
            server_host_keys=[key],
            server_factory=lambda: _door(self._asyncssh, self._device, self._connections, asks=self._asks),
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
        except (OSError, self._asyncssh.Error):
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
            except self._asyncssh.TerminalSizeChanged:
                continue
            except (self._asyncssh.BreakReceived, self._asyncssh.SignalReceived):
                data = b"\x03"
            await deliver(console.play(data) if data else console.end_of_input(), process.stdout)


def _asyncssh() -> ModuleType:
    try:
        import asyncssh
    except ModuleNotFoundError:
        raise AsyncsshMissing(AsyncsshMissing.__doc__) from None
    return asyncssh


def _door(library: ModuleType, device: Served, connections: set[Any], *, asks: bool) -> Any:
    """The server's side of authentication; its class needs asyncssh."""

    class Door(library.SSHServer):  # type: ignore[name-defined, misc]
        def connection_made(self, conn: Any) -> None:
            self._connection = conn
            connections.add(conn)

        def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
            connections.discard(self._connection)

        def password_auth_supported(self) -> bool:
            return not asks

        def validate_password(self, username: str, password: str) -> bool:
            return device.authenticate(username, password) is Access.OPENS

        def kbdint_auth_supported(self) -> bool:
            return asks

        def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:  # noqa: ARG002
            return "", "", "", [("Password: ", False)]

        def validate_kbdint_response(self, username: str, responses: list[str]) -> bool:
            return len(responses) == 1 and device.authenticate(username, responses[0]) is Access.OPENS

    return Door()
