"""W0: taking an operation, its account's lease, and everything that working on it needs, in one
transaction."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, exists, insert, literal, or_, select, update
from sqlalchemy.exc import IntegrityError

from engine.catalog.models import credential, device
from engine.catalog.rules import get_policy
from engine.catalog.states import Action, CredentialState, allowed
from engine.operations import admission, budget, trials
from engine.operations import statements as sql
from engine.operations.admission import CHANGING
from engine.operations.budget import Budget
from engine.operations.errors import NotAdmitted, NotClaimed, Postponed
from engine.operations.models import operation, shared_lease
from engine.operations.notices import tell
from engine.operations.plan import Plan, plan_for, stricter
from engine.operations.states import LIVE, OperationState, write_down
from engine.operations.texts import kept
from engine.record import audit
from engine.rotation.protocol import Facts, Goal, Mode, Reply
from engine.store.database import Database
from engine.store.errors import KeyturnError
from engine.vault.handover import Refused, Want, given
from engine.vault.models import secret_version
from engine.vault.refs import CredentialRef, SealedVersion, credential_refs, sealed_version
from executors.contract import Outcome, ProofKind, TemplateError
from executors.registry import ExecutorUnavailable

CLOCK_STEP = 2.0  # seconds that the database's clock may run backwards before claims stop
RESENDS = 2  # times that one operation sends a candidate again
GOES_FIRST = 1.0  # seconds until an operation looks again whether its login is free
REGENERATIONS = 2  # times that it makes another one after a policy's refusal


@dataclass(frozen=True, slots=True)
class DeviceRef:
    id: int
    name: str
    address: str
    ports: Mapping[str, int]
    domain: str
    host_keys: tuple[str, ...]
    cleartext: bool  # whether secrets may be sent unencrypted
    weak_algorithms: bool  # whether ssh may use algorithms that are no longer safe

    @property
    def consents(self) -> dict[str, bool]:
        """Those that it gives; an attempt under one is audited with it."""
        given = {"cleartext": self.cleartext, "weak_algorithms": self.weak_algorithms}
        return {name: True for name, yes in given.items() if yes}


@dataclass(frozen=True, slots=True)
class Claim:
    """Everything about one claim. `until` is on this host's CLOCK_BOOTTIME, a margin before the lease
    ends."""

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
    budgets: Mapping[int, Budget]  # by account, of all that log in
    facts: Facts
    versions: Mapping[int, SealedVersion]
    logins: Mapping[str, SealedVersion]  # by role: auth, become, jump
    jump_device: DeviceRef | None
    parent: SealedVersion | None  # of a `same` child: what the candidate must be
    prepaid: bool  # the first login is charged already
    identity: str | None  # the account's own id on the target, once known
    replaced: int | None  # the own version that the current one has replaced

    @property
    def logs_in(self) -> int:
        """The account that logs in for the change."""
        return (
            self.logins["auth"].credential.account_id if "auth" in self.logins else self.credential.account_id
        )

    @property
    def connecting(self) -> frozenset[int]:
        """The accounts whose secrets a login tries; `su` takes on another account's rights after it."""
        return frozenset({self.logs_in, *self._jumps, *self.becoming})

    @property
    def becoming(self) -> frozenset[int]:
        """The account whose rights are taken on, unless it is the one that logs in."""
        become = self.logins.get("become")
        return frozenset() if become is None else frozenset({become.credential.account_id}) - {self.logs_in}

    @property
    def proving(self) -> frozenset[int]:
        """The accounts whose secrets a proof tries: `su` starts from another login."""
        start = {self.logs_in} if self.plan.proof is ProofKind.SU else set()
        return frozenset({self.credential.account_id, *start, *self._jumps})

    @property
    def _jumps(self) -> list[int]:
        return [login.credential.account_id for role, login in self.logins.items() if role == "jump"]


UNPLANNABLE = (KeyturnError, TemplateError, ExecutorUnavailable)
"""What `plan_for` raises: since the operation was asked for, a profile, policy or template has gone or
changed."""


