"""The courier: numbers what was committed and brings it to the receivers of this worker's zone.

Every worker has one. What only one process of all should do is decided in the database: numbering by the
head's row, signs of life and checkpoints by a duty's row, each receiver by a lease.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy import Connection, select

from engine.record import audit, chain, outbox
from engine.record.audit import Scalar
from engine.record.models import outbox as outbox_table
from engine.record.models import receiver
from engine.settings import Settings
from engine.store import duties
from engine.store.database import Database, StoreUnavailable
from engine.vault.keys import ZoneKeys
from engine.work.delivery.syslog import DUE, Progress, SyslogStream
from engine.work.delivery.webhook import deliver_webhooks, fan_out

log = logging.getLogger(__name__)

PAUSE = 1.0  # seconds between two looks for something to do
CHECKPOINT = 60.0  # seconds between two checkpoints at least
AT_ONCE = 1000  # notices numbered in one transaction
STREAMS = 32  # syslog receivers that one worker serves at a time; each has a thread and a batch in memory
FAREWELL = 30.0  # seconds that a stop waits for all threads together


class Courier:
    """Runs in threads of its own: one that numbers, one for webhooks, one for each syslog receiver, so that
    one that hangs holds up nobody. `owner` names this process."""

    def __init__(
        self,
        database: Database,
        keys: ZoneKeys,
        zone: str,
        owner: str,
        settings: Settings,
        pause: float = PAUSE,
    ) -> None:
        self._database = database
        self._keys = keys
        self._zone = zone
        self._owner = owner
        self._settings = settings
        self._pause = pause
        self._stopping = threading.Event()
        self._streams: dict[int, threading.Thread] = {}
        self._threads = [
            threading.Thread(target=self._repeat, args=(work,), name=name, daemon=True)
            for name, work in (("courier", self.once), ("webhooks", self._post))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let what is being written end, and other workers have the receivers."""
        self._stopping.set()
        until = time.monotonic() + FAREWELL
        for thread in (*self._threads, *self._streams.values()):
            thread.join(timeout=max(0.0, until - time.monotonic()))

    def once(self) -> bool:
        """One round: duties, numbers, and a thread for each receiver that is due. Raises StoreUnavailable.

        Whether there is more to do at once.
        """
        with self._database.writing() as connection:
            self._heartbeat(connection)
            _checkpoint(connection)
            found = outbox.number(connection, AT_ONCE)
            if found:
                fan_out(connection, found)
        self._open_streams()
        return len(found) == AT_ONCE

    def _repeat(self, work: Callable[[], bool]) -> None:
        while not self._stopping.is_set():
            try:
                more = work()
            except StoreUnavailable as error:
                log.warning("courier: %s", error)
                more = False
            if not more:
                self._stopping.wait(self._pause)

    def _post(self) -> bool:
        return deliver_webhooks(self._database, self._keys, self._zone, self._owner, self._settings)

    # Syslog

    def _open_streams(self) -> None:
        self._streams = {key: thread for key, thread in self._streams.items() if thread.is_alive()}
        due = select(receiver.c.id).where(receiver.c.zone == self._zone, DUE).order_by(receiver.c.due)
        with self._database.reading() as connection:
            found = connection.execute(due, {"owner": self._owner}).scalars().all()
        for receiver_id in found:
            if receiver_id in self._streams:
                continue
            if len(self._streams) >= STREAMS:
                log.warning("receiver %s waits: this worker serves %s already", receiver_id, STREAMS)
                return
            thread = threading.Thread(
                target=self._serve, args=(receiver_id,), name=f"syslog-{receiver_id}", daemon=True
            )
            self._streams[receiver_id] = thread
            thread.start()

    def _serve(self, receiver_id: int) -> None:
        """Until it is broken or another worker's."""
        stream = SyslogStream(self._database, self._owner, receiver_id)
        progress = Progress.MORE
        while progress is not Progress.ENDED and not self._stopping.is_set():
            try:
                progress = stream.deliver()
            except StoreUnavailable as error:
                log.warning("syslog: %s", error)
                progress = Progress.IDLE
            if progress is Progress.IDLE:
                self._stopping.wait(self._pause)
        with contextlib.suppress(StoreUnavailable):  # then its lease ends by itself
            stream.close()

    # Duties

    def _heartbeat(self, connection: Connection) -> None:
        every = self._settings.heartbeat
        if duties.is_ours(connection, "heartbeat", every):
            where: dict[str, Scalar] = {"worker": self._owner, "zone": self._zone}
            outbox.notice(connection, "engine.heartbeat", {**where, "every": every})


def _checkpoint(connection: Connection) -> None:
    """Tell the head of the audit chain if it has moved, so that a copy of it is out of reach."""
    if not duties.is_ours(connection, "checkpoint", CHECKPOINT):
        return
    head = chain.head(connection)
    told = connection.execute(_LAST_CHECKPOINT).scalar()
    if head.sequence != (0 if told is None else told["sequence"]):
        sealed: dict[str, Scalar] = {"sequence": head.sequence, "hash": head.hash}
        payload = {**sealed, "unsealed": audit.unsealed(connection)}
        outbox.notice(connection, "audit.checkpoint", payload)


_LAST_CHECKPOINT = (
    select(outbox_table.c.payload)
    .where(outbox_table.c.kind == "audit.checkpoint")
    .order_by(outbox_table.c.id.desc())
    .limit(1)
)
