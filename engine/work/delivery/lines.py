"""Connections that syslog messages go over: TCP, TLS (RFC 5425), UDP (RFC 5426).

Syslog has no answer. What a connection can say is whether the other side has closed it, and whether its
kernel has taken what was sent; `Line.idle` and `Line.check` ask for both.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import ssl
import struct
import termios
import time
from collections.abc import Mapping
from typing import Any, Protocol

from engine.record.syslog import framed
from engine.record.urls import Place

CONNECT = 10.0  # seconds
FAREWELL = 1.0  # seconds that the other side may take to say good-bye
IN_FLIGHT = 128 * 1024  # bytes that may be on their way; a slow receiver shows early
UNANSWERED = 60  # seconds after which the kernel gives up a peer that takes nothing: tcp(7), TCP_USER_TIMEOUT


class Broken(Exception):
    """The connection could not be made or has ended. The message says what a person can do."""


class Line(Protocol):
    longest: int  # bytes of one message
    certain: bool  # whether what is lost shows as a broken connection

    def packed(self, message: bytes) -> bytes: ...

    def send(self, data: bytes, seconds: float) -> bool:
        """Whether the kernel took everything in time. If not, call it again with the same. Raises Broken."""
        ...

    def check(self) -> None:
        """Raises Broken if the other side has closed the connection."""
        ...

    @property
    def idle(self) -> bool:
        """Whether the other side's kernel has everything that was sent."""
        ...

    def close(self, *, politely: bool) -> None: ...


def connect(place: Place, options: Mapping[str, Any]) -> Line:
    """Raises Broken."""
    assert place.port is not None
    try:
        if place.scheme == "udp":
            return Datagrams(_datagram_socket(place.host, place.port))
        plain = socket.create_connection((place.host, place.port), CONNECT)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED * 1000)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, IN_FLIGHT)
    except OSError as error:
        raise Broken(f"{place.origin} cannot be reached: {_said(error)}") from None
    return Stream(plain if place.scheme == "tcp" else _encrypted(plain, place, options.get("ca")))


class Stream:
    """TCP or TLS, with octet counting."""

    longest = 65_535
    certain = True

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._begun = 0  # bytes of what is being sent that the kernel has

    def packed(self, message: bytes) -> bytes:
        return framed(message)

    def send(self, data: bytes, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while self._begun < len(data):
            left = until - time.monotonic()
            if left <= 0:
                return False
            self._socket.settimeout(left)
            try:
                # TLS takes a record whole or, when it is called again, the rest of the same one.
                self._begun += self._socket.send(memoryview(data)[self._begun :])
            except TimeoutError as error:
                if error.errno is not None:  # the kernel's ETIMEDOUT, not our time being over
                    raise Broken(f"the connection broke: {_said(error)}") from None
                return False
            except OSError as error:
                raise Broken(f"the connection broke: {_said(error)}") from None
        self._begun = 0
        return True

    def check(self) -> None:
        self._socket.settimeout(0)
        try:
            if not self._socket.recv(4096):  # a receiver has nothing to say
                raise Broken("the receiver closed the connection; its log may say why")
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            raise Broken(f"the connection broke: {_said(error)}") from None

    @property
    def idle(self) -> bool:
        unsent = fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(4))  # tcp(7), SIOCOUTQ
        return not self._begun and struct.unpack("i", unsent)[0] == 0

    def close(self, *, politely: bool) -> None:
        """Politely: with close_notify, which RFC 5425 (4.4) asks for."""
        if politely and isinstance(self._socket, ssl.SSLSocket):
            with contextlib.suppress(OSError):
                self._socket.settimeout(FAREWELL)
                self._socket.unwrap()
        self._socket.close()


class Datagrams:
    """UDP: best effort. Whatever is lost is lost; only a closed port of a host that says so is noticed."""

    longest = 2048  # RFC 5426, 3.2: longer ones are safe only where the path is known
    certain = False
    idle = True

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def packed(self, message: bytes) -> bytes:
        return message

    def send(self, data: bytes, seconds: float) -> bool:
        self._socket.settimeout(seconds)
        try:
            self._socket.send(data)
        except TimeoutError:
            return False
        except OSError as error:
            raise Broken(f"the datagram was not sent: {_said(error)}") from None
        return True

    def check(self) -> None:
        """Nothing can be known."""

    def close(self, *, politely: bool) -> None:  # noqa: ARG002 - there is no way to say good-bye
        self._socket.close()


def _datagram_socket(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    made = socket.socket(family, kind, protocol)
    made.connect(address)
    return made


def _encrypted(plain: socket.socket, place: Place, ca: str | None) -> ssl.SSLSocket:
    """Always with a check of the certificate and its name."""
    context = ssl.create_default_context(cadata=ca)
    try:
        return context.wrap_socket(plain, server_hostname=place.host)
    except ssl.SSLCertVerificationError as error:
        plain.close()
        raise Broken(
            f"the certificate of {place.origin} is not accepted: {error.verify_message}; give the receiver "
            "the CA that signed it, and an address that the certificate names"
        ) from None
    except OSError as error:
        plain.close()
        raise Broken(f"no TLS with {place.origin}: {_said(error)}; is this its TLS port?") from None


def _said(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return str(error.reason or "the connection ended")
    return str(error.strerror or error) or type(error).__name__