class Unplannable(NotClaimed):
    """Nothing is sent; a person must mend what the message names."""

    def __init__(self, operation_id: int, reason: str, outcome: Outcome | None) -> None:
        super().__init__(reason)
        self.operation_id = operation_id
        self.outcome = outcome


def boottime() -> float:
    """Seconds on a clock that goes on while the machine sleeps (clock_gettime(2), CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def claim(
    database: Database, operation_id: int, worker: str, zone: str, lease: float, margin: float
) -> Claim:
    """Take the operation, if it is of the worker's zone. Raises NotClaimed."""
    began = boottime()
    try:
        with database.writing() as connection:
            return _claim(connection, operation_id, worker, zone, lease, began + lease - margin)
    except UNPLANNABLE as error:
        outcome = None if isinstance(error, NotAdmitted) else Outcome.BAD_TEMPLATE
        raise Unplannable(operation_id, str(error), outcome) from None
    except IntegrityError:
        raise NotClaimed("another operation of the account is live") from None


def _claim(
    connection: Connection, operation_id: int, worker: str, zone: str, lease: float, until: float
) -> Claim:
    row = _due(connection, operation_id)
    if row.zone != zone:
        raise NotClaimed(f"it is for a worker of zone {row.zone}")
    action = Action(row.action)
    plan = plan_for(connection, row.credential_id, action)
    roles = _roles(row)
    found = credential_refs(connection, {row.credential_id, *roles.values()})
    own = found[row.credential_id]
    others = {role: found[other] for role, other in roles.items() if other != row.credential_id}
    identity = _lock(connection, row, own, others)
    _room_on_device(connection, row)
    row = _as_locked(connection, row)
    budgets = _budgets(connection, plan, own, others)
    limits = budgets[own.account_id]
    logs_in = others.get("auth", own)
    _drop_outdated(connection, row)
    versions, status = _versions(connection, own)
    logins = _current(connection, others)
    admission.check(connection, row, plan, others, logins, dict(status).values())
    logins, parent = _opened_here(connection, row, plan, logins, _parent(connection, row))
    connects_first = action is not Action.VERIFY and "sent" not in dict(status).values()
    if connects_first:
        trials.check(connection, plan, row.trigger)
        _charge(connection, operation_id, _charged(logs_in, others), budgets)
    epoch = _take(connection, own, worker, lease)
    _share(connection, operation_id, others)
    reached = _device(connection, row.device_id)
    attempts = _start(connection, row, epoch, worker, lease, plan, logs_in, own.name, reached)
    facts = _facts(connection, row, plan, own, others, status, limits)
    changes = action in CHANGING and not facts.sent and not facts.committed
    if changes and allowed(CredentialState(row.credential_state), CredentialState.CHANGING):
        _set_credential(connection, own.id, CredentialState.CHANGING)
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
        device=reached,
        zone=row.zone,
        plan=plan,
        budgets=budgets,
        facts=facts,
        versions=versions,
        logins=logins,
        jump_device=_jump_device(connection, others.get("jump")),
        parent=parent,
        prepaid=connects_first,
        identity=identity,
        replaced=next((n for n, s in status if s == "previous"), None),
    )


def _due(connection: Connection, operation_id: int, *, locking: bool = False) -> Row[Any]:
    """The operation, if it is due, nobody holds it, and the engine may work. Raises NotClaimed."""
    statement = sql.DUE_LOCKED if locking else sql.DUE
    row = connection.execute(statement, {"which": operation_id}).first()
    if row is None:
        raise NotClaimed("there is no such operation")
    if row.state not in (OperationState.SCHEDULED, *LIVE):
        raise NotClaimed(f"it is {row.state}")
    if row.due > row.moment or (row.lease_until is not None and row.lease_until > row.moment):
        raise NotClaimed("it is not due, or somebody works on it")
    if row.needs_person:
        raise NotClaimed("a person must decide first")
    if row.account_until is not None and row.account_until > row.moment:
        raise NotClaimed("another worker holds the account")
    if row.moment < row.clock_high - CLOCK_STEP:
        raise NotClaimed("the database's clock went backwards; claims wait until it has caught up")
    if row.state == OperationState.SCHEDULED and (row.engine_paused or row.paused):
        raise NotClaimed("changes are paused")
    return row


