"""Doctor beside a real PostgreSQL and a real Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text

from engine.cli import doctor_database, doctor_host
from engine.cli.findings import Finding, Result
from engine.settings import Settings
from engine.store.database import Database
from engine.store.upgrade import upgrade
from tests.exported import given_worker
from tests.peers import workdir
from tests.peers.postgres import PostgresServer
from tests.peers.redis import RedisServer
from tests.unit.operations.room import Room


@pytest.fixture
def upgraded(postgres: PostgresServer, tmp_path: Path) -> Iterator[tuple[Database, dict[str, Any]]]:
    """A database of this release with one worker that lives, and the settings of a process on it."""
    url = make_url(postgres.create_database())
    database = Database(url)
    upgrade(database)
    Room(database, tmp_path).journal.close()
    with database.writing() as connection:
        given_worker(connection, "w1")
    secret = tmp_path / "password"
    secret.write_text(str(url.password))
    secret.chmod(0o600)
    plain = url._replace(password=None).render_as_string()
    yield database, {"data": tmp_path, "database": plain, "database_password_file": secret}
    database.dispose()


def told(found: list[Finding], check: str) -> str:
    return "\n".join(f"{each.result}: {each.detail}" for each in found if each.check == check)


def test_a_database_in_order_has_nothing_bad(upgraded: tuple[Database, dict[str, Any]]) -> None:
    found = list(doctor_database.checked(Settings(**upgraded[1])))
    assert [each for each in found if each.result is Result.BAD] == []
    assert told(found, "workers").startswith("good")
    assert told(found, "clock").startswith("good")
    assert "volume" in told(found, "journal")


def test_a_role_that_may_not_see_the_databases_volume_is_told_so(
    upgraded: tuple[Database, dict[str, Any]],
) -> None:
    database, settings = upgraded
    role = f"kt_{database.engine.url.database}"
    secret = settings["database_password_file"].read_text()
    with database.writing() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD '{secret}'"))
        connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"))
    plain = make_url(settings["database"]).set(username=role).render_as_string()
    found = list(doctor_database.checked(Settings(**{**settings, "database": plain})))
    assert "note: whether journal and database share a volume cannot be seen" in told(found, "journal")
    assert told(found, "schema").startswith("good")


def test_a_database_that_is_away_is_one_finding(upgraded: tuple[Database, dict[str, Any]]) -> None:
    settings = upgraded[1]
    plain = make_url(settings["database"]).set(port=workdir.free_port()).render_as_string()
    (found,) = doctor_database.checked(Settings(**{**settings, "database": plain}))
    assert (found.check, found.result) == ("schema", Result.BAD)
    assert settings["database_password_file"].read_text() not in found.detail


def test_a_broker_that_answers_is_good_and_others_are_bad(redis: RedisServer, tmp_path: Path) -> None:
    def broker(**settings: Any) -> str:
        return told(list(doctor_host.checked(Settings(data=tmp_path, **settings))), "broker")

    assert broker(broker=redis.url, broker_password_file=redis.password_file).startswith("good: ")
    wrong = tmp_path / "wrong"
    wrong.write_text("hunter2")
    refused = broker(broker=redis.url, broker_password_file=wrong)
    assert refused.startswith("bad: ")
    assert "hunter2" not in refused
    away = f"redis://default@127.0.0.1:{workdir.free_port()}/0"
    assert broker(broker=away).startswith("bad: ")
    nobody = f"amqp://guest@127.0.0.1:{workdir.free_port()}//"
    assert broker(broker=nobody).startswith("bad: ")
