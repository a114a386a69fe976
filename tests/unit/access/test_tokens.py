"""Bearer tokens: made once, shown once, refused alike."""

from __future__ import annotations

import logging
import stat
import time
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from engine.access.errors import BadToken, Unauthenticated, UnusablePepper
from engine.access.models import token
from engine.access.service import Principal, Role
from engine.access.tokens import authenticate, create, pepper, revoke
from engine.record.models import audit_entry
from executors.contract import Secret
from tests.unit.scene import audited


@pytest.fixture
def key(tmp_path: Path) -> Secret:
    return pepper(tmp_path / "pepper")


def public_id(made: Secret) -> str:
    return made.reveal().split("_")[1]


def test_a_token_names_the_principal_it_was_made_for(connection: Connection, key: Secret) -> None:
    made = create(connection, key, "ann", "billing", Role.READER)
    assert authenticate(connection, key, made) == Principal("billing", Role.READER)


def test_a_token_carries_256_random_bits_and_is_never_made_twice(connection: Connection, key: Secret) -> None:
    made = {create(connection, key, "ann", "billing", Role.READER).reveal() for _ in range(50)}
    assert len(made) == 50
    assert {len(each.split("_", 2)[2]) for each in made} == {43}  # base64url of 32 bytes


def test_the_database_and_the_audit_hold_no_token(connection: Connection, key: Secret) -> None:
    secret = create(connection, key, "ann", "billing", Role.READER).reveal().split("_", 2)[2]
    stored = str(connection.execute(select(token)).all()) + str(connection.execute(select(audit_entry)).all())
    assert secret not in stored
    assert audited(connection)[-1][0] == "token.create"


def test_another_pepper_opens_nothing(connection: Connection, key: Secret, tmp_path: Path) -> None:
    made = create(connection, key, "ann", "billing", Role.READER)
    with pytest.raises(Unauthenticated):
        authenticate(connection, pepper(tmp_path / "other"), made)


def test_a_token_lives_until_it_expires(connection: Connection, key: Secret) -> None:
    fresh = create(connection, key, "ann", "a", Role.READER, expires=time.time() + 3600)
    assert authenticate(connection, key, fresh).name == "a"


def test_every_bad_token_is_refused_in_the_same_words_and_the_log_says_why(
    connection: Connection, key: Secret, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    expired = create(connection, key, "ann", "a", Role.ADMIN, expires=time.time() - 1)
    revoked = create(connection, key, "ann", "b", Role.ADMIN)
    revoke(connection, "ann", public_id(revoked))
    right = create(connection, key, "ann", "c", Role.ADMIN).reveal()
    altered = Secret(right[:-1] + ("A" if right[-1] != "A" else "B"))
    unknown = Secret("kt_" + "0" * 16 + "_" + "A" * 43)
    cases = {
        "expired": expired,
        "revoked": revoked,
        "no such token": altered,
        "it does not look like a token": Secret("hello"),
    }
    said = set()
    for reason, presented in [*cases.items(), ("no such token", unknown)]:
        caplog.clear()
        with pytest.raises(Unauthenticated) as refused:
            authenticate(connection, key, presented)
        said.add(refused.value.message)
        [record] = caplog.records
        assert record.__dict__["reason"] == reason
        assert presented.reveal() not in str(record.__dict__)
    assert len(said) == 1


@pytest.mark.parametrize(
    "presented",
    ["", "kt_", "kt__", "kt_x_y", "\0", "kt_" + "0" * 16 + "_" + "A" * 43 + "\n", "é" * 9, "a" * 100_000],
)
def test_nonsense_is_refused_like_any_bad_token(connection: Connection, key: Secret, presented: str) -> None:
    with pytest.raises(Unauthenticated):
        authenticate(connection, key, Secret(presented))


def test_a_token_is_revoked_once(connection: Connection, key: Secret) -> None:
    made = create(connection, key, "ann", "a", Role.ADMIN)
    revoke(connection, "ann", public_id(made))
    assert audited(connection)[-1] == ("token.revoke", f"token {public_id(made)}")
    for unknown in (public_id(made), "nobody"):
        with pytest.raises(BadToken, match="no such token, or it is revoked already"):
            revoke(connection, "ann", unknown)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\u202e", "n" * 256])
def test_a_principal_needs_a_name_that_can_be_read(connection: Connection, key: Secret, name: str) -> None:
    with pytest.raises(BadToken, match="a principal's name is"):
        create(connection, key, "ann", name, Role.ADMIN)


def test_the_pepper_is_made_once_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "pepper"
    first = pepper(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert pepper(path) == first
    assert list(tmp_path.glob("*pepper*")) == [path]


def test_a_pepper_open_to_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pepper"
    pepper(path)
    path.chmod(0o440)
    with pytest.raises(UnusablePepper, match="open to others"):
        pepper(path)


@pytest.mark.parametrize("content", [b"", b"abc\n", b"\xff" * 65])
def test_a_damaged_pepper_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pepper"
    path.write_bytes(content)
    path.chmod(0o400)
    with pytest.raises(UnusablePepper, match="damaged"):
        pepper(path)
    assert path.read_bytes() == content
