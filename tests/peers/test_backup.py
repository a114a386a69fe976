"""`keyturn backup` and `keyturn restore` with PostgreSQL: pg_dump, one snapshot, the password unseen."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import URL, make_url

from engine.record import chain
from engine.store.database import Database
from engine.store.upgrade import upgrade
from tests.migrations import HEAD
from tests.peers.postgres import PostgresServer
from tests.unit.cli.conftest import FakeEngine, Keyturn
from tests.unit.cli.site import reopened
from tests.unit.operations.room import Room

PASSWORD = "a:b\\c d'e\"f"  # what libpq's files and strings give a meaning of their own


class Site:
    """An engine's data directory with its database in PostgreSQL, and the settings for it."""

    def __init__(self, url: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
        folder.mkdir(mode=0o700)
        self.database = Database(url)
        upgrade(self.database)
        self.room = Room(self.database, folder)
        self.patch = patch
        self.use(url)

    def use(self, url: str) -> None:
        parts = make_url(url)
        (self.room.folder / "password").write_text(f"{parts.password}\n")
        plain = parts._replace(password=None).render_as_string()
        self.patch.setenv("KEYTURN_DATABASE", plain)
        self.patch.setenv("KEYTURN_DATABASE_PASSWORD_FILE", str(self.room.folder / "password"))

    def __call__(self, *arguments: str, code: int = 0) -> str:
        result = Keyturn(FakeEngine())(*arguments, "--data", str(self.room.folder), "--json")
        assert result.exit_code == code, result.output
        return result.stdout or result.stderr


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    """A database of an account of its own, whose password is hard to hand over."""
    parts = make_url(postgres.create_database())
    name = f"keeper_{parts.database}"
    with _connect(parts) as db:
        db.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), PASSWORD))
        db.execute(
            sql.SQL("ALTER DATABASE {} OWNER TO {}").format(
                sql.Identifier(str(parts.database)), sql.Identifier(name)
            )
        )
    return parts.set(username=name, password=PASSWORD).render_as_string(hide_password=False)


def _connect(url: URL) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(**url.translate_connect_args(username="user", database="dbname"))


@pytest.fixture
def site(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr("resource.setrlimit", lambda *_: None)
    made = Site(url, tmp_path / "data", monkeypatch)
    yield made
    made.room.journal.close()
    made.room.database.dispose()
    made.database.dispose()


def test_a_dump_is_put_back_and_the_journals_bring_back_the_rest(
    site: Site, postgres: PostgresServer, tmp_path: Path
) -> None:
    room = site.room
    ann = room.account("ann")
    with room.database.writing() as connection:
        chain.append(connection)
    manifest = json.loads(site("backup", "--to", str(tmp_path / "copy")))
    assert (manifest["dialect"], manifest["schema"]) == ("postgresql", HEAD)
    assert set(manifest["files"]) == {"audit.jsonl", "keys/default.pub", "keyturn.dump"}
    room.change(ann)
    reopened(room)

    other = make_url(postgres.create_database())
    _pg_restore(tmp_path / "copy" / "keyturn.dump", other.render_as_string(hide_password=False))
    site.use(other.render_as_string(hide_password=False))
    told = json.loads(site("restore", "--journal", str(room.folder / "journal")))
    assert (told["imported"], told["restored"]) == (["ann@box"], True)
    room.database = Database(other)
    assert room.versions(ann) == {1: "current", 2: "history"}


def _pg_restore(dump: Path, url: str) -> None:
    parts = make_url(url)
    target = parts._replace(drivername="postgresql", password=None).render_as_string()
    subprocess.run(
        ["pg_restore", "--no-owner", "--exit-on-error", "--dbname", target, dump],
        check=True,
        capture_output=True,
        env={**os.environ, "PGPASSWORD": str(parts.password)},
    )


def test_the_password_is_in_no_argument_and_no_variable(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    run = subprocess.run

    def watched(command: list[str], **how: object) -> object:
        seen.append(repr(command) + repr(how.get("env")))
        return run(command, **how)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", watched)
    site("backup", "--to", str(tmp_path / "copy"))
    assert len(seen) == 2
    assert not any(PASSWORD in each or repr(PASSWORD)[1:-1] in each for each in seen)
    assert not any(
        PASSWORD.encode() in path.read_bytes() for path in (tmp_path / "copy").iterdir() if path.is_file()
    )


def test_without_pg_dump_it_says_what_to_install(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install PostgreSQL's client programs" in site("backup", "--to", str(tmp_path / "copy"), code=5)
    assert not (tmp_path / "copy").exists()


def test_what_pg_dump_refuses_is_told_without_the_password(
    site: Site, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.cli.backup.LOCK_WAIT", 1)
    with _connect(make_url(url)) as db:
        db.execute("LOCK TABLE policy IN ACCESS EXCLUSIVE MODE")
        told = site("backup", "--to", str(tmp_path / "copy"), code=5)
    assert "pg_dump ended with 1" in told
    assert PASSWORD not in told
    assert not (tmp_path / "copy").exists()
