"""Asking for an operation: checked as far as it can be before anything is touched, joined to one that waits already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, text, update

from engine.catalog.models import credential, device
from engine.catalog.states import Action, CredentialState
from engine.operations.errors import KeyReused, NotNow
from engine.operations.models import operation, request
from engine.operations.plan import plan_for
from engine.operations.states import OperationState, write_down
from engine.record import audit, outbox
from engine.store.clock import now
from engine.store.models import engine_state
from engine.store.statements import insert_unless_there
from engine.vault.models import secret_version

SCHEDULED_INDEX = text("state = 'scheduled'")


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked for. `due` and `expires` are moments of the database's clock; no `due` means now."""

    credential_id: int
    action: Action
    requester: str
    trigger: str
    due: float | None = None
    priority: int = 0
    callback: str | None = None
    idempotency_key: str | None = None
    expires: float | None = None
    parent_operation_id: int | None = None


@dataclass(frozen=True, slots=True)
class Requested:
    """`joined`: the request was added to an operation that was there already."""

    operation_id: int
    joined: bool


def ask_for(connection: Connection, ask: Ask) -> Requested:
    """Ask for an operation. Raises NotNow, KeyReused, and what makes a plan impossible (no profile, a tie, …)."""
    earlier = _same_key(connection, ask)
    if earlier is not None:
        return Requested(earlier, True)
    row = _credential(connection, ask.credential_id)
    live = _live(connection, ask)
    if live is not None:
        return _continue(connection, ask, live)
    _allowed(connection, ask, row)
    plan_for(connection, ask.credential_id, ask.action)
    return insert_operation(connection, ask)


def insert_operation(connection: Connection, ask: Ask) -> Requested:
    """Insert, or join the one of this credential and action that is scheduled. Never fails because of another one."""
    row = _credential(connection, ask.credential_id)
    values = {
        "credential_id": ask.credential_id,
        "account_id": row.account_id,
        "device_id": row.device_id,
        "zone_id": row.zone_id,
        "action": ask.action,
        "state": OperationState.SCHEDULED,
        "trigger": ask.trigger,
        "requester": ask.requester,
        "callback": ask.callback,
        "priority": ask.priority,
        "due": now() if ask.due is None else ask.due,
        "expires": ask.expires,
        "parent_operation_id": ask.parent_operation_id,
        "refused": [],
        "created": now(),
    }
    created = insert_unless_there(connection, operation, values, ["credential_id", "action"], SCHEDULED_INDEX)
    if created is None:
        return _join(connection, ask)
    write_down(connection, created, None, OperationState.SCHEDULED, ask.requester, ask.trigger)
    _remember(connection, ask, created, joined=False)
    details = {"action": ask.action.value, "trigger": ask.trigger}
    audit.write(
        connection,
        actor=ask.requester,
        action="operation.requested",
        object=f"{row.username}@{row.device}",
        operation_id=created,
        details=details,
    )
    outbox.notice(connection, "operation.accepted", details, created, ask.callback)
    return Requested(created, False)


def _same_key(connection: Connection, ask: Ask) -> int | None:
    if ask.idempotency_key is None:
        return None
    row = connection.execute(
        select(operation.c.id, operation.c.credential_id, operation.c.action)
        .join(request, request.c.operation_id == operation.c.id)
        .where(request.c.requester == ask.requester, request.c.idempotency_key == ask.idempotency_key)
    ).first()
    if row is None:
        return None
    if (row.credential_id, row.action) != (ask.credential_id, ask.action):
        raise KeyReused("this idempotency key belongs to another request; use a new one for each request")
    return int(row.id)


def _credential(connection: Connection, credential_id: int) -> Row[Any]:
    return connection.execute(
        select(credential, device.c.zone_id, device.c.name.label("device"))
        .join(device, device.c.id == credential.c.device_id)
        .where(credential.c.id == credential_id)
    ).one()


def _live(connection: Connection, ask: Ask) -> Row[int, str] | None:
    """An operation of this credential that is in doubt: verify and reconcile go on with that one."""
    if ask.action not in (Action.VERIFY, Action.RECONCILE):
        return None
    return connection.execute(
        select(operation.c.id, operation.c.action).where(
            operation.c.credential_id == ask.credential_id, operation.c.state == OperationState.IN_DOUBT
        )
    ).first()


