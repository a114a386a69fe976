"""The states of an operation and the only ways between them, as data. The diagram in the docs is drawn from
here."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, insert, select, update

from engine.operations.errors import StaleTransition
from engine.operations.models import operation, transition
from engine.store.clock import now


class OperationState(StrEnum):
    SCHEDULED = "scheduled"  # waits for its due time, its turn or its next attempt
    WAITING_APPROVAL = "waiting_approval"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"  # something may be in force; looked at again when due, or by a person
    CANCELED = "canceled"
    EXPIRED = "expired"


S = OperationState

LIVE = frozenset({S.RUNNING, S.IN_DOUBT})
TERMINAL = frozenset({S.SUCCEEDED, S.FAILED, S.CANCELED, S.EXPIRED})

TRANSITIONS: dict[OperationState, dict[OperationState, str]] = {
    S.WAITING_APPROVAL: {
        S.SCHEDULED: "approved",
        S.CANCELED: "refused or canceled",
        S.EXPIRED: "nobody approved in time",
    },
    S.SCHEDULED: {
        S.RUNNING: "claimed by a worker",
        S.CANCELED: "canceled before anything was sent",
        S.EXPIRED: "not begun in time",
        S.FAILED: "cannot be begun any more",
    },
    S.RUNNING: {
        S.RUNNING: "taken over from a worker that is gone",
        S.SUCCEEDED: "proven",
        S.FAILED: "ended by proof without the change, or stopped before anything was sent",
        S.SCHEDULED: "nothing was sent; tried again later",
        S.IN_DOUBT: "sent, and not yet known what is in force",
        S.CANCELED: "canceled before anything was sent",
    },
    S.IN_DOUBT: {
        S.RUNNING: "looked at again",
    },
}


def move(
    connection: Connection,
    operation_id: int,
    before: Collection[OperationState],
    after: OperationState,
    by: str,
    reason: str | None = None,
    **values: Any,
) -> None:
    """Change the state of exactly one row that is in one of `before`, and write the transition down.

    Raises StaleTransition when no such row is there: somebody else was faster.
    """
    current = connection.execute(
        select(operation.c.state).where(operation.c.id == operation_id).with_for_update()
    ).scalar()
    states = {S(state) for state in before if after in TRANSITIONS.get(S(state), {})}
    if current is None or S(current) not in states:
        raise StaleTransition(operation_id, str(current), after)
    changed = connection.execute(
        update(operation)
        .where(operation.c.id == operation_id, operation.c.state == current)
        .values(state=after, reason=reason, **values)
    )
    if changed.rowcount != 1:
        raise StaleTransition(operation_id, str(current), after)
    write_down(connection, operation_id, current, after, by, reason)


def write_down(
    connection: Connection, operation_id: int, before: str | None, after: str, by: str, reason: str | None
) -> None:
    connection.execute(
        insert(transition).values(
            operation_id=operation_id, before=before, after=after, by=by, reason=reason, at=now()
        )
    )
