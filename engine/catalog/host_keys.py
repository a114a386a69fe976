"""Pinned SSH host keys: one line each, as ssh-keyscan and /etc/ssh/ssh_host_*_key.pub write them."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from engine.catalog.errors import BadInput

TYPES: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "ssh-dss",
    "ssh-ed448",
)
MAX_BASE64: Final = 4000  # an RSA key of 16384 bits has 2756
_HOW: Final = "write it as in /etc/ssh/ssh_host_ed25519_key.pub: `ssh-ed25519 AAAA…`"


@dataclass(frozen=True, slots=True)
class HostKey:
    type: str
    blob: bytes

    @property
    def line(self) -> str:
        return f"{self.type} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """As ssh-keygen -l shows it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")
        return f"SHA256:{digest}"


def parse_host_key(line: str) -> HostKey:
    """`type base64 [comment]`; the type inside the base64 must be the same (RFC 4253, 6.6). Or BadInput."""
    words = line.split()
    if len(words) < 2 or words[0] not in TYPES:
        known = ", ".join(TYPES)
        raise BadInput("host key", f"the line must begin with one of the types {known}; {_HOW}")
    if len(words[1]) > MAX_BASE64:
        raise BadInput("host key", "the key is longer than any host key is")
    try:
        blob = base64.b64decode(words[1], validate=True)
    except binascii.Error:
        raise BadInput("host key", f"the second word is not base64; {_HOW}") from None
    fields = list(_fields(blob))
    if not fields or fields[0] != words[0].encode():
        raise BadInput("host key", f"the line says {words[0]}, and the key inside it is of another type")
    if len(fields) < 2:
        raise BadInput("host key", "the key is cut off; copy the whole line")
    return HostKey(words[0], blob)


def _fields(blob: bytes) -> Iterator[bytes]:
    """The length-prefixed strings of an SSH key blob (RFC 4251, 5)."""
    rest = blob
    while rest:
        length = int.from_bytes(rest[:4], "big")
        if len(rest) < 4 + length or len(rest) < 4:
            raise BadInput("host key", "the key is cut off; copy the whole line")
        yield rest[4 : 4 + length]
        rest = rest[4 + length :]