def _as_locked(connection: Connection, row: Row[Any]) -> Row[Any]:
    """The operation once more, now that nobody else can move it: what was read before the locks may be
    history."""
    if connection.dialect.name == "sqlite":  # a writing transaction there is alone from its beginning
        return row
    locked = _due(connection, row.id, locking=True)
    if locked.action != row.action:
        raise NotClaimed("somebody asks for another action at this moment")
    return locked


def _budgets(
    connection: Connection, plan: Plan, own: CredentialRef, others: Mapping[str, CredentialRef]
) -> dict[int, Budget]:
    """Each account has its own policy's limit; the platform's holds for all."""
    limits = {own.account_id: plan.lockout}
    for other in others.values():
        if other.account_id not in limits:
            policy_id = select(credential.c.policy_id).where(credential.c.id == other.id)
            rules = get_policy(connection, connection.execute(policy_id).scalar_one()).rules
            limits[other.account_id] = stricter(plan.platform_threshold, rules.lockout)
    return {key: Budget(each.probes_allowed, each.window_seconds) for key, each in limits.items()}


def _charge(
    connection: Connection, operation_id: int, account_ids: list[int], budgets: Mapping[int, Budget]
) -> None:
    for account_id in account_ids:
        if not budget.charge(connection, account_id, budgets[account_id]):
            raise BudgetSpent(operation_id, account_id, budgets[account_id])


def _charged(logs_in: CredentialRef, others: Mapping[str, CredentialRef]) -> list[int]:
    """Whose secrets the way to the target and the login there cost a try, in the order of the locks."""
    tried = {other.account_id for role, other in others.items() if role in ("jump", "become")}
    return sorted({logs_in.account_id, *tried})


def _roles(row: Row[Any]) -> dict[str, int]:
    """Which other credentials log in, by role."""
    auth = row.auth_id
    if row.action == Action.RECONCILE:
        auth = row.reconcile_id or row.auth_id
    roles = {"auth": auth, "become": row.become_id, "jump": row.jump_credential_id}
    return {role: credential_id for role, credential_id in roles.items() if credential_id is not None}


def _lock(
    connection: Connection, row: Row[Any], own: CredentialRef, others: Mapping[str, CredentialRef]
) -> str | None:
    """Lock all accounts in the order of their ids; check that none is in another's way. Returns the own's
    identity."""
    ids = sorted({own.account_id, *(other.account_id for other in others.values())})
    rows = connection.execute(sql.LOCKED_ACCOUNTS, {"ids": ids})
    found = {account_id: (until, identity) for account_id, until, identity in rows}
    held, identity = found[own.account_id]
    if held is not None and held > row.moment:
        raise NotClaimed("another worker holds the account")
    logins = [account_id for account_id in ids if account_id != own.account_id]
    if logins and _being_changed(connection, logins, row):
        raise Postponed(row.id, "an account that logs in is being changed; that goes first", GOES_FIRST)
    if row.action in CHANGING and _in_use(connection, own.account_id, row.id):
        raise NotClaimed("other operations are logged in with the account")
    return None if identity is None else str(identity)


def _being_changed(connection: Connection, logins: list[int], row: Row[Any]) -> bool:
    """Only what can go first goes first: a change that is paused holds nobody up."""
    waiting = and_(
        operation.c.state == OperationState.SCHEDULED,
        operation.c.due <= row.moment,
        operation.c.id < row.id,
        operation.c.committed.is_(False),
        exists().where(device.c.id == operation.c.device_id, device.c.paused.is_(False)),
        literal(not (row.engine_paused or row.restored)),
    )
    statement = select(operation.c.id).where(
        operation.c.account_id.in_(logins),
        operation.c.action.in_(CHANGING),
        or_(operation.c.state.in_(LIVE), waiting),
    )
    return connection.execute(statement.limit(1)).first() is not None


def _in_use(connection: Connection, account_id: int, operation_id: int) -> bool:
    values = {"account": account_id, "which": operation_id}
    return connection.execute(sql.LOGGED_IN_ELSEWHERE, values).first() is not None


