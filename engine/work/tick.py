"""The tick: everything that is due is found in the database, by any worker, again and again.

Nothing here is done only once or only by one process, so that a lost message, a killed worker or a flushed
broker costs at most one tick or one lease.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence

from sqlalchemy import Connection, select, update

from engine.catalog.lookup import full_name
from engine.catalog.models import credential, device
from engine.operations.due import due
from engine.operations.models import operation
from engine.operations.notices import tell
from engine.operations.states import OperationState, move
from engine.record import audit, chain
from engine.store.clock import now
from engine.store.database import Database, StoreUnavailable
from engine.store.models import SINGLE_ROW, engine_state
from engine.vault.service import delete_expired
from engine.work.bell import Bell
from triggers import parent_changed

log = logging.getLogger(__name__)

AT_ONCE = 500  # due operations that one tick rings for
BREATH = 0.05  # seconds between two rounds of ringing, however many operations end
PATIENCE = 3.0  # seconds that a ring may go unheard


class Tick:
    """Runs in a thread of its own, in every worker. `beat` is the moment (time.monotonic) of the last tick
    that went through, `upkeep` is what else is done at each tick."""

    def __init__(
        self,
        database: Database,
        bell: Bell,
        zone: str,
        interval: float,
        upkeep: Sequence[Callable[[], None]] = (),
    ) -> None:
        self._database = database
        self._bell = bell
        self._zone = zone
        self._interval = interval
        self._upkeep = upkeep
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._more = False  # something waits for room
        self._unheard: dict[int, float] = {}  # what was rung for in vain, and since when
        self._thread = threading.Thread(target=self._run, name="tick", daemon=True)
        self.take: Callable[[int], bool] | None = None  # works on an operation, if there is a place for it
        self.beat = time.monotonic()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._woken.set()
        self._thread.join(timeout=30)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def ended(self) -> None:
        """An operation has ended: another one may have waited for its place."""
        if self._more:
            self._woken.set()

    def once(self) -> None:
        """One tick. Raises StoreUnavailable."""
        with self._database.writing() as connection:
            _note_time(connection)
            _expire(connection)
            delete_expired(connection)
        with self._database.writing() as connection:
            chain.append(connection)
        while True:
            with self._database.writing() as connection:
                if not parent_changed.expand(connection):
                    break
        for each in self._upkeep:
            each()
        self.ring()
        self.beat = time.monotonic()

    def ring(self) -> None:
        """Ring for what is due in this zone. Raises StoreUnavailable."""
        with self._database.reading() as connection:
            found = due(connection, self._zone, AT_ONCE)
        self._more = len(found) == AT_ONCE or not all(has_room for _, has_room, _ in found)
        waiting = {operation_id: priority for operation_id, has_room, priority in found if has_room}
        for operation_id, priority in waiting.items():
            self._bell.ring(operation_id, self._zone, priority)
        self._look_after(waiting)

    def _look_after(self, waiting: Collection[int]) -> None:
        """What nobody came for is taken without the broker: it may be away, or have lost the ring."""
        now_ = time.monotonic()
        self._unheard = {each: self._unheard.get(each, now_) for each in waiting}
        for operation_id, since in self._unheard.items():
            if now_ - since >= PATIENCE and (self.take is None or not self.take(operation_id)):
                break

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.once()
                until = time.monotonic() + self._interval
                while self._woken.wait(max(0.0, until - time.monotonic())) and not self._stopping.is_set():
                    self._woken.clear()
                    self.ring()
                    self._stopping.wait(BREATH)
            except StoreUnavailable as error:
                log.warning("tick: %s", error)
                self._stopping.wait(self._interval)


def _note_time(connection: Connection) -> None:
    """Remember the latest time seen; claims stop while the clock is behind it."""
    connection.execute(
        update(engine_state)
        .where(engine_state.c.id == SINGLE_ROW, engine_state.c.clock_high < now())
        .values(clock_high=now())
    )


def _expire(connection: Connection) -> None:
    """What was not begun in time. A change that is in force and only not saved yet is no such thing."""
    waiting = (OperationState.SCHEDULED, OperationState.WAITING_APPROVAL)
    overdue = connection.execute(
        select(operation.c.id, full_name(credential, device))
        .join(credential, credential.c.id == operation.c.credential_id)
        .join(device, device.c.id == operation.c.device_id)
        .where(operation.c.state.in_(waiting), operation.c.expires < now(), operation.c.committed.is_(False))
        .order_by(operation.c.id)
        .with_for_update(skip_locked=True, key_share=True, of=operation)
    ).all()
    for operation_id, name in overdue:
        state = OperationState.EXPIRED
        move(connection, operation_id, waiting, state, "engine", "not begun in time", finished=now())
        audit.write(
            connection, actor="engine", action="operation.expired", object=name, operation_id=operation_id
        )
        tell(connection, operation_id, name, state)
