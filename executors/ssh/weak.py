"""The same transport by asyncssh, which still speaks what old devices speak: SHA-1, ssh-rsa, CBC.

Only for a path on which some device has the consent (`Target.weak_algorithms`); hops without it are offered
what is safe and nothing else. It looks like the part of paramiko's transport and channel that the modules
above use, raises what paramiko raises, and runs its loop in the calling thread, within each call.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import warnings
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar, cast

import asyncssh
import paramiko
from asyncssh.auth import ClientAuth
from cryptography.utils import CryptographyDeprecationWarning

from executors.contract import Failure, Login, Outcome, Target, Transcript
from executors.ssh import host_keys
from executors.ssh.transport import COLUMNS, GOODBYE_SECONDS, ROWS, Judged, Start, Stopped, is_loopback

logging.getLogger("asyncssh").setLevel(logging.CRITICAL)  # as for paramiko: what matters is in the Failure

T = TypeVar("T")
Answers = Callable[[str, str, list[tuple[str, bool]]], list[str]]

KEY_EXCHANGES: Final = (
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group-exchange-sha256",
)
CIPHERS: Final = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)
MACS: Final = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
SIGNATURES: Final = tuple(name for names in host_keys.ALGORITHMS.values() for name in names)

# Behind the safe ones, strongest first.
WEAK_KEY_EXCHANGES: Final = (
    "diffie-hellman-group-exchange-sha1",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group1-sha1",
)
WEAK_CIPHERS: Final = ("aes256-cbc", "aes192-cbc", "aes128-cbc", "3des-cbc")
WEAK_MACS: Final = ("hmac-sha1", "hmac-sha1-96", "hmac-md5", "hmac-md5-96")

MOST_HELD: Final = 1024 * 1024  # bytes that have come and nobody has read


class WeakTransport:
    """Key exchange and pinned host key at once; `auth_*`, as paramiko has them, when somebody logs in."""

    def __init__(
        self,
        target: Target,
        login: Login,
        offered: list[str],
        transcript: Transcript,
        link: socket.socket | None,
        through: WeakTransport | None,
    ) -> None:
        """Over `link` or `through` a jump host. Raises Failure, the link closed."""
        self.auth_timeout = target.read_timeout
        self._target = target
        self._login = login
        self._link = link
        self._through = through
        self._loop: asyncio.AbstractEventLoop = through._loop if through else asyncio.new_event_loop()
        self._guest = _Guest(target, transcript, self._loop, loopback=link is not None and is_loopback(link))
        try:
            self._connecting = self._loop.create_task(self._connect(offered))
            self._exchange_keys(offered)
            transcript.note(f"{target.device}: agreed on {', '.join(self._guest.agreed())}")
        except BaseException:
            self.hang_up()
            raise

    async def _connect(self, offered: list[str]) -> asyncssh.SSHClientConnection:
        weak = self._target.weak_algorithms
        if self._link is not None:
            self._link.setblocking(False)
        return await asyncssh.connect(
            self._target.address,
            self._target.port,
            sock=self._link,
            tunnel=self._through._connection if self._through else (),
            client_factory=lambda: self._guest,
            username=self._login.username,
            config=None,
            known_hosts=([], [], []),
            client_keys=None,
            agent_path=None,
            gss_host=None,
            login_timeout=0,
            compression_algs=["none"],
            server_host_key_algs=offered,
            kex_algs=KEY_EXCHANGES + WEAK_KEY_EXCHANGES * weak,
            encryption_algs=CIPHERS + WEAK_CIPHERS * weak,
            mac_algs=MACS + WEAK_MACS * weak,
            signature_algs=SIGNATURES + (host_keys.WEAK,) * weak,
        )

    def _exchange_keys(self, offered: list[str]) -> None:
        ends: list[asyncio.Future[Any]] = [self._connecting, self._guest.methods]
        waiting = asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        try:
            self._run(waiting, self._target.connect_timeout)
        except TimeoutError:
            seconds = f"{self._target.connect_timeout:g}"
            raise self._unreachable(f"no SSH handshake within {seconds} seconds") from None
        if self._guest.fault is not None:
            raise self._guest.fault
        error = self._connecting.exception() if self._connecting.done() else None
        if error is not None and not self._guest.is_trusted:
            if "No matching" in str(error):
                raise self._unreachable(f"no algorithm in common, not even a weak one: {error}")
            # Which keys the server has asyncssh does not tell, and the server just hangs up.
            types = f"perhaps it has no host key of these types: {', '.join(offered)}"
            raise self._unreachable(f"connected, but no SSH handshake: {error}; {types}")

    def _unreachable(self, why: str) -> Failure:
        return Failure(Outcome.UNREACHABLE, f"{self._target.device}: {why}")

    @property
    def _connection(self) -> asyncssh.SSHClientConnection:
        return self._connecting.result()

    def _run(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Let everything of this path go on until the work is done. Raises TimeoutError, and what paramiko
        raises."""
        if self._loop.is_closed():
            work.close()
            raise paramiko.SSHException("it is closed")
        try:
            with warnings.catch_warnings():
                # That Diffie-Hellman over finite fields is outdated is known to whoever gave the consent.
                warnings.simplefilter("ignore", CryptographyDeprecationWarning)
                return self._loop.run_until_complete(asyncio.wait_for(work, seconds))
        except asyncssh.Error as error:
            raise paramiko.SSHException(str(error)) from None

    # Logging in

    def auth_none(self, username: str) -> list[str]:
        """Raises BadAuthenticationType with the methods that there are; it has been asked already."""
        del username  # it is the login's
        if not self._connecting.done():
            raise paramiko.BadAuthenticationType("no", self._guest.methods.result())
        error = self._connecting.exception()
        if isinstance(error, asyncssh.PermissionDenied):
            raise paramiko.BadAuthenticationType("no", [])
        if error is not None:
            raise paramiko.SSHException(str(error))
        return []

    def auth_password(self, username: str, password: str, *, fallback: bool) -> list[str]:
        del username, fallback  # nothing else is tried
        self._guest.password = password
        return self._try("password")

    def auth_interactive(self, username: str, handler: Answers) -> list[str]:
        del username
        self._guest.answers = handler
        return self._try("keyboard-interactive")

    def auth_publickey(self, username: str, key: paramiko.PKey) -> list[str]:
        del username, key  # paramiko's form of the login's key cannot sign with SHA-1
        self._guest.key = asyncssh.import_private_key(self._login.secret.reveal())
        return self._try("publickey")

    def _try(self, method: str) -> list[str]:
        """The methods that are wanted as well. Raises what paramiko raises for the same ends."""
        guest = self._guest
        guest.method.set_result(method)
        try:
            self._run(asyncio.wait([self._connecting]), self.auth_timeout)
        except TimeoutError:
            raise paramiko.AuthenticationException("no answer") from None
        error = self._connecting.exception()
        if error is None:
            return []
        if guest.stop is not None:
            raise guest.stop
        if guest.is_right:
            return guest.methods_after
        if guest.is_refused:
            raise Judged("refused")
        if guest.methods_after:
            raise paramiko.BadAuthenticationType("no", guest.methods_after)
        raise paramiko.SSHException(str(error))

    def said(self) -> str:
        """The last banner, and the reason of the server's end."""
        error = self._connecting.exception() if self._connecting.done() else None
        reason = ""
        if isinstance(error, asyncssh.DisconnectError) and not isinstance(error, asyncssh.PermissionDenied):
            reason = error.reason  # asyncssh's own words when no method is left are none of the server's
        return f"{self._guest.banner}\n{reason}".strip()

    # Channels

    def begin(self, wanted: Start, seconds: float) -> WeakChannel:
        """As `Transport.begin`."""
        session = _Session()
        opening = self._connection.create_session(
            lambda: session,
            wanted.command,
            term_type="dumb" if wanted.on_terminal else None,
            term_size=(COLUMNS, ROWS) if wanted.on_terminal else (),
            encoding=None,
        )
        self._run(opening, seconds)
        return WeakChannel(session, self._run, seconds)

    def open_channel(
        self, kind: str, address: tuple[str, int], origin: tuple[str, int], timeout: float
    ) -> WeakChannel:
        """A connection onwards, as paramiko opens one. Raises TimeoutError, SSHException."""
        del kind, origin
        session = _Session()
        opening = self._connection.create_connection(
            lambda: cast("asyncssh.SSHTCPSession[bytes]", session), *address, encoding=None
        )
        self._run(opening, timeout)
        return WeakChannel(session, self._run, timeout)

    def is_active(self) -> bool:
        if self._loop.is_closed():
            return False
        self._run(_a_moment(), GOODBYE_SECONDS)  # what has come in meanwhile may be its end
        return not self._connecting.done() or (
            self._connecting.exception() is None and not self._connection.is_closed()
        )

    def hang_up(self) -> None:
        """End at once. Never raises."""
        if not self._loop.is_closed():
            with contextlib.suppress(OSError, EOFError, TimeoutError, paramiko.SSHException):
                self._run(self._end(), GOODBYE_SECONDS)
            if self._through is None:
                self._loop.close()
        if self._link is not None:
            self._link.close()

    async def _end(self) -> None:
        if not self._connecting.done():
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        elif self._connecting.exception() is None:
            self._connection.abort()
            await self._connection.wait_closed()
        await _a_moment()


