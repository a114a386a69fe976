"""One syslog receiver's stream: numbered notices in order, at least once.

Syslog has no answer, so what was written may be lost with the connection. A notice counts as settled when a
grace period has passed in which the connection stayed open and its kernel took everything; a new connection
begins after the last settled one. One worker at a time holds a receiver, by a lease on its row; whoever has
lost the lease writes nothing to the row any more.
"""

from __future__ import annotations

import os
import random
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from importlib.metadata import version
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, or_, select, update

from engine.record import outbox
from engine.record.models import receiver
from engine.record.outbox import Notice
from engine.record.receivers import SCHEMES, SYSLOG, wants
from engine.record.syslog import FORMATS, LOG_AUDIT, MAX_BYTES, Envelope
from engine.record.urls import BadUrl, parse
from engine.store.clock import now
from engine.store.database import Database
from engine.store.models import SINGLE_ROW, engine_state
from engine.work.delivery.lines import Broken, Line, connect

GRACE = 10.0  # seconds until what was written counts as arrived
LEASE = 60.0  # seconds
SLICE = 5.0  # seconds that one call writes at most
STALLED = 60.0  # seconds after which a receiver that takes nothing counts as broken
BATCH = 500  # notices held in memory
CHUNK = 4096  # bytes written at once, or one message
FIRST_WAIT = 0.5  # seconds after the first failure; doubled with each that follows
LONGEST_WAIT = 60.0
LONGEST_ERROR = 500  # characters: the column's
FAILING = 5  # failures in a row that are worth a notice

_ROW = receiver.c.id == bindparam("which")
_MINE = receiver.c.lease_owner == bindparam("owner")
FREE = or_(receiver.c.lease_owner.is_(None), _MINE, receiver.c.lease_until <= now())
DUE = and_(receiver.c.kind == SYSLOG, receiver.c.enabled, receiver.c.due <= now(), FREE)
_READ = (
    select(
        *(receiver.c[name] for name in ("url", "format", "options", "kinds", "lease_owner", "failures")),
        *(receiver.c[name] for name in ("sent", "settled")),
        (receiver.c.lease_until - now()).label("left"),
        engine_state.c.incarnation,
    )
    .join(engine_state, engine_state.c.id == SINGLE_ROW)
    .where(_ROW, DUE)
)
_TAKE = (
    update(receiver)
    .where(_ROW, DUE)
    .values(lease_owner=bindparam("owner"), lease_until=now() + bindparam("lease"))
)
_HELD = update(receiver).where(_ROW, _MINE)
_RELEASE = _HELD.values(lease_owner=None, lease_until=None)
_FAILED = _RELEASE.values(
    failures=receiver.c.failures + 1, due=now() + bindparam("wait"), error=bindparam("why")
).returning(receiver.c.name, receiver.c.zone, receiver.c.failures, receiver.c.settled)


class Progress(Enum):
    """What a slice of work ended with."""

    MORE = auto()  # call again at once
    IDLE = auto()  # nothing is left to write for now
    ENDED = auto()  # not this worker's, not due, or broken


