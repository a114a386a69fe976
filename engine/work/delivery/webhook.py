"""Webhooks and requesters' callbacks: every delivery is a row, and the row is the queue.

At least once, in no promised order: a delivery is leased, posted, and settled afterwards; if the process ends
in between, the lease runs out and another posts the same event again, under the same id.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, bindparam, exists, insert, or_, select, update

from engine.record import outbox as notices_out
from engine.record import receivers
from engine.record.audit import Scalar
from engine.record.models import delivery, outbox, receiver
from engine.record.outbox import Notice
from engine.record.receivers import WEBHOOK
from engine.record.urls import BadUrl, CallbackRefused, Place, callback, parse
from engine.settings import Settings
from engine.store.clock import now
from engine.store.database import Database
from engine.store.models import engine_state
from engine.vault.errors import VaultError
from engine.vault.keys import ZoneKeys
from engine.vault.sealing import open_sealed
from engine.vault.signing import BadSigningKey, check_key, key_context
from engine.work.delivery import cloudevent
from engine.work.delivery.post import Destination, Message, Reply, Verdict, send
from executors.contract import Secret

LANES: Final = 16  # endpoints posted to at a time; one that hangs holds one
AT_ONCE: Final = 32  # deliveries leased for one endpoint
SLICE: Final = 20.0  # seconds after which nothing more is begun
POLL: Final = 0.5  # seconds between looks for more while some are on their way
LEASE: Final = 120.0  # seconds; longer than resolving (resolv.conf(5)) and posting a batch ever takes
FIRST_PAUSE: Final = 5.0  # seconds
LONGEST_PAUSE: Final = 3600.0
GROWTH: Final = 3
MAX_TRIES: Final = 12  # after so many a refusal is the last
MAX_AGE: Final = 3 * 86400.0  # seconds since its sending began
FAILING: Final = 5  # outages in a row after which a notice says so
MAX_ERROR: Final = 500

Send = Callable[[Destination, Sequence[Message]], list[Reply]]


@dataclass(frozen=True, slots=True)
class _Leased:
    """A delivery that is ours until its lease ends; `age` in seconds since its sending began."""

    id: int
    notice: Notice
    url: str
    tries: int
    age: float


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """A webhook receiver, or all callbacks to one origin (then `receiver_id` is None). `lane` names it."""

    lane: int | str
    place: Place
    receiver_id: int | None = None
    name: str = ""
    ca: str | None = None
    sealed: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Batch:
    to: _Endpoint
    leased: Sequence[_Leased]


def fan_out(connection: Connection, notices: Sequence[Notice]) -> None:
    """Queue notices, in the transaction that numbered them, for each enabled webhook that wants them."""
    # The lock keeps a receiver from being removed between this look and the insert.
    enabled = select(receiver.c.id, receiver.c.url, receiver.c.kinds).where(
        receiver.c.kind == WEBHOOK, receiver.c.enabled
    )
    rows = [
        {"notice_id": notice.id, "receiver_id": each.id, "url": each.url}
        for each in connection.execute(enabled.with_for_update(read=True, key_share=True))
        for notice in notices
        if receivers.wants(each.kinds, notice.kind)
    ]
    if rows:
        connection.execute(insert(delivery).values(due=now(), created=now()), rows)


def deliver_webhooks(
    database: Database, keys: ZoneKeys, zone: str, owner: str, settings: Settings, send: Send = send
) -> bool:
    """Post what is due: of the zone's webhooks, and of the callbacks, which any zone's workers bring.

    Returns when nothing more is due, or soon after SLICE; true: more may be due, call again. Waits for what
    it began. `owner` names this process. Raises StoreUnavailable; what was posted then is posted again.
    """
    return _Slice(database, keys, zone, owner, settings.callback_hosts, send).run()


class _Slice:
    def __init__(
        self, database: Database, keys: ZoneKeys, zone: str, owner: str, hosts: Sequence[str], send: Send
    ) -> None:
        self._database = database
        self._keys = keys
        self._zone = zone
        self._owner = owner
        self._hosts = hosts
        self._send = send
        self._flying: dict[Future[list[Reply]], _Batch] = {}

    def run(self) -> bool:
        until = time.monotonic() + SLICE
        with ThreadPoolExecutor(LANES, thread_name_prefix="webhook") as pool:
            while True:
                over = time.monotonic() > until
                for batch in [] if over else self._claim():
                    self._flying[pool.submit(self._bring, batch, self._messages(batch))] = batch
                if not self._flying:
                    return over
                done, _ = wait(self._flying, timeout=POLL, return_when=FIRST_COMPLETED)
                for future in done:
                    self._settle(self._flying.pop(future), future.result())

    # Claiming

    def _claim(self) -> list[_Batch]:
        """Lease what is due at endpoints that are not being posted to."""
        busy = [batch.to.lane for batch in self._flying.values()]
        room = LANES - len(busy)
        if room <= 0:
            return []
        with self._database.reading() as connection:
            endpoints = self._webhooks(connection, busy, room)
            ready = select(delivery.c.id).where(*_callbacks(busy), _ready())
            called = connection.execute(ready.limit(1)).first()
        if not endpoints and called is None:
            return []
        with self._database.writing() as connection:
            batches = [
                _Batch(each, self._lease(connection, delivery.c.receiver_id == each.receiver_id))
                for each in endpoints
            ]
            if called is not None:
                batches += self._called(connection, self._lease(connection, *_callbacks(busy)))
        return [batch for batch in batches if batch.leased]

    def _webhooks(self, connection: Connection, busy: Sequence[int | str], room: int) -> list[_Endpoint]:
        due = exists().where(delivery.c.receiver_id == receiver.c.id, _ready())
        found = (
            select(receiver)
            .where(receiver.c.kind == WEBHOOK, receiver.c.zone == self._zone, receiver.c.enabled)
            .where(receiver.c.due <= now(), due)
            .where(receiver.c.id.not_in([lane for lane in busy if isinstance(lane, int)]))
            .order_by(receiver.c.due)
            .limit(room)
        )
        return [
            _Endpoint(
                row.id, parse(row.url, ("https", "http")), row.id, row.name, row.options.get("ca"), row.secret
            )
            for row in connection.execute(found)
        ]

    def _lease(self, connection: Connection, *which: ColumnElement[bool]) -> list[_Leased]:
        """Those tried least go first, so that one that is always refused holds up none."""
        picked = select(delivery.c.id).where(*which, _ready()).order_by(delivery.c.tries, delivery.c.due)
        picked = picked.limit(AT_ONCE).with_for_update(skip_locked=True)
        taking = (
            update(delivery)
            .where(delivery.c.id.in_(picked), _ready())
            .values(lease_owner=self._owner, lease_until=now() + LEASE)
            .returning(delivery.c.id)
        )
        taken = connection.execute(taking).scalars().all()
        age = (now() - delivery.c.created).label("age")
        columns = [outbox.c[name].label(f"notice_{name}") for name in Notice.__dataclass_fields__]
        held = (
            select(delivery.c.id, delivery.c.url, delivery.c.tries, age, *columns)
            .join(outbox, outbox.c.id == delivery.c.notice_id)
            .where(delivery.c.id.in_(taken))
            .order_by(delivery.c.tries, outbox.c.sequence)
        )
        return [_leased(dict(row)) for row in connection.execute(held).mappings()]

    def _called(self, connection: Connection, leased: Iterable[_Leased]) -> list[_Batch]:
        """Callbacks by origin. The list of hosts is looked at again: it may be shorter by now."""
        places: dict[str, Place] = {}
        by_origin: dict[str, list[_Leased]] = {}
        for each in leased:
            try:
                place = callback(each.url, self._hosts)
            except (BadUrl, CallbackRefused) as error:
                self._note(connection, each, Reply(Verdict.DEAD, str(error)))
                continue
            places[place.origin] = place
            by_origin.setdefault(place.origin, []).append(each)
        return [_Batch(_Endpoint(origin, places[origin]), found) for origin, found in by_origin.items()]

    # Bringing

    def _messages(self, batch: _Batch) -> list[Message]:
        installation, incarnation = self._names
        return [
            Message(
                cloudevent.event_id(incarnation, each.notice.id),
                parse(each.url, ("https", "http")).target,
                cloudevent.encode(each.notice, installation, incarnation),
            )
            for each in batch.leased
        ]

    @cached_property
    def _names(self) -> tuple[str, str]:
        with self._database.reading() as connection:
            row = connection.execute(select(engine_state.c.installation, engine_state.c.incarnation)).one()
        return row.installation, row.incarnation

    def _bring(self, batch: _Batch, messages: Sequence[Message]) -> list[Reply]:
        """In a thread of its own, which uses no database connection: there are fewer of them than lanes."""
        to = batch.to
        try:
            key = None if to.sealed is None else self._opened(to.name, to.sealed)
        except (VaultError, BadSigningKey) as error:
            return [Reply(Verdict.OUTAGE, f"its signing key cannot be used: {error}")]
        return self._send(Destination(to.place, to.ca, key, guarded=to.receiver_id is None), messages)

    def _opened(self, name: str, sealed: bytes) -> Secret:
        """Raises VaultError, BadSigningKey."""
        key = open_sealed(sealed, self._keys.private(self._zone), key_context(name))
        check_key(key)
        return key

    # Settling

    def _settle(self, batch: _Batch, replies: Sequence[Reply]) -> None:
        """The receiver's row first: whoever removes it locks in the same order."""
        with self._database.writing() as connection:
            if batch.to.receiver_id is not None:
                self._note_receiver(connection, batch.to, replies)
            for each, reply in zip(batch.leased, replies, strict=False):
                self._note(connection, each, reply)
            rest = [each.id for each in batch.leased[len(replies) :]]
            connection.execute(update(delivery).where(self._mine(rest)).values(_FREE))
            if batch.to.receiver_id is None and replies[-1].verdict is Verdict.OUTAGE:
                later = now() + pause(batch.leased[len(replies) - 1].tries + 1)
                others = (delivery.c.receiver_id.is_(None), _waiting(), _at(batch.to.place.origin))
                connection.execute(update(delivery).where(*others, delivery.c.due < later).values(due=later))

    def _note_receiver(self, connection: Connection, to: _Endpoint, replies: Sequence[Reply]) -> None:
        """An outage lets all of its deliveries wait; a refusal only the one that was refused."""
        mine = update(receiver).where(receiver.c.id == to.receiver_id)
        if any(reply.verdict is Verdict.DELIVERED for reply in replies):
            connection.execute(mine.values(delivered_at=now()))
        last = replies[-1]
        if last.verdict is not Verdict.OUTAGE:
            error = next((reply.error for reply in reversed(replies) if reply.error), None)
            connection.execute(mine.values(failures=0, error=error and error[:MAX_ERROR]))
            return
        failed = mine.values(failures=receiver.c.failures + 1, error=(last.error or "")[:MAX_ERROR])
        failures = connection.execute(failed.returning(receiver.c.failures)).scalar()
        if failures is not None:  # None: it was removed meanwhile
            connection.execute(mine.values(due=now() + pause(failures)))
        if failures == FAILING:
            self._tell(connection, to, failures, last.error or "")

    def _tell(self, connection: Connection, to: _Endpoint, failures: int, error: str) -> None:
        behind = receivers.get(connection, to.name).waiting
        where: dict[str, Scalar] = {"receiver": to.name, "zone": self._zone}
        payload = where | {"failures": failures, "behind": behind, "error": error}
        notices_out.notice(connection, "receiver.failing", payload)

    def _note(self, connection: Connection, each: _Leased, reply: Reply) -> None:
        tries = each.tries + 1
        state = _state_after(reply.verdict, tries, each.age)
        values: dict[str, Any] = {"state": state, "tries": tries, "error": reply.error, **_FREE}
        if reply.error is not None:
            values["error"] = reply.error[:MAX_ERROR]
        if state != "waiting":
            values["finished"] = now()
        elif reply.verdict is Verdict.REFUSED:
            values["due"] = now() + pause(tries)
        connection.execute(update(delivery).where(self._mine([each.id])).values(values))

    def _mine(self, ids: Sequence[int]) -> ColumnElement[bool]:
        return and_(delivery.c.id.in_(ids), delivery.c.lease_owner == self._owner, _waiting())


