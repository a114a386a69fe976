"""Engines and transactions: one port for SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from engine.store.clock import now

BUSY_TIMEOUT = 15_000  # milliseconds that SQLite waits for another writer


class StoreUnavailable(Exception):
    """The database cannot be reached or written. Nothing was sent to any target."""


class Database:
    """Transactions over one database. Thread-safe; after a fork make a new one."""

    def __init__(self, url: str | URL, **options: Any) -> None:
        target = make_url(url)
        if target.get_backend_name() != "sqlite":
            options = {"pool_pre_ping": True, **options}  # a server that was restarted costs nobody an error
        self.engine: Engine = create_engine(target, **options)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self.interruptions = 0  # how often it was away: what answers after that may be an older copy

    @property
    def dialect(self) -> str:
        return self.engine.dialect.name

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, committed at the end. On SQLite it takes the write lock at once, so that a read
        inside cannot be overtaken."""
        with self._translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that writes nothing; on SQLite it does not wait for writers."""
        with self._translated(), self.engine.connect().execution_options(keyturn_reading=True) as connection:
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeout as error:
            raise StoreUnavailable("all database connections of this process are in use") from error
        except DBAPIError as error:
            damaged = type(error.orig) is sqlite3.DatabaseError  # not a database, or malformed
            if isinstance(error, OperationalError) or error.connection_invalidated or damaged:
                self.interruptions += 1
                raise StoreUnavailable(f"the database did not take part: {error.orig}") from error
            raise

    def now(self) -> float:
        with self.reading() as connection:
            return float(connection.execute(select(now())).scalar_one())

    def dispose(self) -> None:
        self.engine.dispose()


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("keyturn_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
