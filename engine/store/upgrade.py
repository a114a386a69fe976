"""Brings a database to this version's schema, or says why it cannot be used."""

from __future__ import annotations

import secrets

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, column, select, table, text

from engine.store.clock import now
from engine.store.database import Database
from engine.store.models import SINGLE_ROW, engine_state

LOCK = 0x6B74_7363_6865_6D61  # PostgreSQL's advisory lock; any number that all versions share

# The table is the record room's, which stands above this one; a chain begins with 64 zeros.
_audit_chain = table("audit_chain", column("id"), column("sequence"), column("hash"))
_BEGINNING = {"id": SINGLE_ROW, "sequence": 0, "hash": "0" * 64}


class SchemaTooNew(Exception):
    """A newer version has used this database. Nothing was changed; install that version or a later one."""


class SchemaTooOld(Exception):
    """The database is empty or of an older version. Run the upgrade, after a backup."""


def upgrade(database: Database) -> None:
    """Apply what is missing, in one transaction that excludes every other upgrade, and make the rows without
    which nothing runs. Does nothing to a database that is up to date. Alembic keeps its context in a module:
    a process upgrades one database at a time.

    Raises SchemaTooNew, StoreUnavailable.
    """
    with database.writing() as connection:
        _exclude_others(connection)
        config = _config(connection)
        _pending(connection, config)
        command.upgrade(config, "head")
        _seed(connection)


def check_schema(database: Database) -> None:
    """Raises SchemaTooNew, SchemaTooOld, StoreUnavailable; changes nothing."""
    with database.reading() as connection:
        if _pending(connection, _config(connection)):
            raise SchemaTooOld("the database's schema is older than this version; back it up and upgrade it")


def _pending(connection: Connection, config: Config) -> bool:
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    applied = set(MigrationContext.configure(connection).get_current_heads())
    if not applied <= known:
        raise SchemaTooNew(
            f"the database's schema ({', '.join(applied - known)}) is newer than this version knows; "
            "install the version that upgraded it, or a later one"
        )
    return applied != set(scripts.get_heads())


def _config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "engine.store:migrations")
    return config


def _exclude_others(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # on SQLite the transaction itself does
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def _seed(connection: Connection) -> None:
    if connection.execute(select(engine_state.c.id)).first() is None:
        state = engine_state.insert().values(id=SINGLE_ROW, incarnation=secrets.token_hex(16))
        connection.execute(state.values(clock_high=now()))
    if connection.execute(select(_audit_chain.c.id)).first() is None:
        connection.execute(_audit_chain.insert().values(_BEGINNING))
