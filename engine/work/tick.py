"""The tick: everything that is due is found in the database, by any worker, again and again.

Nothing here is done only once or only by one process, so that a lost message, a killed worker or a flushed
broker costs at most one tick or one lease.
"""

from __future__ import annotations

import logging
import threading
import time

from sqlalchemy import Connection, or_, select, update

from engine.operations.models import operation
from engine.operations.states import LIVE, OperationState, move
from engine.record import chain
from engine.store.clock import now
from engine.store.database import Database, StoreUnavailable
from engine.store.models import SINGLE_ROW, engine_state
from engine.work.bell import Bell
from triggers import parent_changed

log = logging.getLogger(__name__)

AT_ONCE = 500  # due operations that one tick rings for


class Tick:
    """Runs in a thread of its own. `beat` is the moment (time.monotonic) of the last tick that went through."""

    def __init__(self, database: Database, bell: Bell, interval: float) -> None:
        self._database = database
        self._bell = bell
        self._interval = interval
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tick", daemon=True)
        self.beat = time.monotonic()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=30)

    def once(self) -> None:
        """One tick. Raises StoreUnavailable."""
        with self._database.writing() as connection:
            _note_time(connection)
            _expire(connection)
            chain.append(connection)
        while True:
            with self._database.writing() as connection:
                if not parent_changed.expand(connection):
                    break
        for operation_id in self._due():
            self._bell.ring(operation_id)
        self.beat = time.monotonic()

    def _due(self) -> list[int]:
        """Due, held by nobody, not waiting for a person; the most urgent first."""
        statement = (
            select(operation.c.id)
            .where(
                operation.c.state.in_((OperationState.SCHEDULED, *LIVE)),
                operation.c.due <= now(),
                operation.c.needs_person.is_(False),
                or_(operation.c.lease_until.is_(None), operation.c.lease_until < now()),
            )
            .order_by(operation.c.priority.desc(), operation.c.due)
            .limit(AT_ONCE)
        )
        with self._database.reading() as connection:
            return list(connection.execute(statement).scalars())

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.once()
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
    waiting = (OperationState.SCHEDULED, OperationState.WAITING_APPROVAL)
    overdue = connection.execute(
        select(operation.c.id)
        .where(operation.c.state.in_(waiting), operation.c.expires < now())
        .with_for_update(skip_locked=True)
    ).scalars()
    for operation_id in list(overdue):
        move(
            connection,
            operation_id,
            waiting,
            OperationState.EXPIRED,
            "engine",
            "not begun in time",
            finished=now(),
        )
