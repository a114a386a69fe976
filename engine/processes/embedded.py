"""The whole engine in one process tree, on one data directory: API, doorbell, worker, tick, fork server."""

from __future__ import annotations

from sqlalchemy import Connection

from engine.access import tokens
from engine.api import health
from engine.api.app import create_app
from engine.api.context import ApiContext
from engine.catalog.zones import ensure_zone
from engine.operations.restart import resume
from engine.processes import migrate
from engine.processes.shared import (
    ACTOR,
    begun,
    installation,
    journal_directory,
    listen,
    measured,
    tell_of,
)
from engine.settings import Settings
from engine.store.database import Database
from engine.vault.journal import JournalWriter, read_all
from engine.vault.keys import FileKeys
from engine.work.bell import DirectedBell
from engine.work.running import RunningWorker, register_worker
from engine.work.worker import fork_server, worker_name


class NotEmbedded(Exception):
    """The settings are those of a process among others."""


def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises DataDirectoryInUse, NotEmbedded, and what makes a first start or an
    upgrade impossible."""
    if settings.database is not None or settings.broker is not None:
        raise NotEmbedded(
            "`keyturn up` has its database and its broker in itself; with `database` or `broker` set, start "
            "`keyturn migrate`, then `keyturn api` and `keyturn worker --zone ZONE`"
        )
    with begun(settings) as hold_fd:
        database, keys = Database(settings.database_url), FileKeys(settings.keys)
        migrate.prepare(settings, database)
        name = worker_name()
        with database.writing() as connection:
            _resume(connection, settings, keys, name)
            queue_names = installation(connection)
        journal = JournalWriter(settings.journal_directory)
        with fork_server(hold_fd) as children:
            running = RunningWorker(settings, database, keys, journal, children, name, queue_names)
            running.start()
            context = ApiContext(
                database=database,
                settings=settings,
                pepper=tokens.pepper(settings.pepper_path),
                bell=DirectedBell(running.bell, database),
                journal=journal,
            )
            try:
                with measured(settings, database, running.metrics, lambda: health.wrong(context)):
                    listen(settings, create_app(context))
            finally:
                running.stop("the engine was stopped")
        journal.close()
        database.dispose()


def _resume(connection: Connection, settings: Settings, keys: FileKeys, name: str) -> None:
    """Alone here: whatever held leases is gone."""
    ensure_zone(connection, ACTOR, settings.zone, keys.ensure(settings.zone).public_bytes_raw())
    tell_of(resume(connection, read_all(journal_directory(settings)), ACTOR))
    register_worker(connection, settings, name)
