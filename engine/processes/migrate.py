"""Bring the database to this release: its schema, and what ships with it. Safe beside running workers."""

from __future__ import annotations

import os

from engine.access import tokens
from engine.access.service import Role
from engine.catalog.rules import ensure_shipped_policies
from engine.processes.shared import ACTOR
from engine.settings import Settings
from engine.store.database import Database
from engine.store.upgrade import upgrade
from engine.templating import store as template_store

ADMIN_TOKEN = "admin.token"  # noqa: S105 - the name of a file


def run(settings: Settings) -> None:
    """Raises SchemaTooNew, StoreUnavailable, UnusablePepper."""
    os.umask(0o077)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database_url)
    try:
        prepare(settings, database)
    finally:
        database.dispose()


def prepare(settings: Settings, database: Database) -> None:
    """All that a first start needs, too; the first administrator's token is left in the data directory."""
    upgrade(database)
    with database.writing() as connection:
        ensure_shipped_policies(connection, ACTOR)
        template_store.sync(connection, ACTOR)
    _admin_token(settings, database)


def _admin_token(settings: Settings, database: Database) -> None:
    path = settings.data / ADMIN_TOKEN
    if path.exists():
        return
    pepper = tokens.pepper(settings.pepper_path)
    with database.writing() as connection:
        made = tokens.create(connection, pepper, ACTOR, "admin", Role.ADMIN)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "w") as file:
            file.write(made.reveal() + "\n")
            file.flush()
            os.fsync(file.fileno())
