"""One SSH transport up to the point where somebody logs in: key exchange, then the pinned host key."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import paramiko
from paramiko.common import cMSG_SERVICE_REQUEST
from paramiko.message import Message
from paramiko.ssh_exception import IncompatiblePeer

from executors.contract import Failure, Outcome, Target, Transcript
from executors.ssh import host_keys

if TYPE_CHECKING:
    from executors.ssh.weak import WeakChannel

# Everything worth saying is in the Failure; what paramiko logs quotes the target and passes no redactor.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)

# Cheapest first (a third of the client's cost is this); mlkem768x25519 costs more than the rest of the login.
KEY_EXCHANGES = (
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "mlkem768x25519-sha256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group-exchange-sha256",
)
WEAK = {
    "ciphers": ["aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"],
    "macs": ["hmac-sha1", "hmac-md5", "hmac-sha1-96", "hmac-md5-96"],
}
GOODBYE_SECONDS = 2.0  # for the reading thread to notice the end
COLUMNS, ROWS = 1000, 24  # so wide that no line that is typed or shown gets wrapped


@dataclass(frozen=True, slots=True)
class Start:
    """What a channel begins with: a command, or the login shell if it is None."""

    command: str | None = None
    on_terminal: bool = True


class Judged(paramiko.AuthenticationException):
    """The server looked at the secret and said no; paramiko's own class is also raised for silence."""


class Stopped(paramiko.SSHException):
    """Ends a login that asks for something else than the one secret."""

    def __init__(self, must_change: bool) -> None:
        super().__init__("asks for something else than the password")
        self.must_change = must_change


class BoundedEvent(threading.Event):
    """paramiko waits for the answer to a channel request without a bound; this one raises TimeoutError."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def wait(self, timeout: float | None = None) -> bool:
        if not super().wait(self._seconds if timeout is None else timeout):
            raise TimeoutError
        return True


class Transport(paramiko.Transport):
    """paramiko's, but asking for the authentication service once, as RFC 4253 section 10 has it, and
    not before each method: strict servers hang up at the second time. Remembers why the server hung up,
    which paramiko only logs.
    """

    disconnect_reason = ""
    host_keys_offered: tuple[str, ...] = ()  # by the server
    _asked_for_service = False

    def _send_message(self, data: Message) -> None:
        if data.asbytes()[:1] != cMSG_SERVICE_REQUEST:
            super()._send_message(data)  # type: ignore[misc]  # private, so the stubs lack it
        elif not self._asked_for_service:
            self._asked_for_service = True
            super()._send_message(data)  # type: ignore[misc]  # private, so the stubs lack it
        elif self.auth_handler is not None:
            accepted = Message()
            accepted.add_string("ssh-userauth")
            accepted.rewind()
            self.auth_handler._parse_service_accept(accepted)  # type: ignore[attr-defined]  # as above

    def _parse_disconnect(self, message: Message) -> None:
        message.get_int()
        self.disconnect_reason = message.get_text()

    def _really_parse_kex_init(self, message: Message, ignore_first_byte: bool = False) -> Mapping[str, Any]:
        parsed: Mapping[str, Any] = super()._really_parse_kex_init(message, ignore_first_byte)  # type: ignore[misc]  # as above
        self.host_keys_offered = tuple(parsed["server_key_algo_list"])
        return parsed

    def begin(self, wanted: Start, seconds: float) -> paramiko.Channel:
        """A channel on which the command, or the shell, runs. Raises TimeoutError for no answer in time,
        OSError, EOFError and SSHException for a refusal or a broken connection."""
        channel = self.open_session(timeout=seconds)
        channel.event = BoundedEvent(seconds)
        channel.settimeout(seconds)
        channel.set_combine_stderr(True)
        if wanted.on_terminal:
            channel.get_pty(term="dumb", width=COLUMNS, height=ROWS)
        if wanted.command is None:
            channel.invoke_shell()
        else:
            channel.exec_command(wanted.command)
        return channel

    def said(self) -> str:
        """The last banner, which `get_banner` hides once the server has hung up, and the reason for that."""
        banner: object = self.auth_handler.banner if self.auth_handler else None
        text = banner.decode(errors="replace") if isinstance(banner, bytes) else ""
        return f"{text}\n{self.disconnect_reason}".strip()

    def hang_up(self) -> None:
        """End at once: a half-closed connection keeps a process of sshd alive. Never raises."""
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            # Wakes the reading thread, which would otherwise hold the socket for its next tenth of a second.
            if isinstance(self.sock, paramiko.Channel):
                self.sock.close()
            else:
                self.sock.shutdown(socket.SHUT_RDWR)
        if self.is_alive():
            self.join(GOODBYE_SECONDS)
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self.close()
            self.sock.close()


Link: TypeAlias = "socket.socket | paramiko.Channel | WeakChannel"
"""What bytes to a target go over: TCP, or a channel of a jump host."""


def exchange_keys(
    target: Target, link: socket.socket | paramiko.Channel, offered: list[str], transcript: Transcript
) -> Transport:
    """Take over `link`, asking for the host key algorithms in `offered`. Raises Failure, the link closed."""
    transport = Transport(link, disabled_algorithms=WEAK)
    try:
        _handshake(target, transport, offered)
        key = transport.get_remote_server_key()
        transcript.note(f"{target.device} shows {key.get_name()} {host_keys.fingerprint(key.asbytes())}")
        host_keys.check(target, key.get_name(), key.asbytes(), is_loopback(link))
    except BaseException:
        transport.hang_up()
        raise
    return transport


def _handshake(target: Target, transport: Transport, offered: list[str]) -> None:
    options = transport.get_security_options()
    options.kex = tuple(name for name in KEY_EXCHANGES if name in options.kex)
    options.key_types = tuple(offered)
    transport.banner_timeout = transport.handshake_timeout = target.connect_timeout
    transport.auth_timeout = transport.channel_timeout = transport.clear_to_send_timeout = target.read_timeout
    try:
        transport.start_client(timeout=target.connect_timeout)
    except IncompatiblePeer as error:
        if "host key" in str(error) and not host_keys.is_weak(offered, transport.host_keys_offered):
            raise host_keys.untrusted(target, offered) from None
        raise Failure(
            Outcome.UNTRUSTED_HOST,
            f"{target.device}: it speaks only algorithms that are no longer safe, and nobody allowed them: "
            f"{error}; upgrade it, or allow them: keyturn device consent {target.device} --weak-algorithms",
        ) from None
    except (OSError, EOFError, paramiko.SSHException) as error:
        # MaxStartups (sshd_config(5)) shows here: the server closes before its banner.
        raise Failure(
            Outcome.UNREACHABLE, f"{target.device}: connected, but no SSH handshake: {error}"
        ) from None
    if not transport.initial_kex_done:
        raise Failure(
            Outcome.UNREACHABLE,
            f"{target.device}: no SSH handshake within {target.connect_timeout:g} seconds",
        )


def is_loopback(link: Link) -> bool:
    """Of this machine: at the far end of a jump host, 127.0.0.1 is another one."""
    if not isinstance(link, socket.socket):
        return False
    return ipaddress.ip_address(link.getpeername()[0].partition("%")[0]).is_loopback
