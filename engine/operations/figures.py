"""Everything that operators count, read from the database in a few statements.

The conditions of partial indexes are written out word for word, because SQLite uses such an index only then;
what waits or is unfinished is counted, and no table is read as a whole but devices, accounts and credentials.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    case,
    distinct,
    func,
    literal_column,
    not_,
    or_,
    select,
    text,
)

from engine.catalog import workers
from engine.catalog.models import account, credential, device, worker, zone
from engine.catalog.rules import list_policies
from engine.catalog.states import Action
from engine.operations.models import attempt, operation
from engine.record.models import audit_chain, audit_entry, delivery, outbox, outbox_head, receiver
from engine.store.clock import now
from engine.store.models import SINGLE_ROW, duty, engine_state

STARTED_LATELY = 1000  # as many operations, the last that ended, tell how long one waits for a worker …
LATELY = 600.0  # … if they ended within so many seconds
CALLBACKS = "callbacks"  # stands for all requesters, where others have a receiver's name


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Operations of one zone and state that have not ended. `oldest` is the seconds since the first began."""

    zone: str
    state: str
    count: int
    needs_person: int
    oldest: float


@dataclass(frozen=True, slots=True)
class Leases:
    """The claims of one zone. `oldest`: seconds since one was taken; `overdue`: ended, and not taken over."""

    zone: str
    count: int
    oldest: float
    overdue: int


@dataclass(frozen=True, slots=True)
class ZoneFigures:
    """`overdue`: seconds since the first operation that a worker could take was due; 0 if there is none."""

    zone: str
    devices: int
    paused_devices: int
    workers: int  # that live
    draining: int
    threads: int
    busy: int
    overdue: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """So many, and seconds since the oldest of them was made."""

    count: int
    oldest: float


@dataclass(frozen=True, slots=True)
class ReceiverFigures:
    """`waiting`: a webhook's deliveries; for a stream all notices not sent to it, wanted or not.

    `failures` are in a row.
    """

    name: str
    kind: str
    enabled: bool
    failures: int
    waiting: Waiting
    dead: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Seconds that operations waited for a worker after they were due."""

    count: int
    mean: float
    longest: float


@dataclass(frozen=True, slots=True)
class Figures:
    """As of `taken`, seconds since 1970-01-01 UTC by the database's clock."""

    taken: float
    schema: str
    paused: bool
    restored: bool
    clock_behind: float  # seconds that the clock is behind the latest time seen
    unfinished: tuple[Unfinished, ...]
    leases: tuple[Leases, ...]
    zones: tuple[ZoneFigures, ...]
    wait: Wait
    credentials: Mapping[str, int]  # by state
    accounts_spent: int  # whose lockout budget is used up
    unsealed: Waiting
    sealed: int  # the last audit entry's sequence
    unnumbered: Waiting
    notices: int  # the last notice's sequence
    receivers: tuple[ReceiverFigures, ...]
    duties: Mapping[str, float]  # when each was last done

    @property
    def zones_without_workers(self) -> list[str]:
        """Zones that have devices, whose operations wait for nothing but a worker."""
        return [each.zone for each in self.zones if each.devices and not each.workers]


def read(connection: Connection, tick: float) -> Figures:
    """All figures. `tick` is the workers' setting, which says after how long a silent one counts as gone."""
    state = connection.execute(_STATE).one()
    moment = {"moment": state.moment}
    return Figures(
        taken=state.moment,
        schema=",".join(sorted(MigrationContext.configure(connection).get_current_heads())),
        paused=state.paused,
        restored=state.restored,
        clock_behind=max(0.0, state.clock_high - state.moment),
        unfinished=tuple(Unfinished(*row) for row in connection.execute(_UNFINISHED, moment)),
        leases=tuple(Leases(*row) for row in connection.execute(_LEASES, moment)),
        zones=_zones(connection, state, tick),
        wait=_wait(connection.execute(_WAIT, {**moment, "since": state.moment - LATELY}).one()),
        credentials=dict(connection.execute(_CREDENTIALS).all()),
        accounts_spent=_spent(connection, state.moment),
        unsealed=Waiting(*connection.execute(_UNSEALED, moment).one()),
        sealed=state.sealed,
        unnumbered=Waiting(*connection.execute(_UNNUMBERED, moment).one()),
        notices=state.notices,
        receivers=_receivers(connection, state),
        duties=dict(connection.execute(_DUTIES).all()),
    )


def clock_skew(connection: Connection) -> float:
    """Seconds that the database's clock is ahead of this host's, as well as one round trip tells."""
    before = time.time()
    moment = connection.execute(select(now())).scalar_one()
    return float(moment) - (before + time.time()) / 2


