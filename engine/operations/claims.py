"""W0: taking an operation, its account's lease, and everything that working on it needs, in one transaction."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from engine.catalog.models import account, credential, device, host_key, zone
from engine.catalog.states import Action, CredentialState
from engine.operations import budget
from engine.operations.budget import Budget
from engine.operations.models import attempt, operation, shared_lease
from engine.operations.plan import Plan, plan_for
from engine.operations.states import LIVE, OperationState, write_down
from engine.record import audit
from engine.rotation.protocol import Facts, Goal, Mode, Reply
from engine.store.clock import now
from engine.store.database import Database
from engine.store.errors import KeyturnError
from engine.store.models import engine_state
from engine.vault.models import secret_version
from engine.vault.refs import CredentialRef, SealedVersion, credential_ref, credential_refs
from executors.contract import TemplateError
from executors.registry import ExecutorUnavailable

CLOCK_STEP = 2.0  # seconds that the database's clock may run backwards before claims stop
RESENDS = 2  # times that one operation sends a candidate again
REGENERATIONS = 2  # times that it makes another one after a policy's refusal
CHANGING = (Action.CHANGE_SECRET, Action.RECONCILE, Action.ACTIVATE, Action.DEACTIVATE)


@dataclass(frozen=True, slots=True)
class DeviceRef:
    id: int
    name: str
    address: str
    ports: Mapping[str, int]
    domain: str
    host_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """Everything about one claim. `until` is on this host's CLOCK_BOOTTIME, a margin before the lease ends."""

    operation_id: int
    action: Action
    requester: str
    attempts: int
    parent_operation_id: int | None
    epoch: int
    incarnation: str
    worker: str
    until: float
    credential: CredentialRef
    device: DeviceRef
    zone: str
    plan: Plan
    budget: Budget
    facts: Facts
    versions: Mapping[int, SealedVersion]
    logins: Mapping[str, SealedVersion]  # by role: auth, become, jump
    jump_device: DeviceRef | None
    parent: SealedVersion | None  # of a `same` child: what the candidate must be
    prepaid: bool  # the first login is charged already
    identity: str | None  # the account's own id on the target, once known

    @property
    def expired(self) -> bool:
        return boottime() >= self.until


class NotClaimed(Exception):
    """Nothing to do now. The message says why; the operation keeps its due time or gets a later one."""


UNPLANNABLE = (KeyturnError, TemplateError, ExecutorUnavailable)
"""What `plan_for` raises: since the operation was asked for, a profile, policy or template has gone or
changed."""


class Unplannable(NotClaimed):
    """Nothing is sent; a person must mend what the message names."""

    def __init__(self, operation_id: int, reason: str) -> None:
        super().__init__(reason)
        self.operation_id = operation_id