def _room_on_device(connection: Connection, row: Row[Any]) -> None:
    """The device's connection limit counts operations at work on it."""
    connection.execute(sql.LOCKED_DEVICE, {"which": row.device_id})
    busy = connection.execute(sql.AT_WORK_ON_DEVICE, {"device": row.device_id, "which": row.id}).scalar_one()
    if busy >= row.connection_limit:
        raise NotClaimed("the device's connection limit is reached")


class HandoverWanted(NotClaimed):
    """Secrets of another zone are needed; a worker there must re-seal them first."""

    def __init__(self, operation_id: int, zone_id: int, wants: Collection[Want]) -> None:
        super().__init__("waits: a worker of another zone must hand over a secret first")
        self.operation_id = operation_id
        self.zone_id = zone_id
        self.wants = wants


class BudgetSpent(NotClaimed):
    """The account that logs in has no try left in this window."""

    def __init__(self, operation_id: int, account_id: int, limits: Budget) -> None:
        super().__init__("the lockout budget of the account that logs in is spent for now")
        self.operation_id = operation_id
        self.account_id = account_id
        self.limits = limits


def _take(connection: Connection, own: CredentialRef, worker: str, lease: float) -> int:
    values = {"account": own.account_id, "lease_owner": worker, "lease": lease}
    epoch = connection.execute(sql.TAKE_ACCOUNT, values).scalar()
    if epoch is None:
        raise NotClaimed("another worker holds the account")
    return int(epoch)


def _share(connection: Connection, operation_id: int, others: Mapping[str, CredentialRef]) -> None:
    connection.execute(sql.UNSHARE, {"which": operation_id})
    ids = {other.account_id for other in others.values()}
    if ids:
        rows = [{"operation_id": operation_id, "account_id": account_id} for account_id in sorted(ids)]
        connection.execute(insert(shared_lease), rows)


def _start(
    connection: Connection,
    row: Row[Any],
    epoch: int,
    worker: str,
    lease: float,
    plan: Plan,
    logs_in: CredentialRef,
    name: str,
    reached: DeviceRef,
) -> int:
    template = plan.template
    pinned = {
        "template_id": template.id if template else None,
        "template_sha256": template.sha256 if template else None,
    }
    values = {"which": row.id, "before": row.state, "epoch": epoch, "lease": lease, "found": _found(row)}
    taken = connection.execute(sql.TAKE_OPERATION, {**values, **pinned}).scalar()
    if taken is None:
        raise NotClaimed("somebody else was faster")
    write_down(connection, row.id, row.state, OperationState.RUNNING, f"worker:{worker}", None)
    tell(connection, row.id, name, OperationState.RUNNING)
    begun = {
        "operation_id": row.id,
        "number": taken,
        "epoch": epoch,
        "worker": worker,
        "login": kept(logs_in.name, 255),
        "template_sha256": template.sha256 if template else None,
    }
    connection.execute(sql.BEGIN_ATTEMPT, begun)
    audit.write(
        connection,
        actor=f"worker:{worker}",
        action="operation.claimed",
        object=name,
        operation_id=row.id,
        epoch=epoch,
        details={"action": row.action, "attempt": int(taken), **reached.consents},
    )
    return int(taken)


def _found(row: Row[Any]) -> str | None:
    """The credential's state, as far as it is not this operation's own doing."""
    fresh = row.state == OperationState.SCHEDULED and row.credential_state != CredentialState.CHANGING
    return str(row.credential_state) if fresh else row.found


def _versions(
    connection: Connection, own: CredentialRef
) -> tuple[dict[int, SealedVersion], list[tuple[int, str]]]:
    """All versions by number that may be in force, and (number, status) newest first.

    Only a candidate that was never sent, and was dropped, is surely not in force.
    """
    rows = connection.execute(sql.POSSIBLE_VERSIONS, {"of": own.id}).all()
    versions = {n: SealedVersion(own, n, sealed, sealed_as) for n, _, sealed, sealed_as in rows}
    return versions, [(n, status) for n, status, *_ in rows]


