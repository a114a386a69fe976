"""One worker of a zone: the only kind of process that opens the zone's secrets and reaches its targets."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from sqlalchemy import Connection

from engine.catalog import workers
from engine.catalog.errors import UnknownZone
from engine.catalog.zones import ensure_zone, get_zone
from engine.operations.recovery import OwnJournals
from engine.operations.restart import rejoin
from engine.processes.shared import (
    ACTOR,
    begun,
    comparing,
    installation,
    journal_directory,
    measured,
    tell_of,
)
from engine.settings import Settings
from engine.store.database import Database
from engine.store.upgrade import check_schema
from engine.vault.errors import UnsafeKey
from engine.vault.journal import JournalWriter
from engine.vault.keys import FileKeys
from engine.work.running import RunningWorker, register_worker
from engine.work.worker import fork_server, worker_name

NAME_FILE = "worker.name"


def run(settings: Settings) -> None:
    """Until SIGTERM, SIGINT or a drain; operations at work are ended first. Raises DataDirectoryInUse,
    SchemaTooNew, SchemaTooOld, StoreUnavailable, VaultError, ZoneKeyDiffers."""
    with begun(settings) as hold_fd:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        database, keys = Database(settings.database_url), FileKeys(settings.keys)
        check_schema(database)
        journals = journal_directory(settings)
        own = OwnJournals(database, journals, ACTOR, settings.lease)
        tell_of(own.compare())
        name = worker_name()
        with database.writing() as connection:
            _join(connection, settings, keys, name)
            queue_names = installation(connection)
        journal = JournalWriter(journals)
        (settings.data / NAME_FILE).write_text(name)
        with fork_server(hold_fd) as children:
            running = RunningWorker(settings, database, keys, journal, children, name, queue_names)
            running.start()
            try:
                with measured(settings, database, running.metrics, running.wrong), comparing(own, database):
                    running.stay(stopping)
            finally:
                running.stop("it was asked to stop")
        journal.close()
        database.dispose()


def _join(connection: Connection, settings: Settings, keys: FileKeys, name: str) -> None:
    """Beside others that are at work. Who held this data directory before is gone: its lock says so."""
    _own_zone(connection, settings, keys)
    if (predecessor := _predecessor(settings.data)) is not None:
        rejoin(connection, predecessor)
        workers.stopped(connection, predecessor, "it ended without a word")
    register_worker(connection, settings, name)


def _predecessor(data: Path) -> str | None:
    file = data / NAME_FILE
    return (file.read_text().strip() or None) if file.exists() else None


def _own_zone(connection: Connection, settings: Settings, keys: FileKeys) -> None:
    """A zone has one key pair: the first worker makes it, further ones are given it."""
    if foreign := [zone for zone in keys.private_here() if zone != settings.zone]:
        raise UnsafeKey(
            f"{settings.keys} holds the private key of zone {', '.join(foreign)}, and this is a worker of "
            f"{settings.zone}: it must open nothing else; move that key to the other zone's workers"
        )
    try:
        get_zone(connection, settings.zone)
    except UnknownZone:
        keys.ensure(settings.zone)
    else:
        keys.private(settings.zone)  # raises MissingKey, which says what to do
    ensure_zone(connection, ACTOR, settings.zone, keys.public(settings.zone).public_bytes_raw())
