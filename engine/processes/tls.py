"""TLS of the API's own listener: RFC 8446, and TLS 1.2 (RFC 5246) for those who are late."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate

from engine.settings import Settings


class UnusableCertificate(Exception):
    """Nobody could be answered with these files."""


@dataclass(frozen=True)
class Tls:
    """`fingerprint` is the SHA-256 of the API's own certificate, in hexadecimal."""

    context: ssl.SSLContext
    fingerprint: str


def tls_of(settings: Settings) -> Tls | None:
    """None: the settings name no certificate. Raises UnusableCertificate."""
    if settings.tls_certificate is None:
        return None
    try:
        return _loaded(settings.tls_certificate, settings.tls_key)
    except (OSError, ValueError) as error:
        key = settings.tls_key or settings.tls_certificate
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise UnusableCertificate(
            f"{settings.tls_certificate} and {key} cannot be used ({why}): name a PEM file that begins with "
            "the API's own certificate, and its private key without a passphrase, readable for this user"
        ) from None


def _loaded(certificate: Path, key: Path | None) -> Tls:
    """What uvicorn would make reads a passphrase from the terminal, and takes what the platform allows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key, password="")
    own = load_pem_x509_certificate(certificate.read_bytes())
    return Tls(context, own.fingerprint(SHA256()).hex())