_MOMENT: Any = bindparam("moment")
_LIVE = text("operation.state IN ('scheduled', 'running', 'in_doubt')")  # as ix_operation_due says it
_SCHEDULED = operation.c.state == literal_column("'scheduled'")
_RUNNING = operation.c.state == literal_column("'running'")

_STATE = select(
    now().label("moment"),
    engine_state.c.paused,
    engine_state.c.restored,
    engine_state.c.clock_high,
    select(audit_chain.c.sequence).where(audit_chain.c.id == SINGLE_ROW).scalar_subquery().label("sealed"),
    select(outbox_head.c.sequence).where(outbox_head.c.id == SINGLE_ROW).scalar_subquery().label("notices"),
).where(engine_state.c.id == SINGLE_ROW)


def _age(since: Any) -> Any:
    """Seconds since the earliest of them, at least 0; 0 if there is none."""
    age = _MOMENT - func.min(since)
    return case((age > 0, age), else_=0.0)


_UNFINISHED = (
    select(
        zone.c.name,
        operation.c.state,
        func.count(),
        func.sum(case((operation.c.needs_person, 1), else_=0)),
        _age(func.coalesce(operation.c.started, operation.c.created)),
    )
    .join(zone, zone.c.id == operation.c.zone_id)
    .where(_LIVE)
    .group_by(zone.c.name, operation.c.state)
)

_LEASES = (
    select(
        zone.c.name,
        func.count(),
        _age(attempt.c.started),
        func.sum(case((operation.c.lease_until < _MOMENT, 1), else_=0)),
    )
    .select_from(operation)
    .join(zone, zone.c.id == operation.c.zone_id)
    .join(attempt, and_(attempt.c.operation_id == operation.c.id, attempt.c.epoch == operation.c.epoch))
    .where(_LIVE, _RUNNING, operation.c.lease_until.is_not(None))
    .group_by(zone.c.name)
)

# What is due and could be taken: as `engine.operations.due`, without the turns of devices.
_RIVAL = operation.alias()
_BEHIND = (
    select(_RIVAL.c.id)
    .where(
        _RIVAL.c.account_id == operation.c.account_id,
        _RIVAL.c.state.in_((literal_column("'running'"), literal_column("'in_doubt'"))),
    )
    .exists()
)
_HELD_BACK = and_(
    _SCHEDULED,
    or_(
        engine_state.c.paused,
        device.c.paused,
        and_(engine_state.c.restored, operation.c.action != Action.VERIFY, not_(operation.c.committed)),
        _BEHIND,
    ),
)
_OVERDUE = (
    select(operation.c.zone_id, _age(operation.c.due).label("overdue"))
    .join(account, account.c.id == operation.c.account_id)
    .join(device, device.c.id == operation.c.device_id)
    .join(engine_state, engine_state.c.id == SINGLE_ROW)
    .where(
        _LIVE,
        operation.c.due <= _MOMENT,
        not_(operation.c.needs_person),
        or_(operation.c.lease_until.is_(None), operation.c.lease_until < _MOMENT),
        or_(account.c.lease_until.is_(None), account.c.lease_until < _MOMENT),
        not_(_HELD_BACK),
    )
    .group_by(operation.c.zone_id)
    .subquery()
)
_DEVICES = (
    select(
        device.c.zone_id,
        func.count().label("devices"),
        func.sum(case((device.c.paused, 1), else_=0)).label("paused"),
    )
    .group_by(device.c.zone_id)
    .subquery()
)
_WORKERS = (
    select(
        worker.c.zone_id,
        func.count().label("workers"),
        func.sum(case((worker.c.draining, 1), else_=0)).label("draining"),
        func.sum(worker.c.threads).label("threads"),
        func.sum(worker.c.busy).label("busy"),
    )
    .where(worker.c.stopped.is_(None), worker.c.beat >= bindparam("since"))
    .group_by(worker.c.zone_id)
    .subquery()
)
_ZONES = (
    select(
        zone.c.name,
        *(
            func.coalesce(column, 0)
            for column in (
                _DEVICES.c.devices,
                _DEVICES.c.paused,
                _WORKERS.c.workers,
                _WORKERS.c.draining,
                _WORKERS.c.threads,
                _WORKERS.c.busy,
                _OVERDUE.c.overdue,
            )
        ),
    )
    .outerjoin(_DEVICES, _DEVICES.c.zone_id == zone.c.id)
    .outerjoin(_WORKERS, _WORKERS.c.zone_id == zone.c.id)
    .outerjoin(_OVERDUE, _OVERDUE.c.zone_id == zone.c.id)
    .order_by(zone.c.name)
)


