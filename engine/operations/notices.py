"""Requesters hear that they were accepted, then each state, those that joined too."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select

from engine.operations.models import operation, request
from engine.operations.texts import kept
from engine.record import outbox

_ACTION = select(operation.c.action).where(operation.c.id == bindparam("which"))
_CALLBACKS = (
    select(request.c.callback)
    .where(request.c.operation_id == bindparam("which"), request.c.callback.is_not(None))
    .order_by(request.c.id)
)


def tell(
    connection: Connection, operation_id: int, name: str, state: str, outcome: str | None = None
) -> None:
    """Queue the notice of a state, for each requester's callback too. `name` is the credential's."""
    which = {"which": operation_id}
    action = connection.execute(_ACTION, which).scalar_one()
    payload = {"credential": kept(name), "action": action, "state": state, "outcome": outcome}
    callbacks = connection.execute(_CALLBACKS, which).scalars().all()
    outbox.notice(connection, f"operation.{state}", payload, operation_id, callbacks)