def _continue(connection: Connection, ask: Ask, live: Row[int, str]) -> Requested:
    action = Action.RECONCILE if ask.action is Action.RECONCILE else Action(live.action)
    connection.execute(
        update(operation)
        .where(operation.c.id == live.id, operation.c.state == OperationState.IN_DOUBT)
        .values(due=now(), needs_person=False, action=action, resent=0, regenerated=0)
    )
    _remember(connection, ask, live.id, joined=True)
    audit.write(
        connection,
        actor=ask.requester,
        action="operation.continued",
        object=f"operation:{live.id}",
        operation_id=live.id,
        details={"action": ask.action.value},
    )
    return Requested(live.id, True)


def _join(connection: Connection, ask: Ask) -> Requested:
    waiting = connection.execute(
        select(operation.c.id, operation.c.due, operation.c.priority)
        .where(
            operation.c.credential_id == ask.credential_id,
            operation.c.action == ask.action,
            operation.c.state == OperationState.SCHEDULED,
        )
        .with_for_update()
    ).one()
    sooner = now() if ask.due is None else min(ask.due, waiting.due)
    connection.execute(
        update(operation)
        .where(operation.c.id == waiting.id)
        .values(due=sooner, priority=max(ask.priority, waiting.priority))
    )
    _remember(connection, ask, waiting.id, joined=True)
    return Requested(waiting.id, True)


def _remember(connection: Connection, ask: Ask, operation_id: int, *, joined: bool) -> None:
    connection.execute(
        insert(request).values(
            operation_id=operation_id,
            requester=ask.requester,
            trigger=ask.trigger,
            idempotency_key=ask.idempotency_key,
            joined=joined,
            callback=ask.callback,
            created=now(),
        )
    )


_S = CredentialState
_MAY_CHANGE = (_S.MANAGED, _S.CHANGING, _S.IN_DOUBT, _S.UNVERIFIED)
_ALLOWED_IN = {
    Action.CHANGE_SECRET: _MAY_CHANGE,
    Action.RECONCILE: (*_MAY_CHANGE, _S.DRIFTED),
    Action.VERIFY: (*_MAY_CHANGE, _S.DRIFTED, _S.INACTIVE, _S.SUSPENDED),
    Action.ACTIVATE: (_S.INACTIVE, _S.MANAGED),
    Action.DEACTIVATE: (_S.MANAGED, _S.INACTIVE),
}


def _allowed(connection: Connection, ask: Ask, row: Row[Any]) -> None:
    """What the states allow. Raises NotNow, which says what to do."""
    name = f"{row.username}@{row.device}"
    if row.state not in _ALLOWED_IN.get(ask.action, ()):
        raise NotNow(f"{name} is {row.state} ({row.reason or 'no reason given'}): {ask.action} is not possible now")
    if ask.action is not Action.VERIFY and not row.enabled:
        raise NotNow(f"{name} is not enabled; `keyturn credential enable {name}` proves it and allows changes")
    if ask.action is Action.CHANGE_SECRET and row.link == "same" and ask.trigger != "parent_changed":
        raise NotNow(f"{name} holds its parent's secret and never changes alone; change the parent")
    if ask.action is Action.RECONCILE and row.auth_id is None and row.reconcile_id is None:
        raise NotNow(f"{name} has no account that could reset it; name one with --reconcile or --auth")
    _has_secrets(connection, ask, row, name)
    restored = connection.execute(select(engine_state.c.restored)).scalar_one()
    if restored and ask.action is not Action.VERIFY:
        raise NotNow("the database was restored from an older copy; verify the credentials, then end that mode")


def _has_secrets(connection: Connection, ask: Ask, row: Row[Any], name: str) -> None:
    """What logs in must have a secret, and so must what is only proven."""
    auth = (row.reconcile_id or row.auth_id) if ask.action is Action.RECONCILE else row.auth_id
    needed = {row.become_id, auth if ask.action is not Action.VERIFY and auth is not None else row.id} - {None}
    having = set(
        connection.execute(
            select(secret_version.c.credential_id).where(
                secret_version.c.credential_id.in_(needed), secret_version.c.status == "current"
            )
        ).scalars()
    )
    if needed <= having:
        return
    whose = name if row.id in needed - having else f"an account that logs in to change {name}"
    raise NotNow(f"no secret of {whose} is stored; `keyturn credential set` stores one")