def boottime() -> float:
    """Seconds on a clock that goes on while the machine sleeps (clock_gettime(2), CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def claim(database: Database, operation_id: int, worker: str, lease: float, margin: float) -> Claim:
    """Take the operation. Raises NotClaimed."""
    began = boottime()
    try:
        with database.writing() as connection:
            return _claim(connection, operation_id, worker, lease, began + lease - margin)
    except UNPLANNABLE as error:
        raise Unplannable(operation_id, str(error)) from None
    except IntegrityError:
        raise NotClaimed("another operation of the account is live") from None


def _claim(connection: Connection, operation_id: int, worker: str, lease: float, until: float) -> Claim:
    row = _due(connection, operation_id)
    action = Action(row.action)
    plan = plan_for(connection, row.credential_id, action)
    roles = _roles(row, plan)
    found = credential_refs(connection, {row.credential_id, *roles.values()})
    own = found[row.credential_id]
    others = {role: found[id] for role, id in roles.items() if id != row.credential_id}
    identity = _lock(connection, row, own, others)
    _room_on_device(connection, row)
    limits = Budget(plan.lockout.probes_allowed, plan.lockout.window_seconds)
    logs_in = others.get("auth", own)
    _drop_outdated(connection, row)
    versions, status = _versions(connection, own)
    connects_first = action is not Action.VERIFY and "sent" not in dict(status).values()
    if connects_first and not budget.charge(connection, logs_in.account_id, limits):
        raise BudgetSpent(operation_id, logs_in.account_id, limits)
    epoch = _take(connection, row, own, worker, lease)
    _share(connection, operation_id, others)
    attempts = _start(connection, row, epoch, worker, lease, plan, logs_in)
    parent = _parent(connection, row)
    facts = _facts(connection, row, plan, own, others, status, limits)
    if action in CHANGING and not facts.sent and not facts.committed:
        _set_credential(connection, own.id, CredentialState.CHANGING)
    audit.write(
        connection,
        actor=f"worker:{worker}",
        action="operation.claimed",
        object=own.name,
        operation_id=operation_id,
        epoch=epoch,
        details={"action": action.value, "attempt": attempts},
    )
    return Claim(
        operation_id=operation_id,
        action=action,
        requester=row.requester,
        attempts=attempts,
        parent_operation_id=row.parent_operation_id,
        epoch=epoch,
        incarnation=row.incarnation,
        worker=worker,
        until=until,
        credential=own,
        device=_device(connection, row.device_id),
        zone=row.zone,
        plan=plan,
        budget=limits,
        facts=facts,
        versions=versions,
        logins=_current(connection, others),
        jump_device=_jump_device(connection, others.get("jump")),
        parent=parent,
        prepaid=connects_first,
        identity=identity,
    )


def _due(connection: Connection, operation_id: int) -> Row[Any]:
    """The operation, if it is due, nobody holds it, and the engine may work. Raises NotClaimed."""
    statement = (
        select(
            operation,
            credential.c.auth_id,
            credential.c.become_id,
            credential.c.reconcile_id,
            credential.c.parent_id,
            credential.c.parent_version,
            credential.c.link,
            device.c.jump_credential_id,
            device.c.connection_limit,
            device.c.paused,
            zone.c.name.label("zone"),
            engine_state.c.incarnation,
            engine_state.c.paused.label("engine_paused"),
            engine_state.c.clock_high,
            now().label("moment"),
        )
        .join(credential, credential.c.id == operation.c.credential_id)
        .join(device, device.c.id == operation.c.device_id)
        .join(zone, zone.c.id == operation.c.zone_id)
        .join(engine_state, engine_state.c.id == 1)
        .where(operation.c.id == operation_id)
    )
    row = connection.execute(statement).first()
    if row is None:
        raise NotClaimed("there is no such operation")
    if row.state not in (OperationState.SCHEDULED, *LIVE):
        raise NotClaimed(f"it is {row.state}")
    if row.due > row.moment or (row.lease_until is not None and row.lease_until > row.moment):
        raise NotClaimed("it is not due, or somebody works on it")
    if row.moment < row.clock_high - CLOCK_STEP:
        raise NotClaimed("the database's clock went backwards; claims wait until it has caught up")
    if row.state == OperationState.SCHEDULED and (row.engine_paused or row.paused):
        raise NotClaimed("changes are paused")
    return row


def _roles(row: Row[Any], plan: Plan) -> dict[str, int]:
    """Which other credentials log in, by role."""
    auth = row.auth_id
    if row.action == Action.RECONCILE:
        auth = row.reconcile_id or row.auth_id
    roles = {"auth": auth, "become": row.become_id, "jump": row.jump_credential_id}
    return {role: id for role, id in roles.items() if id is not None}


def _lock(
    connection: Connection, row: Row[Any], own: CredentialRef, others: Mapping[str, CredentialRef]
) -> str | None:
    """Lock all accounts in the order of their ids; check that none is in another's way. Returns the own's
    identity."""
    ids = sorted({own.account_id, *(other.account_id for other in others.values())})
    rows = connection.execute(
        select(account.c.id, account.c.lease_until, account.c.identity)
        .where(account.c.id.in_(ids))
        .order_by(account.c.id)
        .with_for_update()
    )
    found = {id: (until, identity) for id, until, identity in rows}
    held, identity = found[own.account_id]
    if held is not None and held > row.moment:
        raise NotClaimed("another worker holds the account")
    logins = [id for id in ids if id != own.account_id]
    if logins and _being_changed(connection, logins, row):
        raise NotClaimed("an account that logs in is being changed; that goes first")
    if row.action in CHANGING and _in_use(connection, own.account_id, row.id):
        raise NotClaimed("other operations are logged in with the account")
    return None if identity is None else str(identity)


def _being_changed(connection: Connection, logins: list[int], row: Row[Any]) -> bool:
    waiting = and_(
        operation.c.state == OperationState.SCHEDULED, operation.c.due <= row.moment, operation.c.id < row.id
    )
    statement = select(operation.c.id).where(
        operation.c.account_id.in_(logins),
        operation.c.action.in_(CHANGING),
        or_(operation.c.state.in_(LIVE), waiting),
    )
    return connection.execute(statement.limit(1)).first() is not None


def _in_use(connection: Connection, account_id: int, operation_id: int) -> bool:
    statement = (
        select(shared_lease.c.id)
        .join(operation, operation.c.id == shared_lease.c.operation_id)
        .where(
            shared_lease.c.account_id == account_id,
            shared_lease.c.operation_id != operation_id,
            operation.c.lease_until > now(),
        )
    )
    return connection.execute(statement.limit(1)).first() is not None


def _room_on_device(connection: Connection, row: Row[Any]) -> None:
    """The device's connection limit counts operations at work on it."""
    connection.execute(select(device.c.id).where(device.c.id == row.device_id).with_for_update())
    busy = connection.execute(
        select(func.count())
        .select_from(operation)
        .where(
            operation.c.device_id == row.device_id,
            operation.c.state == OperationState.RUNNING,
            operation.c.lease_until > now(),
            operation.c.id != row.id,
        )
    ).scalar_one()
    if busy >= row.connection_limit:
        raise NotClaimed("the device's connection limit is reached")


