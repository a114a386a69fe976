"""Statements that both databases have but SQLAlchemy spells by dialect."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Executable, Table, TextClause
from sqlalchemy.dialects import postgresql, sqlite

from engine.store.clock import now


def insert_unless_there(
    connection: Connection,
    table: Table,
    values: dict[str, Any],
    columns: list[str],
    where: TextClause | None = None,
) -> int | None:
    """Insert and return the new id; None if a row with the same `columns` (among those `where`) is there
    already. Of SQL, `values` may hold `now()`.

    The answer comes by RETURNING, because a driver's row count says -1 here.
    """
    moments = frozenset(name for name, value in values.items() if isinstance(value, now))
    statement = _unless_there(connection.dialect.name, table, tuple(columns), where, moments)
    plain = {name: value for name, value in values.items() if name not in moments}
    row = connection.execute(statement, plain).first()
    return None if row is None else int(row[0])


@lru_cache(maxsize=128)
def _unless_there(
    dialect: str, table: Table, columns: tuple[str, ...], where: TextClause | None, moments: frozenset[str]
) -> Executable:
    """Built once a place that calls: building costs ten times the execution."""
    maker = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = maker(table).values(dict.fromkeys(sorted(moments), now()))
    statement = statement.on_conflict_do_nothing(index_elements=list(columns), index_where=where)
    return statement.returning(table.c.id)
