"""tests/unit/store/test_rolling_upgrade.py on PostgreSQL, and a database of the first release there."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, Boolean, Column, Connection, MetaData, delete, func, insert, select, text

from engine.catalog.credentials import list_credentials
from engine.catalog.devices import list_devices
from engine.operations.models import operation
from engine.operations.restart import resume
from engine.record import chain
from engine.record.verification import verify
from engine.store.database import Database
from engine.store.metadata import metadata
from engine.store.upgrade import check_schema, upgrade
from engine.vault.journal import JournalWriter, read_all
from engine.vault.keys import FileKeys
from engine.vault.models import secret_version
from executors.fake.target import FakeTarget
from tests.check_indexes import differences, load_models
from tests.migrations import upgrade_to
from tests.old_release import ACCOUNTS, data_directory
from tests.peers.postgres import PostgresServer
from tests.store_suite import exported
from tests.unit.operations.room import Room
from tests.unit.store.test_rolling_upgrade import *  # noqa: F403


@pytest.fixture(name="empty")
def empty_on_postgresql(postgres: PostgresServer) -> Iterator[Database]:
    made = Database(postgres.create_database())
    yield made
    made.dispose()


@pytest.fixture
def old(postgres: PostgresServer, tmp_path: Path) -> Iterator[Room]:
    """The first release's engine, as if it had worked on PostgreSQL."""
    data = data_directory(tmp_path / "old")
    database = Database(postgres.create_database())
    upgrade_to(database, "0001")
    with closing(sqlite3.connect(data / "keyturn.sqlite")) as source, database.writing() as connection:
        _copy_rows(source, connection)
    room = Room.__new__(Room)
    room.database, room.folder, room.keys = database, data, FileKeys(data / "keys")
    room.journal, room.target = JournalWriter(data / "journal"), FakeTarget(data / "target")
    yield room
    room.journal.close()
    database.dispose()


def _copy_rows(source: sqlite3.Connection, connection: Connection) -> None:
    connection.execute(text("SET session_replication_role = replica"))  # rows refer to each other
    found = MetaData()
    found.reflect(connection)
    for table in found.sorted_tables:
        connection.execute(delete(table))
        names = [column.name for column in table.columns]
        rows = source.execute(f"SELECT {', '.join(names)} FROM {table.name}").fetchall()
        for row in rows:
            values = {name: _as(table.c[name], value) for name, value in zip(names, row, strict=True)}
            connection.execute(insert(table).values(values))
        if "id" in table.c and rows and table.c.id.autoincrement and table.c.id.server_default is not None:
            highest = select(func.max(table.c.id)).scalar_subquery()
            sequence = func.pg_get_serial_sequence(table.name, "id")
            connection.execute(select(func.setval(sequence, highest)))


def _as(column: Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(column.type, Boolean):
        return bool(value)
    return json.loads(value) if isinstance(column.type, JSON) else value


def test_a_database_of_the_first_release_becomes_what_the_tables_declare(
    old: Room, postgres: PostgresServer
) -> None:
    load_models()
    upgrade(old.database)
    check_schema(old.database)
    created = Database(postgres.create_database())
    with created.writing() as connection:
        metadata.create_all(connection)
    assert differences(old.database, created) == []
    created.dispose()


def test_everything_in_it_reads_and_what_was_begun_goes_on(old: Room) -> None:
    upgrade(old.database)
    with old.database.writing() as connection:
        found = resume(connection, read_all(old.folder / "journal"), "engine")
        assert (found.restored, found.imported) == (False, [])
        assert [device.name for device in list_devices(connection)] == ["box"]
        credentials = {each.username: each.id for each in list_credentials(connection)}
        begun = (
            connection.execute(select(operation.c.id).where(operation.c.finished.is_(None))).scalars().all()
        )
    assert set(credentials) == set(ACCOUNTS)
    for _ in range(6):
        old.due_now()
        for each in begun:
            old.work(each)
    assert {old.operation(each).state for each in begun} == {"succeeded"}
    assert all(old.opens(name, credentials[name]) for name in ACCOUNTS)


def test_a_change_goes_through_and_the_audit_record_is_whole(old: Room) -> None:
    upgrade(old.database)
    with old.database.reading() as connection:
        [carol] = [each.id for each in list_credentials(connection) if each.username == "carol"]
        before = connection.execute(select(func.count()).select_from(secret_version)).scalar_one()
    assert old.change(carol) == "succeeded"
    with old.database.writing() as connection:
        assert connection.execute(select(func.count()).select_from(secret_version)).scalar_one() == before + 1
        while chain.append(connection):
            pass
    assert verify(exported(old.database)).whole