async def _a_moment() -> None:
    """Two rounds of the loop: one sees what has come, the next deals with it."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


class _Guest(asyncssh.SSHClient):
    """What the server asks of whoever logs in. One method is tried, once, when `method` says which."""

    def __init__(
        self, target: Target, transcript: Transcript, loop: asyncio.AbstractEventLoop, *, loopback: bool
    ) -> None:
        self._target = target
        self._transcript = transcript
        self._loopback = loopback
        self._tried = ""
        self.fault: Failure | None = None
        self.is_trusted = False
        self.key_exchange = ""
        self.banner = ""
        self.methods: asyncio.Future[list[str]] = loop.create_future()
        self.methods_after: list[str] = []  # that the server would take after the try
        self.method: asyncio.Future[str] = loop.create_future()
        self.password = ""
        self.answers: Answers | None = None
        self.key: asyncssh.SSHKey | None = None
        self.stop: Exception | None = None
        self.is_right = False  # the secret is, and the server wants something else as well

    @property
    def is_refused(self) -> bool:
        """Whether the server said no to the try, and would let it be made again: it was judged."""
        return self._tried in self.methods_after

    def agreed(self) -> list[str]:
        """Key exchange, cipher and MAC by name."""
        named = [self.connection.get_extra_info(name, "") for name in ("send_cipher", "send_mac")]
        return [name for name in (self.key_exchange, *named) if name]

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.connection = conn

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        del host, addr, port
        exchange = self.connection._kex
        self.key_exchange = exchange.algorithm.decode() if exchange else ""
        kind, blob = key.get_algorithm(), key.public_data
        self._transcript.note(f"{self._target.device} shows {kind} {host_keys.fingerprint(blob)}")
        try:
            host_keys.check(self._target, kind, blob, self._loopback)
        except Failure as failure:
            self.fault = failure
            return False
        self.is_trusted = True
        return True

    def auth_banner_received(self, msg: str, lang: str) -> None:
        del lang
        self.banner = msg

    async def public_key_auth_requested(self) -> asyncssh.SSHKey | None:
        return self.key if await self._is_to_try("publickey") else None

    async def password_auth_requested(self) -> str | None:
        return self.password if await self._is_to_try("password") else None

    async def kbdint_auth_requested(self) -> str | None:
        return "" if await self._is_to_try("keyboard-interactive") else None

    async def _is_to_try(self, method: str) -> bool:
        methods = list(self.connection.get_server_auth_methods())
        if self._tried:
            self.methods_after = self.methods_after or methods
            return False
        if not self.methods.done():
            self.methods.set_result(methods)
        if await self.method != method:
            return False
        self._tried = method
        self._listen_for_partial_success()
        return True

    def _listen_for_partial_success(self) -> None:
        """asyncssh tells only the method's own handler (RFC 4252 section 5.1)."""
        handler = self.connection._auth
        if isinstance(handler, ClientAuth):
            handler.auth_succeeded = self._right  # type: ignore[method-assign]  # there is no other way in

    def _right(self) -> None:
        self.is_right = True

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        del lang
        try:
            return self.answers(name, instructions, list(prompts)) if self.answers else None
        except paramiko.SSHException as stop:
            self.stop = stop
            return None

    def password_change_requested(self, prompt: str, lang: str) -> Any:
        del prompt, lang
        self.stop = Stopped(must_change=True)
        return NotImplemented


