"""An empty database with every room's tables, and a transaction in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine

import engine.access.models
import engine.catalog.models
import engine.operations.models
import engine.record.models
import engine.store.models
import engine.templating.models
import engine.vault.models  # noqa: F401 - each import declares its tables
from engine.store.database import Database
from engine.store.metadata import metadata


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once and copied for each test."""
    path = tmp_path_factory.mktemp("empty") / "keyturn.sqlite"
    engine = create_engine(f"sqlite:///{path}")
    metadata.create_all(engine)
    engine.dispose()
    return path


@pytest.fixture
def database(tmp_path: Path, empty_database: Path) -> Iterator[Database]:
    """SQLite, as the embedded engine has it."""
    path = shutil.copy(empty_database, tmp_path / "keyturn.sqlite")
    made = Database(f"sqlite:///{path}")
    yield made
    made.dispose()


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    """One writing transaction around the whole test."""
    with database.writing() as made:
        yield made
