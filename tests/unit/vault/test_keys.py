from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from engine.vault.errors import KeyExists, MissingKey, UnsafeKey
from engine.vault.keys import FileKeys, PublicKeys, ZoneKeys
from engine.vault.sealing import Context, Purpose, key_id, open_sealed, seal
from executors.contract.secret import Secret

CONTEXT = Context("dir.example", "svc", "password", 1, Purpose.SECRET)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_created_key_opens_what_is_sealed_to_its_public_half(directory: Path) -> None:
    made = FileKeys(directory).create("plant-3")
    workers: ZoneKeys = FileKeys(directory)
    api: ZoneKeys = PublicKeys(directory)
    blob = seal(Secret("hunter2hunter2"), api.public("plant-3"), CONTEXT)
    assert open_sealed(blob, workers.private("plant-3"), CONTEXT) == Secret("hunter2hunter2")
    assert key_id(workers.public("plant-3")) == key_id(made)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_modes_do_not_depend_on_the_umask(directory: Path, umask: int) -> None:
    directory.mkdir(mode=0o700)
    before = os.umask(umask)
    try:
        FileKeys(directory).create("main")
    finally:
        os.umask(before)
    assert mode(directory / "main.key") == 0o400
    assert mode(directory / "main.pub") == 0o444
    assert sorted(path.name for path in directory.iterdir()) == ["main.key", "main.pub"]


def test_the_directory_is_made_for_its_owner_alone(directory: Path) -> None:
    FileKeys(directory).create("main")
    assert mode(directory) == 0o700


def test_a_key_is_never_overwritten(directory: Path) -> None:
    keys = FileKeys(directory)
    keys.create("main")
    before = (directory / "main.key").read_bytes()
    with pytest.raises(KeyExists, match="never overwritten"):
        keys.create("main")
    assert (directory / "main.key").read_bytes() == before
    assert sorted(path.name for path in directory.iterdir()) == ["main.key", "main.pub"]


@pytest.mark.parametrize("open_mode", [0o440, 0o404, 0o644, 0o660, 0o420])
def test_a_key_that_others_can_read_is_refused_with_the_cure(directory: Path, open_mode: int) -> None:
    keys = FileKeys(directory)
    keys.create("main")
    (directory / "main.key").chmod(open_mode)
    with pytest.raises(UnsafeKey, match="chmod 0400"):
        keys.private("main")
    with pytest.raises(UnsafeKey, match="chmod 0400"):
        keys.public("main")


def test_a_directory_that_others_can_write_is_refused_with_the_cure(directory: Path) -> None:
    keys = FileKeys(directory)
    keys.create("main")
    directory.chmod(0o770)
    with pytest.raises(UnsafeKey, match="chmod 0700"):
        keys.private("main")


def test_a_missing_key_is_said_to_be_missing(directory: Path) -> None:
    directory.mkdir()
    with pytest.raises(MissingKey, match="no private key of zone main"):
        FileKeys(directory).private("main")
    with pytest.raises(MissingKey, match="no public key"):
        FileKeys(directory).public("main")


def test_a_process_that_only_seals_never_opens(directory: Path) -> None:
    FileKeys(directory).create("main")
    with pytest.raises(MissingKey, match="only seals"):
        PublicKeys(directory).private("main")


@pytest.mark.parametrize(
    "zone", ["", ".", "..", "../main", "a/b", ".hidden", "-x", "a\0b", "a\n", "x" * 64, "é"]
)
def test_a_zone_name_cannot_leave_the_directory(directory: Path, zone: str) -> None:
    directory.mkdir()
    for attempt in (FileKeys(directory).create, FileKeys(directory).private, PublicKeys(directory).public):
        with pytest.raises(MissingKey, match="no zone name"):
            attempt(zone)
    assert list(directory.iterdir()) == []


def pem(key: X25519PrivateKey | Ed25519PrivateKey, passphrase: bytes = b"") -> bytes:
    locked = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)


@pytest.mark.parametrize(
    "content",
    [
        lambda: b"",
        lambda: b"not a key",
        lambda: pem(X25519PrivateKey.generate())[:60],
        lambda: pem(Ed25519PrivateKey.generate()),
        lambda: pem(X25519PrivateKey.generate(), b"passphrase"),
    ],
)
def test_a_damaged_key_is_refused_and_not_quoted(directory: Path, content: Callable[[], bytes]) -> None:
    directory.mkdir(mode=0o700)
    text = content()
    path = directory / "main.key"
    path.write_bytes(text)
    path.chmod(0o400)
    with pytest.raises(UnsafeKey) as caught:
        FileKeys(directory).private("main")
    assert not text or text.decode() not in str(caught.value)


def test_a_damaged_public_key_is_refused(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    (directory / "main.pub").write_text("-----BEGIN PUBLIC KEY-----\n")
    with pytest.raises(UnsafeKey, match="copy it again"):
        PublicKeys(directory).public("main")


def test_a_public_key_of_another_pair_is_refused_before_anything_is_sealed_to_it(directory: Path) -> None:
    keys = FileKeys(directory)
    keys.create("main")
    keys.create("other")
    (directory / "main.pub").unlink()
    (directory / "main.pub").write_bytes((directory / "other.pub").read_bytes())
    with pytest.raises(UnsafeKey, match="private key beside it"):
        keys.public("main")


def test_an_interrupted_creation_is_finished_at_the_next_use(directory: Path) -> None:
    keys = FileKeys(directory)
    made = keys.create("main")
    (directory / "main.pub").unlink()
    (directory / f".main.key.{os.getpid()}").write_bytes(b"left by a killed process with this pid")
    assert key_id(keys.public("main")) == key_id(made)
    assert key_id(PublicKeys(directory).public("main")) == key_id(made)
    keys.create("second")


def test_a_pair_whose_private_key_is_mislaid_is_not_replaced(directory: Path) -> None:
    keys = FileKeys(directory)
    keys.create("main")
    (directory / "main.key").unlink()
    with pytest.raises(KeyExists):
        keys.create("main")


def test_which_zones_can_be_opened_here_is_told(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path / "keys")
    assert keys.private_here() == []
    keys.create("dmz")
    keys.create("default")
    assert keys.private_here() == ["default", "dmz"]
