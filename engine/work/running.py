"""A zone's worker at work: what hears the bell, what looks into the database, and how both end."""

from __future__ import annotations

import logging
import socket
import threading
import time
from importlib.metadata import version

from sqlalchemy import Connection

from engine.catalog import workers
from engine.catalog.zones import get_zone
from engine.operations import retention
from engine.record import outbox
from engine.settings import Settings
from engine.store import duties
from engine.store.database import Database, StoreUnavailable
from engine.store.upgrade import SchemaTooNew, SchemaTooOld, check_schema
from engine.vault import handover
from engine.vault.errors import VaultError
from engine.vault.journal import JournalWriter
from engine.vault.keys import ZoneKeys
from engine.vault.service import unanswered
from engine.work.app import WorkerThread, make_app, register
from engine.work.bell import Bell
from engine.work.delivery.courier import Courier
from engine.work.forkserver.ports import Sessions
from engine.work.metrics import Metrics
from engine.work.names import queues
from engine.work.tick import Tick
from engine.work.worker import Worker

log = logging.getLogger(__name__)

LOOK = 0.2  # seconds between two looks at whether to end
ALONE_AGAIN = 3600.0  # seconds between two notices of a zone that still has no worker
DUTY_NAME = 64  # characters
SCHEMA_LOOK = 30.0  # seconds between two looks at whether the schema is still one to work on


class RunningWorker:
    """Hears rings, ticks, works, and reports itself. `name` is registered already, see `register_worker`."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        keys: ZoneKeys,
        journal: JournalWriter,
        children: Sessions,
        name: str,
        installation: str,
    ) -> None:
        self._settings = settings
        self._database = database
        self._keys = keys
        self._name = name
        heard = queues(installation, settings.zone)
        self._app = make_app(settings.broker_url, installation, heard, late=settings.acknowledge == "late")
        self.metrics = Metrics(settings.zone)
        self.worker = Worker(settings, database, keys, journal, children, name, self.metrics)
        register(self._app, self.worker.heard, self.worker.reveal)
        self.bell = Bell(self._app, installation)
        self.worker.bell = self.bell
        self._consumer = WorkerThread(self._app, settings.threads)
        self.tick = Tick(
            database,
            self.bell,
            settings.zone,
            settings.tick,
            (self._report, self._reveal, self._hand_over, self._purge, self._look_at_schema),
        )
        self.tick.take = self.worker.take
        self.worker.ended = self.tick.ended
        self._courier = Courier(database, keys, settings.zone, name, settings)
        self.metrics.rings = lambda: (self.bell.sent, self.bell.lost)
        self.metrics.tick_age = lambda: time.monotonic() - self.tick.beat
        self._schema_seen = time.monotonic()
        self._reported = self._watching = time.monotonic()

    def start(self) -> None:
        self.bell.start()
        self._consumer.start()
        self.tick.start()
        self._courier.start()

    def stay(self, stopping: threading.Event) -> None:
        """Until `stopping` is set or somebody asks for a drain."""
        while not stopping.wait(LOOK) and not self.worker.draining.is_set():
            if not self._consumer.alive:
                log.error("what hears the broker has ended; it is started again")
                self._consumer = WorkerThread(self._app, self._settings.threads)
                self._consumer.start()
            if not self.tick.alive:
                log.error("what looks for work has ended, see above; this worker ends, start it again")
                return

    def stop(self, reason: str) -> None:
        """Take nothing more, end what was begun, within the time of a lease, and say so."""
        self.worker.draining.set()
        until = time.monotonic() + self._settings.lease
        while self.worker.busy and time.monotonic() < until:
            time.sleep(0.05)
        self.tick.stop()
        self._courier.stop()
        self._consumer.stop()
        self.bell.stop()
        try:
            with self._database.writing() as connection:
                workers.stopped(connection, self._name, reason)
        except StoreUnavailable as error:
            log.warning("nobody was told that this worker has ended: %s", error)

    def wrong(self) -> list[str]:
        """What keeps it from working."""
        age = time.monotonic() - self.tick.beat
        found = []
        if age > workers.longest_silence(self._settings.tick):
            found.append(f"it has not looked for work for {round(age)} seconds")
        if not self._consumer.alive:
            found.append("what hears the broker has ended")
        return found

    def _report(self) -> None:
        with self._database.writing() as connection:
            draining = workers.beat(connection, self._name, self.worker.busy)
            if draining is None:
                register_worker(connection, self._settings, self._name)
        if draining:
            self.worker.draining.set()
        if self._has_watched():
            self._miss_others()

    def _has_watched(self) -> bool:
        """Whether it has come to the database for so long, without a break, that the others could have, too:
        when all are back after an outage, nobody is missed."""
        longest, now_ = workers.longest_silence(self._settings.tick), time.monotonic()
        if now_ - self._reported > longest / 2:
            self._watching = now_
        self._reported = now_
        return now_ - self._watching > longest

    def _miss_others(self) -> None:
        """In a transaction of its own: while it held its own row, another might wait for that one, and hold
        one that is waited for here."""
        with self._database.writing() as connection:
            longest = workers.longest_silence(self._settings.tick)
            for name in workers.lost(connection, longest):
                log.warning("worker %s has not been heard of; its leases end by themselves", name)
            for zone in workers.zones_without_workers(connection, longest):
                if duties.is_ours(connection, f"alone:{zone}"[:DUTY_NAME], ALONE_AGAIN):
                    outbox.notice(connection, "zone.without_worker", {"zone": zone})

    def _reveal(self) -> None:
        """What somebody waits to read, whether or not the bell was heard."""
        with self._database.reading() as connection:
            waiting = unanswered(connection, self._settings.zone)
        for request_id in waiting:
            self.worker.reveal(request_id)

    def _hand_over(self) -> None:
        """Re-seal what other zones need of this zone's secrets."""
        with self._database.reading() as connection:
            if not handover.wanted(connection, self._settings.zone):
                return
        try:
            with self._database.writing() as connection:
                handover.fill(connection, self._keys, self._settings.zone)
        except (VaultError, OSError) as error:
            log.error("a secret could not be handed over to another zone: %s", error)

    def _purge(self) -> None:
        with self._database.writing() as connection:
            retention.purge_in_turn(connection, self._settings)

    def _look_at_schema(self) -> None:
        """A migration that this release must not work beside makes it end in good order."""
        if time.monotonic() - self._schema_seen < SCHEMA_LOOK:
            return
        self._schema_seen = time.monotonic()
        try:
            check_schema(self._database)
        except (SchemaTooNew, SchemaTooOld) as error:
            log.error("%s", error)
            self.worker.draining.set()


def register_worker(connection: Connection, settings: Settings, name: str) -> None:
    zone_id = get_zone(connection, settings.zone).id
    release = version("keyturn")
    workers.started(connection, name, zone_id, socket.gethostname(), release, settings.threads)
