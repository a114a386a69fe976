"""Which operations a worker may be told of now."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Row, and_, bindparam, func, not_, or_, select, text

from engine.catalog.models import account, device, zone
from engine.catalog.states import Action
from engine.operations.models import operation
from engine.operations.states import LIVE, OperationState
from engine.store.clock import now
from engine.store.models import engine_state

_OTHER = operation.alias()
_FREE = or_(operation.c.lease_until.is_(None), operation.c.lease_until < now())
_ACCOUNT_FREE = or_(account.c.lease_until.is_(None), account.c.lease_until < now())
_BEHIND = (
    select(_OTHER.c.id)
    .where(_OTHER.c.account_id == operation.c.account_id, _OTHER.c.state.in_(LIVE))
    .exists()
)
# Written out as the index says it: with parameters SQLite cannot know that ix_operation_due serves.
_OPEN = text("operation.state IN ('scheduled', 'running', 'in_doubt')")
_HELD_BACK = and_(
    operation.c.state == OperationState.SCHEDULED,
    or_(
        engine_state.c.paused,
        device.c.paused,
        and_(engine_state.c.restored, operation.c.action != Action.VERIFY, operation.c.committed.is_(False)),
        _BEHIND,
    ),
)
_PLACE = func.row_number().over(
    partition_by=operation.c.device_id,
    order_by=(operation.c.priority.desc(), operation.c.due, operation.c.id),
)
_RANKED = (
    select(
        operation.c.id,
        operation.c.priority,
        operation.c.due,
        device.c.connection_limit,
        _PLACE.label("place"),
        zone.c.name.label("zone"),
    )
    .join(account, account.c.id == operation.c.account_id)
    .join(device, device.c.id == operation.c.device_id)
    .join(zone, zone.c.id == operation.c.zone_id)
    .join(engine_state, engine_state.c.id == 1)
    .where(
        _OPEN,
        operation.c.due <= now(),
        operation.c.needs_person.is_(False),
        _FREE,
        _ACCOUNT_FREE,
        not_(_HELD_BACK),
    )
    .subquery()
)
_DUE = (
    select(
        _RANKED.c.id, (_RANKED.c.place <= _RANKED.c.connection_limit).label("has_room"), _RANKED.c.priority
    )
    .where(_RANKED.c.zone == bindparam("zone"))
    .order_by(_RANKED.c.place, _RANKED.c.priority.desc(), _RANKED.c.due)
)


def due(connection: Connection, zone_name: str, limit: int) -> Sequence[Row[int, bool, int]]:
    """(id, has_room, priority) of what is due in the zone and held by nobody and by nothing, each device's
    turn after the other's, so that none starves the rest.

    `has_room`: within its device's connection limit; the others wait until one of these has ended.
    """
    return connection.execute(_DUE.limit(limit), {"zone": zone_name}).all()
