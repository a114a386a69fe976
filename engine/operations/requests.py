"""Asking for an operation: checked as far as it can be before anything is touched, joined to one that waits
already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, text, update

from engine.catalog.lookup import full_name
from engine.catalog.models import credential, device
from engine.catalog.states import Action, CredentialState
from engine.operations import trials
from engine.operations.admission import ADMITTED
from engine.operations.errors import KeyReused, NotNow
from engine.operations.models import operation, request
from engine.operations.plan import plan_for
from engine.operations.states import OperationState, write_down
from engine.record import audit, outbox
from engine.store.clock import now
from engine.store.models import engine_state
from engine.store.statements import insert_unless_there
from engine.vault.models import secret_version

NOT_BEGUN = text("state = 'scheduled' AND attempts = 0")
ANOTHER = "this idempotency key belongs to another request; use a new one for each request"
KEYED = text("idempotency_key IS NOT NULL")


_THAT = credential.c.id == bindparam("which")
_LOCK = select(credential.c.id).where(_THAT).with_for_update(key_share=True)
_CREDENTIAL = (
    select(credential, device.c.zone_id, full_name(credential, device).label("name"))
    .join(device, device.c.id == credential.c.device_id)
    .where(_THAT)
)
_WAITING = (
    select(operation.c.id, operation.c.due, operation.c.priority)
    .where(
        operation.c.credential_id == bindparam("of"),
        operation.c.action == bindparam("action"),
        operation.c.state == OperationState.SCHEDULED,
        operation.c.committed.is_(False),
    )
    .order_by(operation.c.id)
    .limit(1)
    .with_for_update(key_share=True)
)
_HAVING_SECRETS = select(secret_version.c.credential_id).where(
    secret_version.c.credential_id.in_(bindparam("ids", expanding=True)),
    secret_version.c.status == "current",
)
_RESTORED = select(engine_state.c.restored)


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
    """Ask for an operation. Raises NotNow, KeyReused, and what makes a plan impossible (no profile, a tie,
    …)."""
    row = _credential(connection, ask.credential_id, locking=True)
    earlier = _same_key(connection, ask)
    if earlier is not None:
        return Requested(earlier, True)
    live = _live(connection, ask)
    if live is not None:
        return _continue(connection, ask, row, live)
    _allowed(connection, ask, row)
    trials.check(connection, plan_for(connection, ask.credential_id, ask.action), ask.trigger)
    return insert_operation(connection, ask)


def insert_operation(connection: Connection, ask: Ask) -> Requested:
    """Insert, or join the one of this credential and action that is scheduled. Never fails because of another
    one."""
    row = _credential(connection, ask.credential_id, locking=True)
    waiting = _waiting(connection, ask)
    if waiting is not None:
        return _join(connection, ask, row.name, waiting)
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
    created = insert_unless_there(connection, operation, values, ["credential_id", "action"], NOT_BEGUN)
    if created is None:  # only one that asks without the credential's lock could be faster
        raise NotNow(f"another request for {row.name} came at the same moment; ask again")
    write_down(connection, created, None, OperationState.SCHEDULED, ask.requester, ask.trigger)
    details = {"action": ask.action.value, "trigger": ask.trigger}
    audit.write(
        connection,
        actor=ask.requester,
        action="operation.requested",
        object=row.name,
        operation_id=created,
        details=details,
    )
    _remember(connection, ask, created, row.name, joined=False)
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
        raise KeyReused(ANOTHER)
    return int(row.id)


def _credential(connection: Connection, credential_id: int, *, locking: bool = False) -> Row[Any]:
    """Locked, requests for one credential come one after the other, and claims of its operations between
    them."""
    if locking:
        connection.execute(_LOCK, {"which": credential_id}).one()
    return connection.execute(_CREDENTIAL, {"which": credential_id}).one()


def _live(connection: Connection, ask: Ask) -> Row[int, str] | None:
    """An operation of this credential that is in doubt: verify and reconcile go on with that one."""
    if ask.action not in (Action.VERIFY, Action.RECONCILE):
        return None
    return connection.execute(
        select(operation.c.id, operation.c.action).where(
            operation.c.credential_id == ask.credential_id, operation.c.state == OperationState.IN_DOUBT
        )
    ).first()


def _continue(connection: Connection, ask: Ask, row: Row[Any], live: Row[int, str]) -> Requested:
    """Look again now, or reset by the account that may. What cannot be planned would never end, so it is
    refused."""
    action = Action.RECONCILE if ask.action is Action.RECONCILE else Action(live.action)
    if ask.action is Action.RECONCILE:
        _can_be_reset(row)
        _has_secrets(connection, ask, row)
    plan_for(connection, ask.credential_id, action)
    connection.execute(
        update(operation)
        .where(operation.c.id == live.id, operation.c.state == OperationState.IN_DOUBT)
        .values(due=now(), needs_person=False, action=action, resent=0, regenerated=0)
    )
    audit.write(
        connection,
        actor=ask.requester,
        action="operation.continued",
        object=row.name,
        operation_id=live.id,
        details={"action": ask.action.value},
    )
    _remember(connection, ask, live.id, row.name, joined=True)
    return Requested(live.id, True)


def _waiting(connection: Connection, ask: Ask) -> Row[int, float, int] | None:
    """One that a request can join: it has yet to do the whole of what is asked for."""
    return connection.execute(_WAITING, {"of": ask.credential_id, "action": ask.action}).first()


def _join(connection: Connection, ask: Ask, name: str, waiting: Row[int, float, int]) -> Requested:
    sooner = now() if ask.due is None else min(ask.due, waiting.due)
    connection.execute(
        update(operation)
        .where(operation.c.id == waiting.id)
        .values(due=sooner, priority=max(ask.priority, waiting.priority))
    )
    audit.write(
        connection,
        actor=ask.requester,
        action="operation.joined",
        object=name,
        operation_id=waiting.id,
        details={"trigger": ask.trigger},
    )
    _remember(connection, ask, waiting.id, name, joined=True)
    return Requested(int(waiting.id), True)


def _remember(connection: Connection, ask: Ask, operation_id: int, name: str, *, joined: bool) -> None:
    values = {
        "operation_id": operation_id,
        "requester": ask.requester,
        "trigger": ask.trigger,
        "idempotency_key": ask.idempotency_key,
        "joined": joined,
        "callback": ask.callback,
        "created": now(),
    }
    if insert_unless_there(connection, request, values, ["requester", "idempotency_key"], KEYED) is None:
        raise KeyReused(ANOTHER)
    payload = {
        "credential": name,
        "action": ask.action.value,
        "state": "accepted",
        "trigger": ask.trigger,
        "requester": ask.requester,
        "parent_operation": ask.parent_operation_id,
    }
    outbox.notice(
        connection, "operation.accepted", payload, operation_id, [ask.callback] if ask.callback else []
    )


def _allowed(connection: Connection, ask: Ask, row: Row[Any]) -> None:
    """What the states allow. Raises NotNow, which says what to do."""
    name = row.name
    if row.state not in ADMITTED.get(ask.action, ()):
        raise NotNow(
            f"{name} is {row.state} ({row.reason or 'no reason given'}): {ask.action} is not possible now"
        )
    if ask.action is not Action.VERIFY and not row.enabled:
        raise NotNow(
            f"{name} is not enabled; `keyturn credential enable {name}` proves it and allows changes"
        )
    unproven = ask.action is Action.CHANGE_SECRET and row.state == CredentialState.UNVERIFIED
    if unproven and (row.auth_id is None or _has_current(connection, row.id)):
        raise NotNow(
            f"the stored secret of {name} was never proven; `keyturn credential verify {name}` tries it"
        )
    if ask.action is Action.CHANGE_SECRET and row.link == "same" and ask.trigger != "parent_changed":
        raise NotNow(f"{name} holds its parent's secret and never changes alone; change the parent")
    if ask.action is Action.RECONCILE:
        _can_be_reset(row)
    _has_secrets(connection, ask, row)
    restored = connection.execute(_RESTORED).scalar_one()
    if restored and ask.action is not Action.VERIFY:
        raise NotNow(
            "the database was restored from an older copy; verify the credentials, then end that mode"
        )


def _can_be_reset(row: Row[Any]) -> None:
    if row.auth_id is None and row.reconcile_id is None:
        raise NotNow(f"{row.name} has no account that could reset it; name one with --reconcile or --auth")


def _has_current(connection: Connection, credential_id: int) -> bool:
    found = select(secret_version.c.id).where(
        secret_version.c.credential_id == credential_id, secret_version.c.status == "current"
    )
    return connection.execute(found).first() is not None


def _has_secrets(connection: Connection, ask: Ask, row: Row[Any]) -> None:
    """What logs in must have a secret, and so must what is only proven."""
    auth = (row.reconcile_id or row.auth_id) if ask.action is Action.RECONCILE else row.auth_id
    needed = {row.become_id, auth if ask.action is not Action.VERIFY and auth is not None else row.id} - {
        None
    }
    having = set(connection.execute(_HAVING_SECRETS, {"ids": list(needed)}).scalars())
    if needed <= having:
        return
    name = row.name
    whose = name if row.id in needed - having else f"an account that logs in to change {name}"
    raise NotNow(f"no secret of {whose} is stored; `keyturn credential set` stores one")
