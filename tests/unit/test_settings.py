"""Settings: whence they come, that no password is in sight, and what cannot be is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from engine.settings import Settings

DATABASE = "postgresql+psycopg://kt@db.example:5432/kt"
BROKER = "redis://kt@broker.example:6379/0"


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("can@ry:/4711\nonly the first line counts\n")
    return path


def test_a_password_comes_from_the_first_line_of_its_file(tmp_path: Path, password: Path) -> None:
    made = Settings(data=tmp_path, database=DATABASE, database_password_file=password)
    assert made.database_url.password == "can@ry:/4711"
    assert made.database_url.host == "db.example"


def test_a_password_is_in_no_way_printed(tmp_path: Path, password: Path) -> None:
    files: dict[str, Any] = {"database_password_file": password, "broker_password_file": password}
    made = Settings(data=tmp_path, database=DATABASE, broker=BROKER, **files)
    assert "4711" not in f"{made!r} {made} {made.database_url} {made.database_url!r}"
    assert "can%40ry%3A%2F4711@broker.example" in made.broker_url


def test_a_line_that_ends_as_windows_ends_lines_is_the_same_password(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b"secret\r\n")
    made = Settings(data=tmp_path, database=DATABASE, database_password_file=tmp_path / "password")
    assert made.database_url.password == "secret"


def test_a_file_without_text_raises_what_a_missing_one_does(tmp_path: Path) -> None:
    made = Settings(data=tmp_path, database=DATABASE, database_password_file=tmp_path / "password")
    with pytest.raises(OSError, match="password"):
        _ = made.database_url
    (tmp_path / "password").write_bytes(b"\xff\xfe")
    with pytest.raises(OSError, match="no password in UTF-8") as raised:
        _ = made.database_url
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None, "its text quotes bytes of the password"


def test_without_a_database_sqlite_is_in_the_data_directory(tmp_path: Path) -> None:
    made = Settings(data=tmp_path)
    assert made.database_url.database == str(tmp_path / "keyturn.sqlite")
    assert made.broker_url == "memory://"


@pytest.mark.parametrize("url", [DATABASE, "postgresql://db/kt", "postgresql+psycopg://kt@[::1]:5/kt"])
def test_postgresql_is_the_database_that_can_be_named(tmp_path: Path, url: str) -> None:
    assert Settings(data=tmp_path, database=url).database == url


@pytest.mark.parametrize("scheme", ["redis", "rediss", "amqp", "amqps"])
def test_redis_and_rabbitmq_are_the_brokers(tmp_path: Path, scheme: str) -> None:
    assert Settings(data=tmp_path, broker=f"{scheme}://kt@broker/0").broker_url.startswith(f"{scheme}://")


@pytest.mark.parametrize(
    "fields",
    [
        {"database": "postgresql+psycopg://kt:secret@db/kt"},
        {"database": "sqlite:///file"},
        {"database": ""},
        {"broker": "memory://"},
        {"broker": "sqs://key"},
        {"broker": "redis://a:b"},
        {"tls_key": "key.pem"},
        {"threads": 0},
        {"tick": 0},
        {"plaintext": "yes"},
        {"deadline": 300.0, "lease": 300.0},
        {"nonsense": 1},
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings(data=tmp_path, **fields)  # type: ignore[arg-type]


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keyturn.toml").write_text('zone = "north"\nthreads = 3\n')
    monkeypatch.setenv("KEYTURN_ZONE", "south")
    made = Settings(data=tmp_path)
    assert (made.zone, made.threads) == ("south", 3)


def test_what_is_given_in_code_wins_over_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYTURN_ZONE", "south")
    assert Settings(data=tmp_path, zone="west").zone == "west"


def test_a_certificate_may_hold_its_key(tmp_path: Path) -> None:
    assert Settings(data=tmp_path, tls_certificate=tmp_path / "both.pem").tls_key is None
