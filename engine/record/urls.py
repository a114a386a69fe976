"""Addresses that notices go to: read once, strictly, so that what is checked is what is called."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from engine.store.errors import KeyturnError, Kind

MAX_URL: Final = 2048
_CHARACTERS: Final = re.compile(r"[\x21-\x7e]+")  # urlsplit drops tabs and newlines in silence
_PART: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"  # RFC 1123, 2.1, and '_'
_HOST: Final = re.compile(rf"(?=.{{1,253}}\Z){_PART}(?:\.{_PART})*")
_PORTS: Final = {"http": 80, "https": 443}


class BadUrl(KeyturnError):
    """An address that cannot be used. The message never quotes it: some hold a token."""

    code = "bad_url"
    kind = Kind.INVALID


class CallbackRefused(KeyturnError):
    """Requesters must not make the engine call whom they like (OWASP: server-side request forgery)."""

    code = "callback_refused"
    kind = Kind.INVALID


@dataclass(frozen=True, slots=True)
class Place:
    """One address in its parts. `port` is None where the address names none and its scheme has no usual one;
    `target` is path and query."""

    scheme: str
    host: str
    port: int | None
    target: str

    @property
    def origin(self) -> str:
        """Without the port that is usual for the scheme."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.port == _PORTS.get(self.scheme)
        return f"{self.scheme}://{host}" if usual else f"{self.scheme}://{host}:{self.port}"

    def __str__(self) -> str:
        return self.origin + self.target

    @property
    def loopback(self) -> bool:
        """Whether the address itself says so; a name may still resolve to a loopback address."""
        return self.host == "localhost" or (is_literal(self.host) and ip_address(self.host).is_loopback)


def parse(url: str, schemes: Collection[str]) -> Place:
    """Raises BadUrl."""
    if len(url) > MAX_URL or not _CHARACTERS.fullmatch(url) or "\\" in url:
        raise BadUrl(f"the address is no URL: write at most {MAX_URL} printable ASCII characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise BadUrl("the address is no URL: write SCHEME://HOST:PORT/PATH") from None
    if parts.scheme not in schemes:
        raise BadUrl(f"the address begins with none of {', '.join(f'{each}://' for each in schemes)}")
    if fault := _fault(parts, host, port):
        raise BadUrl(f"the address {fault}")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(parts.scheme, host, port or _PORTS.get(parts.scheme), target)


def _fault(parts: SplitResult, host: str, port: int | None) -> str | None:
    if "@" in parts.netloc:
        return "holds a user name or password; leave it out: it would be shown with the address"
    if not _HOST.fullmatch(host) and not is_literal(host):
        return "names no host; write a host name or an IP address, an IPv6 one in []"
    if port == 0:
        return "names port 0; write one from 1 to 65535"
    return "has a fragment (#…), which is never sent; leave it out" if parts.fragment else None


def is_literal(host: str) -> bool:
    """Whether the host is an IP address and not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def callback(url: str, hosts: Collection[str]) -> Place:
    """A requester's address, if its host is one of `hosts` (setting `callback_hosts`).

    Raises BadUrl, CallbackRefused.
    """
    place = parse(url, ("https", "http"))
    if place.host not in {host.lower() for host in hosts}:
        raise CallbackRefused(
            "callbacks go only to hosts that the engine's setting `callback_hosts` lists, and this one is "
            "not; ask whoever runs the engine to add it, or leave the callback out"
        )
    if place.scheme == "http" and not place.loopback:
        raise CallbackRefused("callbacks over http go only to loopback addresses; write https://")
    return place
