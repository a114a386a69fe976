"""One API process: it asks, seals and tells, and can neither open a secret nor reach a target."""

from __future__ import annotations

from engine.access import tokens
from engine.access.errors import UnusablePepper
from engine.api import health
from engine.api.app import create_app
from engine.api.context import ApiContext
from engine.operations.restart import report
from engine.processes import separation
from engine.processes.shared import (
    ACTOR,
    begun,
    installation,
    listen,
    measured,
    open_journal,
    own_journals,
    tell_of,
)
from engine.settings import Settings
from engine.store.database import Database
from engine.store.upgrade import check_schema
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
        with database.writing() as connection:
            tell_of(report(connection, own_journals(settings), ACTOR))
            journal, queue_names = open_journal(settings, connection), installation(connection)
        app = make_app(settings.broker_url, queue_names)
        register(app, _nothing, _nothing)
        bell = Bell(app, queue_names)
        bell.start()
        context = ApiContext(database, settings, pepper, DirectedBell(bell, database), journal)
        metrics = Metrics()
        metrics.rings = lambda: (bell.sent, bell.lost)
        try:
            with measured(settings, database, metrics, lambda: health.wrong(context)):
                listen(settings, create_app(context))
        finally:
            bell.stop()
        journal.close()
        database.dispose()


def _nothing(_: int) -> None:
    """Tasks are worked on by workers; here they only have names."""
