"""Statements that both databases have but SQLAlchemy spells by dialect."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, TextClause
from sqlalchemy.dialects import postgresql, sqlite


def insert_unless_there(
    connection: Connection,
    table: Table,
    values: dict[str, Any],
    columns: list[str],
    where: TextClause | None = None,
) -> int | None:
    """Insert and return the new id; None if a row with the same `columns` (among those `where`) is there
    already.

    The answer comes by RETURNING, because a driver's row count says -1 here.
    """
    maker = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = maker(table).values(**values)
    statement = statement.on_conflict_do_nothing(index_elements=columns, index_where=where)
    row = connection.execute(statement.returning(table.c.id)).first()
    return None if row is None else int(row[0])
