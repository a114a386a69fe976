"""Reading operations, and a person's word on one that is there: cancel, retry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, select, update

from engine.catalog.lookup import full_name
from engine.catalog.models import credential, device
from engine.catalog.states import Action
from engine.operations.errors import NoSuchOperation, NotNow
from engine.operations.models import attempt, operation, transition
from engine.operations.notices import tell
from engine.operations.requests import Ask, Requested, ask_for
from engine.operations.states import LIVE, TERMINAL, OperationState, move
from engine.record import audit
from engine.store.clock import now

__all__ = [
    "Ask",
    "AttemptView",
    "OperationView",
    "Requested",
    "TransitionView",
    "ask_for",
    "attempts",
    "cancel",
    "find",
    "retry",
    "show",
    "transitions",
]


@dataclass(frozen=True, slots=True)
class OperationView:
    """Moments are seconds since 1970-01-01 UTC."""

    id: int
    credential_id: int
    credential: str
    action: str
    state: str
    outcome: str | None
    reason: str | None
    trigger: str
    requester: str
    due: float
    needs_person: bool
    cancel_requested: bool
    attempts: int
    parent_operation_id: int | None
    template_sha256: str | None
    created: float
    started: float | None
    finished: float | None


@dataclass(frozen=True, slots=True)
class AttemptView:
    id: int
    number: int
    worker: str
    login: str | None
    outcome: str | None
    message: str | None
    proof: str | None
    steps: Sequence[Sequence[Any]]
    has_transcript: bool
    started: float
    finished: float | None


@dataclass(frozen=True, slots=True)
class TransitionView:
    before: str | None
    after: str
    by: str
    reason: str | None
    at: float


def _views() -> Select[Any]:
    return (
        select(operation, full_name(credential, device).label("name"))
        .join(credential, credential.c.id == operation.c.credential_id)
        .join(device, device.c.id == operation.c.device_id)
    )


def _view(row: Row[Any]) -> OperationView:
    return OperationView(
        id=row.id,
        credential_id=row.credential_id,
        credential=row.name,
        action=row.action,
        state=row.state,
        outcome=row.outcome,
        reason=row.reason,
        trigger=row.trigger,
        requester=row.requester,
        due=row.due,
        needs_person=row.needs_person,
        cancel_requested=row.cancel_requested,
        attempts=row.attempts,
        parent_operation_id=row.parent_operation_id,
        template_sha256=row.template_sha256,
        created=row.created,
        started=row.started,
        finished=row.finished,
    )


def find(
    connection: Connection,
    states: Sequence[OperationState] | None = None,
    credential_id: int | None = None,
    device_id: int | None = None,
    limit: int = 100,
    after: int = 0,
) -> list[OperationView]:
    """Operations in the order of their ids, from `after` on."""
    statement = _views().where(operation.c.id > after).order_by(operation.c.id).limit(limit)
    if states:
        statement = statement.where(operation.c.state.in_(states))
    if credential_id is not None:
        statement = statement.where(operation.c.credential_id == credential_id)
    if device_id is not None:
        statement = statement.where(operation.c.device_id == device_id)
    return [_view(row) for row in connection.execute(statement)]


def show(connection: Connection, operation_id: int) -> OperationView:
    """Raises NoSuchOperation."""
    row = connection.execute(_views().where(operation.c.id == operation_id)).first()
    if row is None:
        raise NoSuchOperation(operation_id)
    return _view(row)


def attempts(connection: Connection, operation_id: int) -> list[AttemptView]:
    rows = connection.execute(
        select(attempt).where(attempt.c.operation_id == operation_id).order_by(attempt.c.number)
    )
    return [
        AttemptView(
            id=row.id,
            number=row.number,
            worker=row.worker,
            login=row.login,
            outcome=row.outcome,
            message=row.message,
            proof=row.proof,
            steps=row.steps or [],
            has_transcript=row.transcript is not None,
            started=row.started,
            finished=row.finished,
        )
        for row in rows
    ]


def transitions(connection: Connection, operation_id: int) -> list[TransitionView]:
    rows = connection.execute(
        select(transition.c.before, transition.c.after, transition.c.by, transition.c.reason, transition.c.at)
        .where(transition.c.operation_id == operation_id)
        .order_by(transition.c.id)
    )
    return [TransitionView(*row) for row in rows]


def cancel(connection: Connection, operation_id: int, by: str) -> OperationView:
    """Cancel. What was sent already still ends by proof: nothing is sent again, and the state never says
    `canceled`.

    Raises NoSuchOperation, NotNow.
    """
    found = _locked(connection, operation_id)
    if found.state in TERMINAL:
        raise NotNow(f"operation {operation_id} has ended already: it is {found.state}")
    committed = connection.execute(
        select(operation.c.committed).where(operation.c.id == operation_id)
    ).scalar_one()
    if committed:
        raise NotNow(
            f"the change of operation {operation_id} is in force; only saving it on the device is missing"
        )
    values: dict[str, Any] = {"cancel_requested": True}
    if found.state == OperationState.IN_DOUBT and not found.needs_person:
        values["due"] = now()  # only its next claim can act on the flag
    connection.execute(update(operation).where(operation.c.id == operation_id).values(**values))
    if found.state in (OperationState.SCHEDULED, OperationState.WAITING_APPROVAL):
        move(
            connection,
            operation_id,
            (OperationState(found.state),),
            OperationState.CANCELED,
            by,
            "canceled",
            finished=now(),
        )
        tell(connection, operation_id, found.credential, OperationState.CANCELED)
    audit.write(
        connection, actor=by, action="operation.cancel", object=found.credential, operation_id=operation_id
    )
    return show(connection, operation_id)


def _locked(connection: Connection, operation_id: int) -> OperationView:
    """Nobody claims it until this transaction ends. Raises NoSuchOperation."""
    lock = select(operation.c.id).where(operation.c.id == operation_id)
    connection.execute(lock.with_for_update(key_share=True))
    return show(connection, operation_id)


def retry(connection: Connection, operation_id: int, by: str) -> Requested:
    """Ask again for what failed, or look now at what is in doubt. Raises NoSuchOperation, NotNow and as
    `ask_for`."""
    found = show(connection, operation_id)
    if found.state in LIVE or found.state == OperationState.SCHEDULED:
        connection.execute(
            update(operation)
            .where(operation.c.id == operation_id, operation.c.state != OperationState.RUNNING)
            .values(due=now(), needs_person=False, resent=0, regenerated=0)
        )
        audit.write(
            connection, actor=by, action="operation.retry", object=found.credential, operation_id=operation_id
        )
        return Requested(operation_id, True)
    if found.state == OperationState.SUCCEEDED:
        raise NotNow(f"operation {operation_id} succeeded; ask for a new one")
    return ask_for(connection, Ask(found.credential_id, Action(found.action), by, "manual"))
