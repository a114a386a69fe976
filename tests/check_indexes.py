"""Whether the migrations build what the tables declare: `python -m tests.check_indexes`.

Alembic's own comparison overlooks a changed WHERE of an index, and a unique index with a wrong WHERE loses
passwords. So an empty database of each dialect is migrated, another is made by `create_all`, and what the
two databases say of themselves is compared, the definitions of indexes word for word.
"""

from __future__ import annotations

import difflib
import importlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import Connection, Inspector, inspect, text

import engine
from engine.store.database import Database
from engine.store.metadata import metadata
from engine.store.upgrade import upgrade
from tests.peers import postgres
from tests.peers.availability import strict
from tests.peers.postgres import PostgresServer

ALEMBICS_OWN = "alembic_version"
INDEXES = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()",
}


def load_models() -> None:
    """Import every room's tables into `metadata`."""
    for models in sorted(Path(engine.__path__[0]).glob("*/models.py")):
        importlib.import_module(f"engine.{models.parent.name}.models")


def differences(migrated: Database, created: Database) -> list[str]:
    """A readable diff; empty when both have the same tables, columns, constraints and indexes."""
    return list(
        difflib.unified_diff(facts(migrated), facts(created), "migrated", "declared", lineterm="", n=0)
    )


def facts(database: Database) -> list[str]:
    """What the database says of its own schema, a line a fact."""
    with database.reading() as connection:
        inspector = inspect(connection)
        tables = set(inspector.get_table_names()) - {ALEMBICS_OWN}
        found = [fact for table in tables for fact in _table(connection, inspector, table)]
        return sorted([*found, *_indexes(connection)])


def _table(connection: Connection, inspector: Inspector, table: str) -> Iterator[str]:
    yield f"table {table}"
    for column in inspector.get_columns(table):
        kind = column["type"].compile(connection.dialect)
        null = "NULL" if column["nullable"] else "NOT NULL"
        yield f"column {table}.{column['name']} {kind} {null} default {column['default']}"
    yield f"primary key {table} {inspector.get_pk_constraint(table)}"
    for constraint in (
        *inspector.get_foreign_keys(table),
        *inspector.get_unique_constraints(table),
        *inspector.get_check_constraints(table),
    ):
        yield f"constraint {table} {sorted(constraint.items())}"


def _indexes(connection: Connection) -> Iterator[str]:
    for name, definition in connection.execute(text(INDEXES[connection.dialect.name])):
        if not name.startswith(ALEMBICS_OWN):
            yield f"index {' '.join(definition.split())}"


def check(new_database: Callable[[], str]) -> bool:
    """Compare on two new databases of one dialect, print what was found, and say whether they agree."""
    migrated, created = Database(new_database()), Database(new_database())
    upgrade(migrated)
    with created.writing() as connection:
        metadata.create_all(connection)
    found = differences(migrated, created)
    print(f"{migrated.dialect}: {len(metadata.tables)} tables,", "migrations differ" if found else "same")
    print("\n".join(found), end="\n" if found else "")
    migrated.dispose()
    created.dispose()
    return not found


def _check_sqlite() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        names = iter(("migrated", "created"))
        return check(lambda: f"sqlite:///{folder}/{next(names)}.sqlite")


def _check_postgresql() -> bool:
    if not postgres.available():
        print(f"postgresql: not compared, there is none here: {postgres.HOW}")
        return not strict()
    server = PostgresServer()
    try:
        return check(server.create_database)
    finally:
        server.remove()


def main() -> int:
    load_models()
    return 0 if all([_check_sqlite(), _check_postgresql()]) else 1


if __name__ == "__main__":
    sys.exit(main())
