"""Sealing: anyone may seal to a zone's public key, only holders of its private key open.

A sealed value is `format byte · key id (16) · length of wrapped key (2) · wrapped key · nonce (12) · text`.
A fresh data key encrypts each value (AES-256-GCM); HPKE in base mode (RFC 9180: DHKEM(X25519, HKDF-SHA256),
HKDF-SHA256, AES-256-GCM) wraps the data key. The context is HPKE's `info` and GCM's additional data, so a
value moved to another row does not open.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from engine.vault.errors import CannotSeal, SealBroken, UnknownFormat, WrongKey
from executors.contract.secret import Secret

FORMAT = 1
KEY_ID_BYTES = 16
NONCE_BYTES = 12
HEADER = struct.Struct(f">B{KEY_ID_BYTES}sH")
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class Purpose(StrEnum):
    """What a sealed value is for; a value sealed for one purpose does not open for another."""

    SECRET = "secret"  # noqa: S105 - the name of a purpose
    TRANSCRIPT = "transcript"
    REVEAL = "reveal"
    JOURNAL = "journal"
    HANDOVER = "handover"
    RECEIVER = "receiver"


@dataclass(frozen=True, slots=True)
class Context:
    """What a value belongs to, by names that outlive the database; row ids change with a restore."""

    authority: str
    account: str
    credential: str
    version: int
    purpose: Purpose

    def __str__(self) -> str:
        return f"{self.purpose} of {self.account}@{self.authority} {self.credential} version {self.version}"

    def encoded(self) -> bytes:
        """Each field with its length in front, so that no two contexts encode alike."""
        fields = (self.authority, self.account, self.credential, str(self.version), self.purpose.value)
        encoded = [field.encode("utf-8", "surrogatepass") for field in fields]
        framed = (struct.pack(">I", len(field)) + field for field in encoded)
        return b"keyturn seal %d" % FORMAT + b"".join(framed)


def key_id(public_key: X25519PublicKey) -> str:
    """32 hexadecimal digits that name a public key: the start of its SHA-256."""
    return sha256(public_key.public_bytes_raw()).digest()[:KEY_ID_BYTES].hex()


def sealed_to(blob: bytes) -> str:
    """The id of the key that opens `blob`. Raises UnknownFormat."""
    if len(blob) < HEADER.size or blob[0] != FORMAT:
        raise UnknownFormat(f"format byte {blob[0]}" if blob else "empty")
    return blob[1 : 1 + KEY_ID_BYTES].hex()


def seal(secret: Secret, public_key: X25519PublicKey, context: Context) -> bytes:
    """Raises CannotSeal for a secret that UTF-8 cannot carry (lone surrogates)."""
    try:
        payload = secret.reveal().encode("utf-8")
    except UnicodeEncodeError:
        payload = None  # raised below, outside: the codec's error carries the whole secret
    if payload is None:
        raise CannotSeal("the secret holds characters that UTF-8 cannot carry; set another one")
    return seal_bytes(payload, public_key, context)


def seal_bytes(payload: bytes, public_key: X25519PublicKey, context: Context) -> bytes:
    """For what is not a `Secret`, such as transcripts. Raises CannotSeal for a public key of small order."""
    bound, data_key, nonce = context.encoded(), AESGCM.generate_key(256), os.urandom(NONCE_BYTES)
    try:
        wrapped = SUITE.encrypt(data_key, public_key, info=bound)
    except ValueError:  # RFC 7748 section 6.1: the all-zero shared value
        raise CannotSeal("that public key is not a usable X25519 key; make the key pair again") from None
    header = HEADER.pack(FORMAT, bytes.fromhex(key_id(public_key)), len(wrapped))
    return header + wrapped + nonce + AESGCM(data_key).encrypt(nonce, payload, header + bound)


def open_sealed(blob: bytes, private_key: X25519PrivateKey, context: Context) -> Secret:
    """Raises SealBroken, WrongKey, UnknownFormat."""
    return Secret.from_bytes(open_bytes(blob, private_key, context))


def open_bytes(blob: bytes, private_key: X25519PrivateKey, context: Context) -> bytes:
    """Raises SealBroken, WrongKey, UnknownFormat."""
    needed, given = sealed_to(blob), key_id(private_key.public_key())
    if needed != given:
        raise WrongKey(needed, given)
    header, bound = blob[: HEADER.size], context.encoded()
    split = HEADER.size + HEADER.unpack(header)[2]
    nonce, text = blob[split : split + NONCE_BYTES], blob[split + NONCE_BYTES :]
    try:
        data_key = SUITE.decrypt(blob[HEADER.size : split], private_key, info=bound)
        return AESGCM(data_key).decrypt(nonce, text, header + bound)
    except (InvalidTag, ValueError):  # ValueError: a length that no tag or nonce has
        raise SealBroken(str(context)) from None


def reseal(
    blob: bytes,
    private_key: X25519PrivateKey,
    context: Context,
    to_public_key: X25519PublicKey,
    to_context: Context,
) -> bytes:
    """Open and seal anew, to another zone or a reader's one-use key. Raises as both do."""
    return seal_bytes(open_bytes(blob, private_key, context), to_public_key, to_context)
