"""Pinned host keys: what is offered to the server, and whether what it shows is one of them."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence

from executors.contract import Failure, Outcome, Target

# Host key types in OpenSSH's spelling, and the signatures that prove one (RFC 8332: RSA with SHA-2).
ALGORITHMS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
WEAK = "ssh-rsa"  # also the name of the signature with SHA-1 (RFC 4253, 6.6)


def fingerprint(blob: bytes) -> str:
    """As `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def algorithms(target: Target) -> list[str]:
    """The algorithms to ask for: those of the pinned keys, so that the server shows the key that is pinned.

    Raises Failure where nothing pinned can be used.
    """
    pinned = [_type_and_blob(target, line)[0] for line in target.host_keys]
    known = [kind for kind in ALGORITHMS if kind in pinned or not pinned]
    if not known:
        raise Failure(
            Outcome.UNTRUSTED_HOST,
            f"{target.device}: no pinned host key is of a type that is still safe ({', '.join(ALGORITHMS)}); "
            f"pin another: keyturn device trust {target.device}",
        )
    weak = [WEAK] if target.weak_algorithms and WEAK in known else []
    return [algorithm for kind in known for algorithm in ALGORITHMS[kind]] + weak


def is_weak(wanted: Sequence[str], offered: Sequence[str]) -> bool:
    """Whether the server could show a key of the wanted type, but would sign with SHA-1."""
    return WEAK in offered and not set(wanted).isdisjoint(ALGORITHMS[WEAK])


def check(target: Target, kind: str, blob: bytes, loopback: bool) -> None:
    """Raises Failure unless this very key is pinned, or any may be accepted and the peer is this machine."""
    if (kind, blob) in [_type_and_blob(target, line) for line in target.host_keys]:
        return
    if target.accept_any_host_key and loopback:
        return
    what = "is not the pinned one" if target.host_keys else "is unknown: none is pinned"
    only = "; accept-any-host-key works for loopback addresses only" if target.accept_any_host_key else ""
    raise Failure(
        Outcome.UNTRUSTED_HOST,
        f"{target.device}: the host key {what}: saw {kind} {fingerprint(blob)}{only}; "
        f"compare it with the device's own, then: keyturn device trust {target.device}",
    )


def untrusted(target: Target, offered: Sequence[str]) -> Failure:
    """For a server that has no key of the pinned types."""
    return Failure(
        Outcome.UNTRUSTED_HOST,
        f"{target.device}: it has no host key of a pinned type ({', '.join(offered)}); "
        f"if its keys were replaced: keyturn device trust {target.device}",
    )


def _type_and_blob(target: Target, line: str) -> tuple[str, bytes]:
    try:
        kind, encoded, *_ = line.split()
        return kind, base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        raise Failure(
            Outcome.UNTRUSTED_HOST,
            f"{target.device}: a pinned host key cannot be read; "
            f"pin it again: keyturn device trust {target.device}",
        ) from None
