"""SSH keys as secrets: private keys in OpenSSH's own format, and the public halves that targets are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from executors.contract import Secret

KeyType = Literal["ed25519", "ecdsa-p256", "ecdsa-p384", "rsa-3072", "rsa-4096"]
Key = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_EXPONENT: Final = 65537  # FIPS 186-5, A.1.1: the one that everybody uses
_MAKERS: Final[Mapping[KeyType, Callable[[], Key]]] = MappingProxyType(
    {
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ecdsa-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "ecdsa-p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "rsa-3072": lambda: rsa.generate_private_key(_EXPONENT, 3072),
        "rsa-4096": lambda: rsa.generate_private_key(_EXPONENT, 4096),
    }
)


def generate_key(kind: KeyType) -> Secret:
    """A new private key, without passphrase and without comment; it exists in this process only."""
    text = _MAKERS[kind]().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return Secret(text.decode())


def public_key(secret: Secret) -> str | None:
    """`TYPE BLOB` as authorized_keys(5) writes it. None: this is no key that can be read, or it has a
    passphrase."""
    text = secret.reveal()
    openssh = "OPENSSH PRIVATE KEY" in text
    load = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    try:
        key = load(text.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, Key):
        return None
    public = key.public_key()
    return public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
