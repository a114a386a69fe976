"""Posting to an endpoint that is not trusted: no redirect, no proxy, no unverified certificate, no endless
answer, and no address but the one that was resolved and checked.

`http.client` and not `requests`: the connection is made to the checked address, by a socket that can be shut
down when the time is over, however slowly the other side drips.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from http.client import HTTPConnection, HTTPException, HTTPResponse
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from engine.record.urls import Place, is_literal
from engine.vault.signing import sign
from engine.work.delivery.cloudevent import MEDIA_TYPE
from executors.contract import Secret

CONNECT: Final = 5.0  # seconds, for all addresses of a name
READ: Final = 10.0  # seconds without a byte
WHOLE: Final = 15.0  # seconds for one message, with everything
BATCH: Final = 10.0  # seconds after which no further message is begun
MAX_ANSWER: Final = 64 * 1024  # bytes
BUSY: Final = frozenset({429, 502, 503, 504})  # answers of an endpoint that takes nothing at the moment
GONE: Final = 410


class Verdict(Enum):
    DELIVERED = auto()
    REFUSED = auto()  # this message; others may do better
    OUTAGE = auto()  # nobody is there: no message would arrive
    DEAD = auto()  # never again


@dataclass(frozen=True, slots=True)
class Reply:
    """`error` is for people; it never quotes what the endpoint answered."""

    verdict: Verdict
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """`target` is path and query."""

    id: str
    target: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Destination:
    """`ca`: PEM of the only authorities that may vouch for it; None: the system's. `key` signs.

    `guarded`: others than administrators chose it, so that its name must not lead to this host or its link.
    """

    place: Place
    ca: str | None = None
    key: Secret | None = None
    guarded: bool = False


class ForbiddenAddress(Exception):
    """A guarded name leads where no callback may go."""


def send(to: Destination, messages: Sequence[Message]) -> list[Reply]:
    """Post one after the other over one connection; a reply for each that was begun.

    It stops at the first outage and when BATCH is over, so replies may be fewer than messages. Never raises
    for what a network or an endpoint does.
    """
    until = time.monotonic() + BATCH
    try:
        connection = _Connection(to, addresses_of(to))
    except ForbiddenAddress as error:
        return [Reply(Verdict.DEAD, str(error)) for _ in messages]
    except (OSError, UnicodeError) as error:  # UnicodeError: a label that IDNA cannot encode
        return [Reply(Verdict.OUTAGE, f"the name does not resolve: {_words(error)}")]
    replies: list[Reply] = []
    with contextlib.closing(connection):
        for message in messages:
            replies.append(_post(connection, to, message))
            if replies[-1].verdict is Verdict.OUTAGE or time.monotonic() > until:
                break
    return replies


def addresses_of(to: Destination) -> list[str]:
    """All addresses of the host, checked. Raises ForbiddenAddress, OSError, UnicodeError."""
    place = to.place
    found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    named = is_literal(place.host) or place.loopback  # the list of allowed hosts has that very address
    if to.guarded and not named and any(map(forbidden, addresses)):
        raise ForbiddenAddress(
            "the host's name resolves to a loopback, link-local, multicast or unspecified address, where no "
            "callback may go; correct the name, or list the address itself in `callback_hosts`"
        )
    return addresses


def forbidden(address: str) -> bool:
    """Whether a name that others control must not lead there. Private networks are where a site's own
    systems are: they are allowed."""
    ip: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or ip
    return (
        ip.is_loopback
        or ip.is_link_local
        or ip.is_multicast
        or ip.is_unspecified
        or ip.is_reserved
        or (ip.version == 4 and ip.packed[0] == 0)  # RFC 1122, 3.2.1.3: this host on this network
    )


class _Connection(HTTPConnection):
    """To one of the checked addresses, under the host's name. It connects at the first request, and again
    where the endpoint closed after its answer."""

    def __init__(self, to: Destination, addresses: Sequence[str]) -> None:
        super().__init__(to.place.host, to.place.port, timeout=READ)
        self._addresses = addresses
        self._context = _tls(to.ca) if to.place.scheme == "https" else None
        self.default_port = 443 if self._context else 80  # the port that the Host header leaves out
        self._raw: socket.socket | None = None
        self.aborted = False

    def connect(self) -> None:
        raw = self._reached()
        raw.settimeout(READ)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else the body waits for the headers' ACK
        self.sock = self._raw = raw
        if self._context:
            wrapped = self._context.wrap_socket(raw, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock = self._raw = wrapped
            wrapped.do_handshake()

    def _reached(self) -> socket.socket:
        until, last = time.monotonic() + CONNECT, OSError("no address")
        for address in self._addresses:
            left = until - time.monotonic()
            if left <= 0:
                break
            try:
                return socket.create_connection((address, self.port), timeout=left)
            except OSError as error:
                last = error
        raise last

    def abort(self) -> None:
        """From another thread: whoever waits for this connection waits no longer."""
        self.aborted = True
        if self._raw is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._raw, socket.SHUT_RDWR)  # past SSLSocket's, which others may read


@lru_cache(maxsize=32)
def _tls(ca: str | None) -> ssl.SSLContext:
    """TLS 1.2 at least; certificate and host name are checked."""
    context = ssl.create_default_context(cadata=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _post(connection: _Connection, to: Destination, message: Message) -> Reply:
    watchdog = threading.Timer(WHOLE, connection.abort)
    watchdog.daemon = True
    watchdog.start()
    try:
        connection.request("POST", message.target, message.body, _headers(to.key, message))
        answer = connection.getresponse()
        if not connection.aborted:  # else its headers may be cut off, which `http.client` does not mind
            _drain(connection, answer)
            return judged(answer.status)
        error: Exception = TimeoutError()
    except (OSError, HTTPException) as failed:
        error = failed
    finally:
        watchdog.cancel()
    connection.close()
    late = f"no answer within {WHOLE:.0f} seconds"
    return Reply(Verdict.OUTAGE, late if connection.aborted else _words(error))


def _headers(key: Secret | None, message: Message) -> Mapping[str, str]:
    """Standard Webhooks' three, the last only where a key is."""
    at = int(time.time())
    headers = {"Content-Type": MEDIA_TYPE, "User-Agent": "Keyturn"}
    headers |= {"webhook-id": message.id, "webhook-timestamp": str(at)}
    return (
        headers if key is None else headers | {"webhook-signature": sign(key, message.id, at, message.body)}
    )


def _drain(connection: _Connection, answer: HTTPResponse) -> None:
    """Read what comes with the status, which alone counts, so that the connection can be used again."""
    try:
        answer.read(MAX_ANSWER)
    except (OSError, HTTPException):
        connection.close()
    if not answer.isclosed():
        connection.close()


def judged(status: int) -> Reply:
    """What a status means for the message."""
    if 200 <= status < 300:
        return Reply(Verdict.DELIVERED)
    if status == GONE:
        return Reply(Verdict.DEAD, "it answered 410: it wants nothing any more")
    if status in BUSY:
        return Reply(Verdict.OUTAGE, f"it answered {status}: it takes nothing at the moment")
    if 300 <= status < 400:
        return Reply(
            Verdict.REFUSED, f"it answered {status}; redirects are not followed: give the new address"
        )
    return Reply(Verdict.REFUSED, f"it answered {status}")


def _words(error: Exception) -> str:
    """Without what the endpoint sent, which `http.client` quotes."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "timed out"
    text = error.strerror if isinstance(error, OSError) else None
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