class BudgetSpent(NotClaimed):
    """The account that logs in has no try left in this window."""

    def __init__(self, operation_id: int, account_id: int, limits: Budget) -> None:
        super().__init__("the lockout budget of the account that logs in is spent for now")
        self.operation_id = operation_id
        self.account_id = account_id
        self.limits = limits


def _take(connection: Connection, row: Row[Any], own: CredentialRef, worker: str, lease: float) -> int:
    statement = (
        update(account)
        .where(
            account.c.id == own.account_id,
            or_(account.c.lease_until.is_(None), account.c.lease_until <= now()),
        )
        .values(epoch=account.c.epoch + 1, lease_owner=worker, lease_until=now() + lease)
        .returning(account.c.epoch)
    )
    epoch = connection.execute(statement).scalar()
    if epoch is None:
        raise NotClaimed("another worker holds the account")
    return int(epoch)


def _share(connection: Connection, operation_id: int, others: Mapping[str, CredentialRef]) -> None:
    connection.execute(delete(shared_lease).where(shared_lease.c.operation_id == operation_id))
    ids = {other.account_id for other in others.values()}
    if ids:
        rows = [{"operation_id": operation_id, "account_id": id} for id in sorted(ids)]
        connection.execute(insert(shared_lease), rows)


def _start(
    connection: Connection,
    row: Row[Any],
    epoch: int,
    worker: str,
    lease: float,
    plan: Plan,
    logs_in: CredentialRef,
) -> int:
    template = plan.template
    taken = connection.execute(
        update(operation)
        .where(operation.c.id == row.id, operation.c.state == row.state)
        .values(
            state=OperationState.RUNNING,
            epoch=epoch,
            lease_until=now() + lease,
            attempts=operation.c.attempts + 1,
            needs_person=False,
            template_id=template.id if template else None,
            template_sha256=template.sha256 if template else None,
            started=func.coalesce(operation.c.started, now()),
        )
        .returning(operation.c.attempts)
    ).scalar()
    if taken is None:
        raise NotClaimed("somebody else was faster")
    write_down(connection, row.id, row.state, OperationState.RUNNING, f"worker:{worker}", None)
    connection.execute(
        insert(attempt).values(
            operation_id=row.id,
            number=taken,
            epoch=epoch,
            worker=worker,
            login=logs_in.name,
            template_sha256=template.sha256 if template else None,
            started=now(),
        )
    )
    return int(taken)


