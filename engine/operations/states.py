"""The states of an operation and the only ways between them, as data. The diagram in the docs is drawn from
here."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Update, bindparam, insert, select, update

from engine.operations.errors import StaleTransition
from engine.operations.models import operation, transition
from engine.operations.texts import kept
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
        S.EXPIRED: "not sent in time",
    },
    S.IN_DOUBT: {
        S.RUNNING: "looked at again",
    },
}


_STATE = select(operation.c.state).where(operation.c.id == bindparam("which")).with_for_update(key_share=True)
_WRITE_DOWN = insert(transition).values(at=now())


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
    current = connection.execute(_STATE, {"which": operation_id}).scalar()
    states = {S(state) for state in before if after in TRANSITIONS.get(S(state), {})}
    if current is None or S(current) not in states:
        raise StaleTransition(operation_id, str(current), after)
    values |= {"state": after, "reason": None if reason is None else kept(reason)}
    moments = frozenset(name for name, value in values.items() if isinstance(value, now))
    plain = {name: value for name, value in values.items() if name not in moments}
    changed = connection.execute(_moving(moments), {"which": operation_id, "current": current, **plain})
    if changed.rowcount != 1:
        raise StaleTransition(operation_id, str(current), after)
    write_down(connection, operation_id, current, after, by, reason)


@lru_cache(maxsize=16)
def _moving(moments: frozenset[str]) -> Update:
    """Built once: building costs ten times the execution. `moments` become the present one."""
    row = (operation.c.id == bindparam("which"), operation.c.state == bindparam("current"))
    return update(operation).where(*row).values(dict.fromkeys(sorted(moments), now()))


def write_down(
    connection: Connection, operation_id: int, before: str | None, after: str, by: str, reason: str | None
) -> None:
    values = {"operation_id": operation_id, "before": before, "after": after, "by": by}
    values["reason"] = None if reason is None else kept(reason)
    connection.execute(_WRITE_DOWN, values)
