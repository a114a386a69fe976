"""Keys that sign webhooks, by the Standard Webhooks specification (standardwebhooks.com, "Signature scheme").

A key is written `whsec_` and the base64 of 24 to 64 random bytes. It is sealed to the receiver's zone.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from typing import Final

from engine.store.errors import KeyturnError, Kind
from engine.vault.sealing import Context, Purpose
from executors.contract import Secret

PREFIX: Final = "whsec_"
NEW_BYTES: Final = 32
BYTES: Final = range(24, 65)


class BadSigningKey(KeyturnError):
    code = "bad_signing_key"
    kind = Kind.INVALID

    def __init__(self) -> None:
        super().__init__(
            f"the signing key is not one: write {PREFIX} and the base64 of {BYTES[0]} to {BYTES[-1]} random "
            "bytes, or give none and one is made"
        )


def new_key() -> Secret:
    return Secret(PREFIX + base64.b64encode(secrets.token_bytes(NEW_BYTES)).decode("ascii"))


def key_context(receiver: str) -> Context:
    """What a receiver's key is sealed as."""
    return Context("receiver", receiver, "webhook", 1, Purpose.RECEIVER)


def sign(key: Secret, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`; `timestamp` in seconds since 1970-01-01 UTC. Raises BadSigningKey."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(check_key(key), signed, "sha256")).decode("ascii")


def check_key(key: Secret) -> bytes:
    """The bytes of a key as it is written. Raises BadSigningKey."""
    text = key.reveal()
    try:
        raw = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raw = b""  # refused below, outside: the codec's error could quote it
    if not text.startswith(PREFIX) or len(raw) not in BYTES:
        raise BadSigningKey
    return raw
