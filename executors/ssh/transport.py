"""One SSH transport up to the point where somebody logs in: key exchange, then the pinned host key."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket

import paramiko
from paramiko.common import cMSG_SERVICE_REQUEST
from paramiko.message import Message
from paramiko.ssh_exception import IncompatiblePeer

from executors.contract import Failure, Outcome, Target, Transcript
from executors.ssh import host_keys

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


class Transport(paramiko.Transport):
    """paramiko's, but asking for the authentication service once, as RFC 4253 section 10 has it, and
    not before each method: strict servers hang up at the second time. Remembers why the server hung up,
    which paramiko only logs.
    """

    disconnect_reason = ""
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


Link = socket.socket | paramiko.Channel


def exchange_keys(target: Target, link: Link, offered: list[str], transcript: Transcript) -> Transport:
    """Take over `link`, asking for the host key algorithms in `offered`. Raises Failure, the link closed."""
    transport = Transport(link, disabled_algorithms=WEAK)
    try:
        _handshake(target, transport, offered)
        key = transport.get_remote_server_key()
        transcript.note(f"{target.device} shows {key.get_name()} {host_keys.fingerprint(key.asbytes())}")
        host_keys.check(target, key.get_name(), key.asbytes(), _is_loopback(link))
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
        if "host key" in str(error):
            raise host_keys.untrusted(target, offered) from None
        raise Failure(
            Outcome.UNREACHABLE, f"{target.device}: no algorithm in common that is still safe: {error}"
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


def _is_loopback(link: Link) -> bool:
    """Of this machine: at the far end of a jump host, 127.0.0.1 is another one."""
    if isinstance(link, paramiko.Channel):
        return False
    return ipaddress.ip_address(link.getpeername()[0].partition("%")[0]).is_loopback