def _current(connection: Connection, others: Mapping[str, CredentialRef]) -> dict[str, SealedVersion]:
    if not others:
        return {}
    ids = {other.id for other in others.values()}
    rows = connection.execute(sql.CURRENT_VERSIONS, {"ids": sorted(ids)})
    by_id = {credential_id: version for credential_id, *version in rows}
    return {
        role: SealedVersion(other, *by_id[other.id]) for role, other in others.items() if other.id in by_id
    }


def _parent(connection: Connection, row: Row[Any]) -> SealedVersion | None:
    if row.link != "same" or row.parent_version is None:
        return None
    found = sealed_version(connection, row.parent_id, row.parent_version)
    if found is None:  # without it the child would get a secret of its own
        raise LookupError(f"version {row.parent_version} of credential {row.parent_id} is gone")
    return found


def _opened_here(
    connection: Connection,
    row: Row[Any],
    plan: Plan,
    logins: Mapping[str, SealedVersion],
    parent: SealedVersion | None,
) -> tuple[dict[str, SealedVersion], SealedVersion | None]:
    """Secrets of other zones as this zone opens them, as far as the operation needs them. Raises
    HandoverWanted, NotAdmitted."""
    needed = _needed(Action(row.action), plan)
    wants: list[Want] = []

    def here(version: SealedVersion) -> SealedVersion:
        if version.credential.zone == row.zone:
            return version
        try:
            found = given(connection, version, row.zone_id, row.zone)
        except Refused as refused:
            raise NotAdmitted(
                f"the secret of {version.credential.name} is not to be had: {refused}"
            ) from None
        if found is None:
            wants.append(Want(version.credential.id, version.number))
        return found or version

    opened = {role: here(version) if role in needed else version for role, version in logins.items()}
    own_parent = here(parent) if parent is not None and "parent" in needed else parent
    if wants:
        raise HandoverWanted(row.id, row.zone_id, wants)
    return opened, own_parent


def _needed(action: Action, plan: Plan) -> Collection[str]:
    """Whose secrets it opens, besides its own: who only looks logs in with nobody else's, but to begin `su`
    with, and the parent's is for whoever makes a candidate."""
    if action is Action.VERIFY:
        return ("jump", "auth") if plan.proof is ProofKind.SU else ("jump",)
    logins = ("jump", "auth", "become")
    return logins if action in _GOALS else (*logins, "parent")


_GOALS = {
    Action.VERIFY: Goal.VERIFY,
    Action.ACTIVATE: Goal.ACTIVATE,
    Action.DEACTIVATE: Goal.DEACTIVATE,
    Action.REMOVE_OLD_SECRET: Goal.ACTIVATE,  # nothing new is sent; then the current secret opens
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
    if goal is not Goal.CHANGE and not sent:
        pending = (
            None  # an earlier change made it and never sent it; this operation has nothing to do with it
        )
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
        resends=0 if row.restored else max(0, RESENDS - row.resent),  # then every known version is probed
        regenerations=max(0, REGENERATIONS - row.regenerated),
        replaced=row.regenerated > 0,
        overlap=plan.overlaps,
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
            secret_version.c.parent_version.is_distinct_from(row.parent_version),
        )
        .values(status="unused")
    )


def _device(connection: Connection, device_id: int) -> DeviceRef:
    row = connection.execute(sql.DEVICE, {"which": device_id}).one()
    keys = connection.execute(sql.HOST_KEYS, {"which": device_id}).scalars()
    return DeviceRef(
        row.id,
        row.name,
        row.address,
        row.ports,
        row.domain,
        tuple(keys),
        row.cleartext,
        row.weak_algorithms,
    )


def _jump_device(connection: Connection, jump: CredentialRef | None) -> DeviceRef | None:
    if jump is None:
        return None
    device_id = select(credential.c.device_id).where(credential.c.id == jump.id)
    return _device(connection, connection.execute(device_id).scalar_one())


def _set_credential(connection: Connection, credential_id: int, state: CredentialState) -> None:
    connection.execute(sql.SET_CREDENTIAL, {"which": credential_id, "state": state, "reason": None})