class _Session(asyncssh.SSHClientSession[bytes]):
    """Holds what comes until somebody reads it."""

    def __init__(self) -> None:
        self.held = bytearray()
        self.has_eof = False
        self.is_over = False
        self.status = -1
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self.channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        del datatype  # both streams are one, as on a terminal
        self.held += data
        if len(self.held) > MOST_HELD:
            self.channel.pause_reading()
        self._news.set()

    def eof_received(self) -> bool:
        self.has_eof = True
        self._news.set()
        return True  # what is sent may still matter

    def exit_status_received(self, status: int) -> None:
        self.status = status
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.is_over = True
        self._news.set()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()

    async def flushed(self) -> None:
        await self._writable.wait()

    def has_news(self) -> bool:
        return bool(self.held) or self.has_eof or self.is_over

    def has_ended(self) -> bool:
        return self.status >= 0 or self.is_over


class WeakChannel:
    """A channel as paramiko's is used here."""

    def __init__(
        self, session: _Session, run: Callable[[Coroutine[Any, Any, None], float], None], seconds: float
    ) -> None:
        self._session = session
        self._run = run
        self._seconds = seconds
        self.status_event = self  # `status_event.wait`

    def settimeout(self, seconds: float) -> None:
        self._seconds = seconds

    def recv(self, size: int) -> bytes:
        """Some bytes, none at the end. Raises TimeoutError."""
        session = self._session
        if not session.has_news():
            self._run(session.until(session.has_news), self._seconds)
        data = bytes(session.held[:size])
        del session.held[:size]
        if data and not session.is_over and len(session.held) <= MOST_HELD:
            session.channel.resume_reading()
        return data

    def sendall(self, data: bytes) -> None:
        """Raises OSError, TimeoutError among them."""
        self._session.channel.write(data)
        self._run(self._session.flushed(), self._seconds)

    def shutdown_write(self) -> None:
        self._session.channel.write_eof()

    def close(self) -> None:
        self._session.channel.close()

    @property
    def eof_received(self) -> bool:
        return self._session.has_eof

    @property
    def exit_status(self) -> int:
        """-1 until there is one."""
        return self._session.status

    def wait(self, seconds: float) -> bool:
        """Whether the exit status, or the channel's end, came in time."""
        try:
            self._run(self._session.until(self._session.has_ended), seconds)
        except TimeoutError:
            return False
        return True
