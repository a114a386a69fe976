"""Brings a database to this version's schema, or says why it cannot be used."""

from __future__ import annotations

import secrets

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, TableClause, column, select, table, text, update

from engine.store.clock import now
from engine.store.database import Database
from engine.store.models import SINGLE_ROW, engine_state

LOCK = 0x6B74_7363_6865_6D61  # PostgreSQL's advisory lock; any number that all versions share

# These tables are the record room's, which stands above this one; a chain begins with 64 zeros.
_audit_chain = table("audit_chain", column("id"), column("sequence"), column("hash"))
_outbox_head = table("outbox_head", column("id"), column("sequence"))
_BEGINNINGS: tuple[tuple[TableClause, dict[str, int | str]], ...] = (
    (_audit_chain, {"id": SINGLE_ROW, "sequence": 0, "hash": "0" * 64}),
    (_outbox_head, {"id": SINGLE_ROW, "sequence": 0}),
)


class SchemaTooNew(Exception):
    """A newer version has upgraded this database, and this one must not work on it any more."""


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
        if _newer(connection, config):
            return
        command.upgrade(config, "head")
        seed(connection)


def check_schema(database: Database) -> None:
    """Whether this code may work on the database: on its own schema, or on a newer one that says so.

    Raises SchemaTooNew, SchemaTooOld, StoreUnavailable; changes nothing.
    """
    with database.reading() as connection:
        config = _config(connection)
        if _newer(connection, config):
            return
        scripts = ScriptDirectory.from_config(config)
        if set(MigrationContext.configure(connection).get_current_heads()) != set(scripts.get_heads()):
            raise SchemaTooOld(
                "the database's schema is older than this version; back it up, then `keyturn migrate`"
            )


def _newer(connection: Connection, config: Config) -> bool:
    """Whether the schema is newer than this code and may be worked on all the same. Raises SchemaTooNew."""
    scripts = ScriptDirectory.from_config(config)
    applied = set(MigrationContext.configure(connection).get_current_heads())
    unknown = applied - {script.revision for script in scripts.walk_revisions()}
    if not unknown:
        return False
    oldest = connection.execute(select(engine_state.c.supports)).scalar()
    if not oldest or oldest > max(scripts.get_heads()):
        raise SchemaTooNew(
            f"the database's schema ({', '.join(unknown)}) is newer than this version can work on; "
            "install the version that upgraded it, or a later one"
        )
    return True


def _config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "engine.store:migrations")
    return config


def _exclude_others(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # on SQLite the transaction itself does
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def seed(connection: Connection) -> None:
    """The rows without which nothing runs, as far as they are not there."""
    if connection.execute(select(engine_state.c.id)).first() is None:
        state = engine_state.insert().values(id=SINGLE_ROW, incarnation=secrets.token_hex(16))
        connection.execute(state.values(clock_high=now()))
    unnamed = update(engine_state).where(engine_state.c.installation == "")
    connection.execute(unnamed.values(installation=secrets.token_hex(8)))
    head = ScriptDirectory.from_config(_config(connection)).get_revision("head")
    connection.execute(update(engine_state).values(supports=head.module.supports))
    for beginning, row in _BEGINNINGS:
        if connection.execute(select(beginning.c.id)).first() is None:
            connection.execute(beginning.insert().values(row))
