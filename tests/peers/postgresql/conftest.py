"""One database for all; each test's transaction is rolled back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, delete, update

import engine.access.models
import engine.catalog.models
import engine.operations.models
import engine.record.models
import engine.store.models
import engine.templating.models
import engine.vault.models  # noqa: F401 - each import declares its tables
from engine.operations.models import operation
from engine.store.database import Database
from engine.store.metadata import metadata
from tests.peers.postgres import PostgresServer
from tests.unit.operations.room import room  # noqa: F401


@pytest.fixture(scope="session")
def on_postgresql(postgres: PostgresServer) -> Iterator[Database]:
    made = Database(postgres.create_database(), pool_size=12)
    metadata.create_all(made.engine)
    yield made
    made.dispose()


@pytest.fixture
def connection(on_postgresql: Database) -> Iterator[Connection]:
    with on_postgresql.engine.connect() as made:
        yield made


@pytest.fixture
def database(on_postgresql: Database) -> Iterator[Database]:
    """For tests of several transactions; emptied after each."""
    yield on_postgresql
    with on_postgresql.writing() as connection:
        connection.execute(update(operation).values(parent_operation_id=None))
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))
