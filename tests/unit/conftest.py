"""An empty database with every room's tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

import engine.access.models
import engine.catalog.models
import engine.operations.models
import engine.record.models
import engine.store.models
import engine.templating.models
import engine.vault.models  # noqa: F401 - each import declares its tables
from engine.store.database import Database
from engine.store.metadata import metadata


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """SQLite, as the embedded engine has it."""
    made = Database(f"sqlite:///{tmp_path / 'keyturn.sqlite'}")
    with made.writing() as connection:
        metadata.create_all(connection)
    yield made
    made.dispose()


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    """One writing transaction around the whole test."""
    with database.writing() as made:
        yield made
