"""Worker processes, as they report themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, bindparam, exists, func, select, update

from engine.catalog.errors import UnknownWorker
from engine.catalog.models import device, worker, zone
from engine.record import audit, outbox
from engine.store.clock import now

MISSED_TICKS = 5  # after so many a worker counts as gone …
LEAST_AGE = 10.0  # … but not before so many seconds, however short its tick


@dataclass(frozen=True, slots=True)
class WorkerView:
    """`age` is seconds since the last beat. Moments are seconds since 1970-01-01 UTC."""

    name: str
    zone: str
    host: str
    release: str
    threads: int
    busy: int
    draining: bool
    started: float
    beat: float
    stopped: float | None
    age: float


_BEAT = (
    update(worker)
    .where(worker.c.name == bindparam("which"))
    .values(beat=now(), busy=bindparam("at_work"), stopped=None)
    .returning(worker.c.draining)
)
_LIVE = worker.c.stopped.is_(None)


def started(connection: Connection, name: str, zone_id: int, host: str, release: str, threads: int) -> None:
    values = {"name": name, "zone_id": zone_id, "host": host, "release": release, "threads": threads}
    connection.execute(worker.insert().values(**values, started=now(), beat=now()))
    audit.write(connection, actor=f"worker:{name}", action="worker.started", object=f"worker {name}")
    outbox.notice(connection, "worker.started", {"worker": name, "zone": _zone(connection, zone_id)})


def beat(connection: Connection, name: str, busy: int) -> bool | None:
    """Report that the worker lives, even if it was taken for gone; whether it is asked to drain. None: the
    database does not know it, since it is an older copy."""
    draining = connection.execute(_BEAT, {"which": name, "at_work": busy}).scalar()
    return None if draining is None else bool(draining)


def stopped(connection: Connection, name: str, reason: str) -> None:
    """The worker is gone, by its own word or because its successor holds its data directory. Once."""
    ending = update(worker).where(worker.c.name == name, _LIVE).values(stopped=now(), busy=0)
    zone_id = connection.execute(ending.returning(worker.c.zone_id)).scalar()
    if zone_id is not None:
        payload = {"worker": name, "zone": _zone(connection, zone_id), "reason": reason}
        audit.write(connection, actor=f"worker:{name}", action="worker.stopped", object=f"worker {name}")
        outbox.notice(connection, "worker.stopped", payload)


def lost(connection: Connection, longest: float) -> Sequence[str]:
    """Those whose last beat is older than `longest` seconds count as gone from now on, and are told of, once.

    Their leases are left to end by themselves: a worker that only lost its database may live.
    """
    silent = update(worker).where(_LIVE, worker.c.beat < now() - longest).values(stopped=now(), busy=0)
    rows = connection.execute(silent.returning(worker.c.name, worker.c.zone_id)).all()
    for name, zone_id in rows:
        outbox.notice(connection, "worker.lost", {"worker": name, "zone": _zone(connection, zone_id)})
    return [name for name, _ in rows]


def drain(connection: Connection, actor: str, name: str) -> WorkerView:
    """Ask it to take nothing more, end what it has begun, and stop. Raises UnknownWorker."""
    asking = update(worker).where(worker.c.name == name, _LIVE).values(draining=True)
    if connection.execute(asking.returning(worker.c.id)).first() is None:
        raise UnknownWorker(name, [each.name for each in workers(connection) if each.stopped is None])
    audit.write(connection, actor=actor, action="worker.drain", object=f"worker {name}")
    return next(each for each in workers(connection) if each.name == name)


def workers(connection: Connection) -> list[WorkerView]:
    """All that are known, the living first."""
    columns = [worker.c[field] for field in WorkerView.__dataclass_fields__ if field not in ("zone", "age")]
    rows = connection.execute(
        select(*columns, zone.c.name.label("zone"), (now() - worker.c.beat).label("age"))
        .join(zone, zone.c.id == worker.c.zone_id)
        .order_by(worker.c.stopped.is_not(None), zone.c.name, worker.c.name)
    )
    return [WorkerView(**row) for row in rows.mappings()]


def longest_silence(tick: float) -> float:
    """Seconds without a beat after which a worker with that tick counts as gone."""
    return max(MISSED_TICKS * tick, LEAST_AGE)


def zones_without_workers(connection: Connection, longest: float) -> Sequence[str]:
    """Zones that have devices and no worker that lives: their operations wait, their secrets cannot be
    read."""
    alive = exists().where(and_(worker.c.zone_id == zone.c.id, _LIVE, worker.c.beat >= now() - longest))
    used = exists().where(device.c.zone_id == zone.c.id)
    return connection.execute(select(zone.c.name).where(used, ~alive).order_by(zone.c.name)).scalars().all()


def youngest(connection: Connection) -> float | None:
    """Seconds since any living worker's last beat. None: there is none."""
    age = select(now() - func.max(worker.c.beat)).where(_LIVE)
    return connection.execute(age).scalar()


def _zone(connection: Connection, zone_id: int) -> str:
    return str(connection.execute(select(zone.c.name).where(zone.c.id == zone_id)).scalar_one())