def _versions(
    connection: Connection, own: CredentialRef
) -> tuple[dict[int, SealedVersion], list[tuple[int, str]]]:
    """All versions by number that may be in force, and (number, status) newest first.

    Only a candidate that was never sent, and was dropped, is surely not in force.
    """
    rows = connection.execute(
        select(secret_version.c.number, secret_version.c.status, secret_version.c.sealed)
        .where(
            secret_version.c.credential_id == own.id,
            or_(secret_version.c.status != "unused", secret_version.c.maybe_sent.is_(True)),
        )
        .order_by(secret_version.c.number.desc())
    ).all()
    return {n: SealedVersion(own, n, sealed) for n, _, sealed in rows}, [(n, status) for n, status, _ in rows]


def _current(connection: Connection, others: Mapping[str, CredentialRef]) -> dict[str, SealedVersion]:
    if not others:
        return {}
    ids = {other.id for other in others.values()}
    rows = connection.execute(
        select(secret_version.c.credential_id, secret_version.c.number, secret_version.c.sealed).where(
            secret_version.c.credential_id.in_(ids), secret_version.c.status == "current"
        )
    )
    by_id = {id: (number, sealed) for id, number, sealed in rows}
    return {
        role: SealedVersion(other, *by_id[other.id]) for role, other in others.items() if other.id in by_id
    }


def _parent(connection: Connection, row: Row[Any]) -> SealedVersion | None:
    if row.link != "same" or row.parent_version is None:
        return None
    sealed = connection.execute(
        select(secret_version.c.sealed).where(
            secret_version.c.credential_id == row.parent_id, secret_version.c.number == row.parent_version
        )
    ).scalar_one()
    return SealedVersion(credential_ref(connection, row.parent_id), row.parent_version, sealed)


_GOALS = {
    Action.VERIFY: Goal.VERIFY,
    Action.ACTIVATE: Goal.ACTIVATE,
    Action.DEACTIVATE: Goal.DEACTIVATE,
}


def _facts(
    connection: Connection,
    row: Row[Any],
    plan: Plan,
    own: CredentialRef,
    others: Mapping[str, CredentialRef],
    status: list[tuple[int, str]],
    limits: Budget,
) -> Facts:
    pending = next(((n, s) for n, s in status if s in ("candidate", "sent")), None)
    current = next((n for n, s in status if s == "current"), None)
    sent = pending is not None and pending[1] == "sent"
    goal = _GOALS.get(Action(row.action), Goal.CHANGE)
    probes, _ = budget.left(connection, own.account_id, limits)
    if goal is not Goal.VERIFY and not sent and "auth" not in others:
        probes = limits.allowed  # before any probe the account itself logs in, and that clears its window
    return Facts(
        goal=goal,
        mode=Mode.RESET if "auth" in others else Mode.SELF,
        current=current,
        candidate=None if pending is None else pending[0],
        sent=sent,
        committed=row.committed,
        history=tuple(n for n, s in status if s not in ("candidate", "sent", "current")),
        budget=limits.allowed,
        probes=probes,
        refused=frozenset(row.refused),
        reply=None if row.reply is None else Reply(row.reply),
        resends=max(0, RESENDS - row.resent),
        regenerations=max(0, REGENERATIONS - row.regenerated),
        overlap=plan.overlap_seconds > 0,
        persist=plan.persists,
    )


def _drop_outdated(connection: Connection, row: Row[Any]) -> None:
    """A `same` child's candidate that was never sent gives way to the parent's newer version."""
    if row.link != "same" or row.parent_version is None:
        return
    connection.execute(
        update(secret_version)
        .where(
            secret_version.c.credential_id == row.credential_id,
            secret_version.c.status == "candidate",
            secret_version.c.parent_version != row.parent_version,
        )
        .values(status="unused")
    )


def _device(connection: Connection, device_id: int) -> DeviceRef:
    row = connection.execute(select(device).where(device.c.id == device_id)).one()
    keys = connection.execute(select(host_key.c.line).where(host_key.c.device_id == device_id)).scalars()
    return DeviceRef(row.id, row.name, row.address, row.ports, row.domain, tuple(keys))


def _jump_device(connection: Connection, jump: CredentialRef | None) -> DeviceRef | None:
    if jump is None:
        return None
    id = connection.execute(select(credential.c.device_id).where(credential.c.id == jump.id)).scalar_one()
    return _device(connection, id)


def _set_credential(connection: Connection, credential_id: int, state: CredentialState) -> None:
    connection.execute(
        update(credential)
        .where(credential.c.id == credential_id)
        .values(state=state, reason=None, since=now())
    )