class SyslogStream:
    """A receiver as one worker serves it, in one thread."""

    def __init__(self, database: Database, owner: str, receiver_id: int) -> None:
        self._database = database
        self._row = {"which": receiver_id, "owner": owner}
        self._line: Line | None = None
        # Of this connection: the last notice read, the last handed to the kernel, the last settled (None: not
        # even the connection has proven to last), what waits to be handed over, and what was when.
        self._read = self._sent = 0
        self._settled: int | None = None
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._unsettled: deque[tuple[int, float]] = deque()
        self._moved = 0.0

    def deliver(self) -> Progress:
        """A bounded slice of the work. Raises StoreUnavailable."""
        row = self._hold()
        if row is None:
            self._hang_up()
            return Progress.ENDED
        try:
            return self._slice(row)
        except Broken as broken:
            self._hang_up()
            self._failed(row.failures, str(broken))
            return Progress.ENDED

    def close(self) -> None:
        """End the connection and let another worker have the receiver. Raises StoreUnavailable."""
        self._hang_up(politely=True)
        with self._database.writing() as connection:
            connection.execute(_RELEASE, self._row)

    def _hold(self) -> Row[*tuple[Any, ...]] | None:
        """The receiver's row, with a lease on it for long enough; None if it is not ours now."""
        with self._database.reading() as connection:
            row = connection.execute(_READ, self._row).first()
        if row is None or (row.lease_owner == self._row["owner"] and row.left > LEASE / 2):
            return row
        with self._database.writing() as connection:
            taken = connection.execute(_TAKE, {**self._row, "lease": LEASE})
            return connection.execute(_READ, self._row).one() if taken.rowcount == 1 else None

    def _slice(self, row: Row[*tuple[Any, ...]]) -> Progress:
        line = self._line or self._connect(row)
        line.check()
        self._settle(line)
        full = False
        if not self._waiting:
            full = self._fetch(row, line)
        self._write(line)
        line.check()
        if not self._note(row):
            self._hang_up()
            return Progress.ENDED
        return Progress.MORE if full or self._waiting else Progress.IDLE

    def _connect(self, row: Row[*tuple[Any, ...]]) -> Line:
        """Begin after what is settled: what was sent since may be lost. Raises Broken."""
        try:
            place = parse(row.url, SCHEMES[SYSLOG])
        except BadUrl as error:
            raise Broken(error.message) from None
        self._line = connect(place, row.options)
        self._moved = time.monotonic()
        self._read = self._sent = row.settled
        self._unsettled.append((row.settled, self._moved))
        return self._line

    def _settle(self, line: Line) -> None:
        """What has been out for long enough over a connection that is still whole has arrived."""
        grace = GRACE if line.certain else 0.0
        while line.idle and self._unsettled and self._unsettled[0][1] + grace <= time.monotonic():
            self._settled, _ = self._unsettled.popleft()

    def _fetch(self, row: Row[*tuple[Any, ...]], line: Line) -> bool:
        """Read the next notices; whether there may be more."""
        with self._database.reading() as connection:
            found = outbox.after(connection, self._read, BATCH)
        if found:
            self._read = found[-1].sequence
            self._waiting.extend(_chunks(found, row, line))
        return len(found) == BATCH

    def _write(self, line: Line) -> None:
        before, until = self._sent, time.monotonic() + SLICE
        while self._waiting and (left := until - time.monotonic()) > 0:
            sequence, chunk = self._waiting[0]
            if not chunk or line.send(chunk, left):
                self._waiting.popleft()
                self._sent, self._moved = sequence, time.monotonic()
        if self._sent > before:
            self._unsettled.append((self._sent, self._moved))
        if self._waiting and time.monotonic() > self._moved + STALLED:
            raise Broken(f"the receiver took nothing for {STALLED:.0f} seconds")

    def _note(self, row: Row[*tuple[Any, ...]]) -> bool:
        """Write down how far it is; False if the lease is lost."""
        values: dict[str, Any] = {}
        if self._sent != row.sent:
            values["sent"] = self._sent
        if self._settled is not None and row.failures:
            values |= {"failures": 0, "error": None}
        if self._settled is not None and self._settled > row.settled:
            values |= {"settled": self._settled, "delivered_at": now()}
        if not values:
            return True
        with self._database.writing() as connection:
            return connection.execute(_HELD.values(**values), self._row).rowcount == 1

    def _failed(self, failures: int, why: str) -> None:
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(failures, 20)) * random.uniform(0.5, 1.0)
        error = why[:LONGEST_ERROR]
        with self._database.writing() as connection:
            row = connection.execute(_FAILED, {**self._row, "wait": wait, "why": error}).first()
            if row is not None and row.failures == FAILING:
                _tell_failing(connection, row, error)

    def _hang_up(self, *, politely: bool = False) -> None:
        if self._line is not None:
            self._line.close(politely=politely)
        self._line = self._settled = None
        self._waiting.clear()
        self._unsettled.clear()


def _tell_failing(connection: Connection, row: Row[*tuple[Any, ...]], error: str) -> None:
    payload = {
        "receiver": row.name,
        "zone": row.zone,
        "failures": row.failures,
        "behind": outbox.head(connection) - row.settled,
        "error": error,
    }
    outbox.notice(connection, "receiver.failing", payload)


def _chunks(notices: Sequence[Notice], row: Row[*tuple[Any, ...]], line: Line) -> Iterator[tuple[int, bytes]]:
    """What is written at once, and the number that is reached with it; of UDP each message alone."""
    form, envelope = FORMATS[row.format], _envelope(row, line)
    chunk = b""
    for notice in notices:
        message = line.packed(form(notice, envelope)) if wants(row.kinds, notice.kind) else b""
        if chunk and (not line.certain or len(chunk) + len(message) > CHUNK):
            yield notice.sequence - 1, chunk
            chunk = b""
        chunk += message
    yield notices[-1].sequence, chunk


def _envelope(row: Row[*tuple[Any, ...]], line: Line) -> Envelope:
    return Envelope(
        host=socket.gethostname(),
        process=os.getpid(),
        release=version("keyturn"),
        incarnation=row.incarnation,
        facility=row.options.get("facility", LOG_AUDIT),
        limit=min(row.options.get("max_bytes", MAX_BYTES), line.longest),
    )
