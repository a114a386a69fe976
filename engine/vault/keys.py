"""Zone keys in files: `ZONE.key` (private, 0400) and `ZONE.pub`, PEM, in their own directory (0700)."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NoReturn, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from engine.vault.errors import KeyExists, MissingKey, UnsafeKey
from engine.vault.sealing import key_id

ZONE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class ZoneKeys(Protocol):
    """Where a process gets zone keys from."""

    def public(self, zone: str) -> X25519PublicKey:
        """The key to seal to. Raises MissingKey, UnsafeKey."""

    def private(self, zone: str) -> X25519PrivateKey:
        """The key that opens. Raises MissingKey, UnsafeKey."""


class PublicKeys:
    """For processes that seal and never open, such as the API: reads `ZONE.pub` and nothing else."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def public(self, zone: str) -> X25519PublicKey:
        path = self._path(zone, "pub")
        if not path.exists():
            raise MissingKey(f"zone {zone} has no public key here: copy it from one of its workers to {path}")
        key = _parsed_public(path.read_bytes())
        if key is None:
            raise UnsafeKey(f"{path} is not a PEM file of an X25519 public key; copy it again from a worker")
        return key

    def private(self, zone: str) -> X25519PrivateKey:
        raise MissingKey(f"this process only seals to zone {zone}; opening is for the zone's workers")

    def _path(self, zone: str, kind: str) -> Path:
        if not ZONE_NAME.fullmatch(zone):
            raise MissingKey(f"{zone!r} is no zone name: letters, digits, '.', '_' and '-', at most 63")
        return self._directory / f"{zone}.{kind}"


class FileKeys(PublicKeys):
    """For workers: reads both files; `create` makes a zone's pair."""

    def create(self, zone: str) -> X25519PublicKey:
        """Make the zone's pair. Raises KeyExists. A crash leaves the whole private key or none."""
        path = self._path(zone, "key")
        if self._path(zone, "pub").exists():  # its private key is mislaid, and still needed
            raise KeyExists(self._path(zone, "pub"))
        self._directory.mkdir(mode=0o700, exist_ok=True)
        private = X25519PrivateKey.generate()
        text = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write_new(path, text, 0o400)
        self._publish(zone, private.public_key())
        return private.public_key()

    def private_here(self) -> list[str]:
        """The zones whose private keys lie here."""
        return sorted(path.stem for path in self._directory.glob("*.key"))

    def ensure(self, zone: str) -> X25519PublicKey:
        """The zone's public key; the pair is made if there is none. Raises as `create` and `public` do."""
        if not self._path(zone, "key").exists():
            with suppress(KeyExists):  # another worker on the same directory was faster
                return self.create(zone)
        return self.public(zone)

    def public(self, zone: str) -> X25519PublicKey:
        """As in `PublicKeys`; checked against a private key here: sealing to a wrong one loses."""
        if not self._path(zone, "key").exists():
            return super().public(zone)
        expected = self.private(zone).public_key()
        if not self._path(zone, "pub").exists():  # `create` was interrupted between the two files
            with suppress(KeyExists):  # another worker was faster
                self._publish(zone, expected)
        elif key_id(super().public(zone)) != key_id(expected):
            _refuse(
                self._path(zone, "pub"), "is not of the private key beside it; remove it, it is made again"
            )
        return expected

    def private(self, zone: str) -> X25519PrivateKey:
        path = self._path(zone, "key")
        try:
            text = _read_private(path)
        except FileNotFoundError:
            raise MissingKey(
                f"this process holds no private key of zone {zone}: {path} is missing; a zone has one key "
                "pair, so copy it from another worker of the zone or from its backup"
            ) from None
        key = _parsed_private(text)
        if key is None:
            _refuse(path, "is not a PEM file of an X25519 private key without passphrase; restore its backup")
        return key

    def _publish(self, zone: str, public: X25519PublicKey) -> None:
        text = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        _write_new(self._path(zone, "pub"), text, 0o444)


# Files are read and checked at each use; only what has just been read is not parsed again.


@lru_cache(maxsize=64)
def _parsed_public(text: bytes) -> X25519PublicKey | None:
    try:
        key = load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, X25519PublicKey) else None


@lru_cache(maxsize=64)
def _parsed_private(text: bytes) -> X25519PrivateKey | None:
    try:
        key = load_pem_private_key(text, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a passphrase
        return None
    return key if isinstance(key, X25519PrivateKey) else None


def _refuse(path: Path, why: str) -> NoReturn:
    raise UnsafeKey(f"{path} {why}")


def _read_private(path: Path) -> bytes:
    """Read the file, refusing one that others may read or replace."""
    if stat.S_IMODE(path.parent.stat().st_mode) & 0o022:
        _refuse(path.parent, f"can be written by others, who could replace keys: chmod 0700 '{path.parent}'")
    with path.open("rb") as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            _refuse(path, f"can be read by others: chmod 0400 '{path}' and take the key as known to them")
        return file.read()


def _write_new(path: Path, text: bytes, mode: int) -> None:
    """Write under another name, then link: the name appears with its whole content, if it was free."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fchmod(descriptor, mode)  # whatever the umask says
            os.fsync(descriptor)
        os.link(draft, path)
    except FileExistsError:
        raise KeyExists(path) from None
    finally:
        draft.unlink()
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """fsync(2): a new name is on disk only after its directory is."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
