"""The doorbell: tells workers that there may be something to do. Losing a ring loses time, never an
operation."""

from __future__ import annotations

import logging
import queue as queues
import threading
import time
from dataclasses import dataclass
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from sqlalchemy import Row, Select, bindparam, select

from engine.catalog.models import credential, device, zone
from engine.operations.models import operation
from engine.store.database import Database, StoreUnavailable
from engine.vault.models import reveal_request
from engine.work.names import OPERATION_TASK, REVEAL_TASK, Urgency, queue

log = logging.getLogger(__name__)

REPEAT = 60.0  # seconds after which a ring that nobody answered counts as lost
MOST_WAITING = 10_000  # rings that wait for the broker; what is more is left to the tick
QUIET = 30.0  # seconds between two complaints about a broker that is away


@dataclass(frozen=True, slots=True)
class _Ring:
    task: str
    about: int
    queue: str


class Bell:
    """Rings for an operation at most once until the ring was answered, as far as this process knows, or was
    lost.

    A thread of its own sends: a broker that is away or slow holds up nobody.
    """

    def __init__(self, app: Celery, installation: str) -> None:
        self._app = app
        self._installation = installation
        self._lock = threading.Lock()
        self._waiting: dict[int, float] = {}
        self._rings: queues.Queue[_Ring | None] = queues.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
        self._complained = -QUIET
        self.sent = 0  # rings that the broker took
        self.lost = 0  # rings that it did not take

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._put(None)
        self._thread.join(timeout=5)

    def ring(self, operation_id: int, zone_name: str, priority: int = 0) -> None:
        """Call after the commit. A broker that is away is no error: the tick rings again."""
        with self._lock:
            if time.monotonic() - self._waiting.get(operation_id, -REPEAT) < REPEAT:
                return
            self._waiting[operation_id] = time.monotonic()
        where = queue(self._installation, zone_name, Urgency.of(priority))
        self._put(_Ring(OPERATION_TASK, operation_id, where))

    def reveal(self, request_id: int, zone_name: str) -> None:
        self._put(_Ring(REVEAL_TASK, request_id, queue(self._installation, zone_name, Urgency.URGENT)))

    def waiting(self, operation_id: int) -> bool:
        """Whether a ring for it is on its way, as far as this process knows."""
        with self._lock:
            return operation_id in self._waiting

    def answered(self, operation_id: int) -> None:
        with self._lock:
            self._waiting.pop(operation_id, None)

    def _put(self, ring: _Ring | None) -> None:
        try:
            self._rings.put_nowait(ring)
        except queues.Full:
            self._not_sent(ring)

    def _run(self) -> None:
        while (ring := self._rings.get()) is not None:
            try:
                self._app.tasks[ring.task].apply_async((ring.about,), queue=ring.queue, retry=False)
                self.sent += 1
            except (OperationalError, OSError) as error:
                self._not_sent(ring)
                self._complain(error)

    def _not_sent(self, ring: _Ring | None) -> None:
        self.lost += 1
        if ring is not None and ring.task == OPERATION_TASK:
            self.answered(ring.about)

    def _complain(self, error: Exception) -> None:
        if time.monotonic() - self._complained >= QUIET:
            self._complained = time.monotonic()
            log.warning("the broker does not take messages, workers look in the database: %s", error)


class DirectedBell:
    """For those who know an id and not its zone, such as the API: looks it up."""

    def __init__(self, bell: Bell, database: Database) -> None:
        self._bell = bell
        self._database = database

    def ring(self, operation_id: int) -> None:
        if (found := self._first(_OPERATION, operation_id)) is not None:
            self._bell.ring(operation_id, *found)

    def reveal(self, request_id: int) -> None:
        if (found := self._first(_REVEAL, request_id)) is not None:
            self._bell.reveal(request_id, *found)

    def _first(self, statement: Select[*tuple[Any, ...]], which: int) -> Row[Any] | None:
        try:
            with self._database.reading() as connection:
                return connection.execute(statement, {"which": which}).first()
        except StoreUnavailable:  # what was asked for is committed; the tick rings for it
            return None


_OPERATION: Select[*tuple[Any, ...]] = (
    select(zone.c.name, operation.c.priority)
    .join(zone, zone.c.id == operation.c.zone_id)
    .where(operation.c.id == bindparam("which"))
)
_REVEAL: Select[*tuple[Any, ...]] = (
    select(zone.c.name)
    .select_from(reveal_request)
    .join(credential, credential.c.id == reveal_request.c.credential_id)
    .join(device, device.c.id == credential.c.device_id)
    .join(zone, zone.c.id == device.c.zone_id)
    .where(reveal_request.c.id == bindparam("which"))
)