def _zones(connection: Connection, state: Row[*tuple[Any, ...]], tick: float) -> tuple[ZoneFigures, ...]:
    since = state.moment - workers.longest_silence(tick)
    rows = connection.execute(_ZONES, {"moment": state.moment, "since": since})
    return tuple(ZoneFigures(*row) for row in rows)


# The first attempt alone tells how long an operation waited: for the next one it is made due anew.
_LATEST = (
    select((operation.c.started - operation.c.due).label("waited"))
    .where(
        text("operation.finished IS NOT NULL"),
        operation.c.finished >= bindparam("since"),
        operation.c.attempts == 1,
    )
    .order_by(operation.c.finished.desc())
    .limit(literal_column(str(STARTED_LATELY)))
    .subquery()
)
_WAIT: Select[int, float | None, float | None] = select(
    func.count(_LATEST.c.waited), func.avg(_LATEST.c.waited), func.max(_LATEST.c.waited)
)


def _wait(row: Row[int, float | None, float | None]) -> Wait:
    count, mean, longest = row
    return Wait(count, max(0.0, mean or 0.0), max(0.0, longest or 0.0))


_DUTIES = select(duty.c.name, duty.c.done)
_CREDENTIALS = select(credential.c.state, func.count()).group_by(credential.c.state)


def _spent(connection: Connection, moment: float) -> int:
    """Accounts that had as many refused tries as their policy's budget allows; a platform may allow fewer."""
    limits = {each.id: each.rules.lockout for each in list_policies(connection)}
    if not limits:
        return 0
    allowed = {key: max(1, limit.probes_allowed) for key, limit in limits.items()}
    window = {key: limit.window_seconds for key, limit in limits.items()}
    counting = (
        select(func.count(distinct(account.c.id)))
        .join(credential, credential.c.account_id == account.c.id)
        .where(
            account.c.failures + account.c.in_flight > 0,
            account.c.failures + account.c.in_flight >= case(allowed, value=credential.c.policy_id),
            account.c.failures_since >= moment - case(window, value=credential.c.policy_id),
        )
    )
    return connection.execute(counting).scalar_one()


_UNSEALED: Select[*tuple[Any, ...]] = select(func.count(), _age(audit_entry.c.at)).where(
    text("audit_entry.sequence IS NULL")
)
_UNNUMBERED: Select[*tuple[Any, ...]] = select(func.count(), _age(outbox.c.at)).where(
    text("outbox.sequence IS NULL")
)

_NEXT = (
    select(outbox.c.at).where(outbox.c.sequence > receiver.c.sent).order_by(outbox.c.sequence).limit(1)
).scalar_subquery()
_DEAD = delivery.c.state == literal_column("'dead'")
_RECEIVERS: Select[*tuple[Any, ...]] = select(
    receiver.c.id,
    receiver.c.name,
    receiver.c.kind,
    receiver.c.enabled,
    receiver.c.failures,
    receiver.c.sent,
    _NEXT.label("next"),
    select(func.count())
    .where(delivery.c.receiver_id == receiver.c.id, _DEAD)
    .scalar_subquery()
    .label("dead"),
).order_by(receiver.c.name)
# SQLite without statistics would read the whole index of receivers, because it is in the order of the groups.
_WHOSE: ColumnElement[int | None] = literal_column("delivery.receiver_id + 0")
_DELIVERIES = (
    select(_WHOSE, func.count(), func.min(delivery.c.created))
    .where(text("delivery.state = 'waiting'"))
    .group_by(_WHOSE)
)
_DEAD_CALLBACKS = select(func.count()).where(delivery.c.receiver_id.is_(None), _DEAD)


def _receivers(connection: Connection, state: Row[*tuple[Any, ...]]) -> tuple[ReceiverFigures, ...]:
    deliveries = {
        receiver_id: Waiting(count, max(0.0, state.moment - oldest))
        for receiver_id, count, oldest in connection.execute(_DELIVERIES)
    }
    none = Waiting(0, 0.0)
    found = [
        ReceiverFigures(
            row.name,
            row.kind,
            row.enabled,
            row.failures,
            deliveries.get(row.id, none) if row.kind == "webhook" else _behind(row, state),
            row.dead,
        )
        for row in connection.execute(_RECEIVERS)
    ]
    dead = connection.execute(_DEAD_CALLBACKS).scalar_one()
    callbacks = ReceiverFigures(CALLBACKS, "callback", True, 0, deliveries.get(None, none), dead)
    return (*found, callbacks)


def _behind(row: Row[*tuple[Any, ...]], state: Row[*tuple[Any, ...]]) -> Waiting:
    oldest = 0.0 if row.next is None else max(0.0, state.moment - row.next)
    return Waiting(max(0, state.notices - row.sent), oldest)