_FREE: Final[dict[str, Any]] = {"lease_owner": None, "lease_until": None}


def pause(tries: int) -> float:
    """Seconds until the next try, by full jitter: many that failed together must not come back together."""
    return random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * GROWTH ** min(tries - 1, 16)))


def _state_after(verdict: Verdict, tries: int, age: float) -> str:
    if verdict is Verdict.DELIVERED:
        return "delivered"
    refused = verdict is Verdict.REFUSED and tries >= MAX_TRIES
    last = refused or age > MAX_AGE  # an endpoint that is away for a night has refused nothing
    return "dead" if last or verdict is Verdict.DEAD else "waiting"


def _waiting() -> ColumnElement[bool]:
    """Written out, so that the partial index of what waits serves."""
    return delivery.c.state == bindparam(None, "waiting", literal_execute=True)


def _ready() -> ColumnElement[bool]:
    free = or_(delivery.c.lease_until.is_(None), delivery.c.lease_until < now())
    numbered = exists().where(outbox.c.id == delivery.c.notice_id, outbox.c.sequence.is_not(None))
    return and_(_waiting(), delivery.c.due <= now(), free, numbered)


def _callbacks(busy: Sequence[int | str]) -> list[ColumnElement[bool]]:
    """Those to origins that are not `busy`."""
    return [delivery.c.receiver_id.is_(None), *(~_at(lane) for lane in busy if isinstance(lane, str))]


def _at(origin: str) -> ColumnElement[bool]:
    return delivery.c.url.startswith(f"{origin}/", autoescape=True)


def _leased(row: dict[str, Any]) -> _Leased:
    notice = Notice(**{name: row[f"notice_{name}"] for name in Notice.__dataclass_fields__})
    return _Leased(row["id"], notice, row["url"], row["tries"], row["age"])
