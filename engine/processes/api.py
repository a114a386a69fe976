"""One API process: it asks, seals and tells, and can neither open a secret nor reach a target."""

from __future__ import annotations

from engine.access import tokens
from engine.access.errors import UnusablePepper
from engine.api import health
from engine.api.app import create_app
from engine.api.context import ApiContext
from engine.operations.recovery import OwnJournals
from engine.processes import separation
from engine.processes.shared import (
    ACTOR,
    begun,
    comparing,
    installation,
    journal_directory,
    listen,
    measured,
    tell_of,
)
from engine.settings import Settings
from engine.store.database import Database
from engine.store.upgrade import check_schema
from engine.vault.journal import JournalWriter
from engine.work.app import make_app, register
from engine.work.bell import Bell, DirectedBell
from engine.work.metrics import Metrics


def run(settings: Settings) -> None:
    """Until SIGTERM or SIGINT.

    Raises DataDirectoryInUse, NotSeparated, SchemaTooNew, SchemaTooOld, StoreUnavailable, UnusablePepper,
    VaultError.
    """
    with begun(settings):
        separation.confine(settings)
        database = Database(settings.database_url)
        check_schema(database)
        separation.check(settings, database)
        if not settings.pepper_path.exists():
            raise UnusablePepper(
                f"{settings.pepper_path} is missing: `keyturn migrate` makes it, and all API processes need "
                "the same one"
            )
        pepper = tokens.pepper(settings.pepper_path)
        journals = journal_directory(settings)
        own = OwnJournals(database, journals, ACTOR, settings.lease)
        tell_of(own.compare())
        with database.reading() as connection:
            queue_names = installation(connection)
        journal = JournalWriter(journals)
        app = make_app(settings.broker_url, queue_names)
        register(app, _nothing, _nothing)
        bell = Bell(app, queue_names)
        bell.start()
        context = ApiContext(database, settings, pepper, DirectedBell(bell, database), journal)
        metrics = Metrics()
        metrics.rings = lambda: (bell.sent, bell.lost)
        try:
            served = measured(settings, database, metrics, lambda: health.wrong(context))
            with served, comparing(own, database):
                listen(settings, create_app(context))
        finally:
            bell.stop()
        journal.close()
        database.dispose()


def _nothing(_: int) -> None:
    """Tasks are worked on by workers; here they only have names."""
