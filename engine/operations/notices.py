"""Requesters hear that they were accepted, then each state, those that joined too."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select

from engine.catalog.models import device, zone
from engine.operations.models import operation, request
from engine.operations.texts import kept
from engine.record import outbox

_ASKED = (
    select(
        operation.c.action,
        operation.c.trigger,
        operation.c.requester,
        operation.c.parent_operation_id,
        operation.c.attempts,
        device.c.name.label("device"),
        zone.c.name.label("zone"),
    )
    .join(device, device.c.id == operation.c.device_id)
    .join(zone, zone.c.id == operation.c.zone_id)
    .where(operation.c.id == bindparam("which"))
)
_CALLBACKS = (
    select(request.c.callback)
    .where(request.c.operation_id == bindparam("which"), request.c.callback.is_not(None))
    .order_by(request.c.id)
)


def tell(
    connection: Connection, operation_id: int, name: str, state: str, outcome: str | None = None
) -> None:
    """Queue the notice of a state, for each requester's callback too. `name` is the credential's."""
    payload = {**_asked(connection, operation_id, name), "state": state, "outcome": outcome}
    callbacks = connection.execute(_CALLBACKS, {"which": operation_id}).scalars().all()
    outbox.notice(connection, f"operation.{state}", payload, operation_id, callbacks)


def tell_also(connection: Connection, kind: str, operation_id: int, name: str, **more: str) -> None:
    """Queue what is no change of state, for receivers alone. `name` is the credential's."""
    payload = {**_asked(connection, operation_id, name), **more}
    outbox.notice(connection, kind, payload, operation_id)


def _asked(connection: Connection, operation_id: int, name: str) -> dict[str, str | int | None]:
    row = connection.execute(_ASKED, {"which": operation_id}).one()
    return {
        "credential": kept(name),
        "device": row.device,
        "zone": row.zone,
        "action": row.action,
        "trigger": row.trigger,
        "requester": kept(row.requester),
        "parent_operation": row.parent_operation_id,
        "attempt": row.attempts,
    }
