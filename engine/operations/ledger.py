"""What a worker writes about its claim. Every write first checks the fencing token; a stale worker writes
nothing.

Claiming (`engine.operations.claims`), renewing and these reports are the one port between workers and the
database.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, delete, exists, func, insert, or_, select, update

from engine.catalog.models import account, credential, device
from engine.catalog.states import CredentialState
from engine.operations import budget, claims
from engine.operations.claims import Claim
from engine.operations.errors import LeaseLost
from engine.operations.models import attempt, cascade, operation, request, shared_lease
from engine.operations.outcomes import FOLLOWING
from engine.operations.states import LIVE, OperationState, move
from engine.record import audit, outbox
from engine.rotation.protocol import Close, Goal, Mode, Result, Why
from engine.store.clock import now
from engine.store.database import Database
from engine.store.models import engine_state
from engine.templating.models import template
from engine.vault.journal import Record
from engine.vault.models import secret_version
from executors.contract import Outcome, StepRecord

MAX_DEPTH = 8
UNDECIDED_DELAY = 5.0  # seconds until an unreachable target is probed again; grows with the attempts
UNDECIDED_CAP = 600.0


@dataclass(frozen=True, slots=True)
class Tried:
    """How a charged try ended: it opened, was refused, or (None) was never judged."""

    account_id: int
    opened: bool | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an attempt leaves behind. `transcript` is sealed."""

    outcome: Outcome
    message: str = ""
    proof: str | None = None
    steps: Sequence[StepRecord] = ()
    transcript: bytes | None = None


@dataclass(frozen=True, slots=True)
class Marked:
    """`permitted` False: canceled, paused, expired or changed meanwhile; do not send."""

    permitted: bool
    charged: bool


class Ledger:
    """The port. One instance a worker process; thread-safe, because every call is one transaction."""

    def __init__(self, database: Database, worker: str, lease: float, margin: float) -> None:
        self._database = database
        self._worker = worker
        self._lease = lease
        self._margin = margin

    def claim(self, operation_id: int) -> Claim:
        """W0. Raises NotClaimed. A claim that waits for a lockout budget is postponed."""
        try:
            return claims.claim(self._database, operation_id, self._worker, self._lease, self._margin)
        except claims.BudgetSpent as spent:
            with self._database.writing() as connection:
                due = budget.next_try(connection, spent.account_id, spent.limits)
                connection.execute(
                    update(operation)
                    .where(operation.c.id == operation_id, operation.c.due <= now())
                    .values(due=due)
                )
            raise
        except claims.Unplannable as error:
            self._cannot_be_planned(error)
            raise

    def _cannot_be_planned(self, error: claims.Unplannable) -> None:
        """What was never begun fails with the reason; what is live waits for a person with it."""
        with self._database.writing() as connection:
            which = operation.c.id == error.operation_id
            connection.execute(
                update(operation)
                .where(which, operation.c.state.in_(LIVE))
                .values(needs_person=True, reason=str(error)[:1000], lease_until=None)
            )
            failed = connection.execute(
                select(operation.c.id).where(which, operation.c.state == OperationState.SCHEDULED)
            ).first()
            if failed is not None:
                move(
                    connection,
                    error.operation_id,
                    (OperationState.SCHEDULED,),
                    OperationState.FAILED,
                    f"worker:{self._worker}",
                    str(error)[:1000],
                    outcome=Outcome.BAD_TEMPLATE,
                    finished=now(),
                )

    def kept_waiting(self, operation_id: int, reason: str) -> None:
        """Say why an operation that nobody has begun is not begun. Written once, however often it is said."""
        with self._database.writing() as connection:
            connection.execute(
                update(operation)
                .where(operation.c.id == operation_id, operation.c.state == OperationState.SCHEDULED)
                .where(operation.c.reason.is_distinct_from(reason))
                .values(reason=reason)
            )

    def renew(self, claim: Claim) -> float:
        """Extend the lease; the new end on this host's CLOCK_BOOTTIME. Raises LeaseLost."""
        began = claims.boottime()
        with self._database.writing() as connection:
            self._guard(connection, claim)
            until = now() + self._lease
            connection.execute(
                update(account).where(account.c.id == claim.credential.account_id).values(lease_until=until)
            )
            connection.execute(
                update(operation).where(operation.c.id == claim.operation_id).values(lease_until=until)
            )
        return began + self._lease - self._margin

    def next_number(self, claim: Claim) -> int:
        with self._database.reading() as connection:
            highest = connection.execute(
                select(func.max(secret_version.c.number)).where(
                    secret_version.c.credential_id == claim.credential.id
                )
            ).scalar()
        return (highest or 0) + 1

    def journaled(
        self, claim: Claim, record: Record, replaces: int | None, parent_version: int | None
    ) -> None:
        """W1: the candidate, already in the escrow journal, becomes a row. Raises LeaseLost."""
        with self._database.writing() as connection:
            self._guard(connection, claim)
            if replaces is not None:
                _set_version(connection, claim, replaces, "unused")
                _note(connection, claim, regenerated=operation.c.regenerated + 1)
            connection.execute(
                insert(secret_version).values(
                    credential_id=claim.credential.id,
                    number=record.version,
                    status="candidate",
                    origin="generated" if parent_version is None else "parent",
                    sealed=record.sealed,
                    key_id=record.key_id,
                    digest=record.mark.digest,
                    parent_version=parent_version,
                    created=now(),
                )
            )
            _audit(connection, claim, "secret.candidate", details={"version": record.version})

    def marked(self, claim: Claim, number: int | None, tried: Sequence[Tried], probe: int | None) -> Marked:
        """W2: on every condition still holding, the candidate counts as sent from now on; the first
        probe is charged.

        Raises LeaseLost. `probe` is the account to charge, if any.
        """
        with self._database.writing() as connection:
            self._guard(connection, claim)
            _settle(connection, tried)
            if not _permitted(connection, claim):
                return Marked(permitted=False, charged=False)
            if number is not None:
                _count_resend(connection, claim, number)
                connection.execute(
                    update(secret_version)
                    .where(
                        secret_version.c.credential_id == claim.credential.id,
                        secret_version.c.number == number,
                        secret_version.c.status.in_(("candidate", "sent")),
                    )
                    .values(status="sent", maybe_sent=True, sent_at=now())
                )
            charged = probe is not None and budget.charge(connection, probe, claim.budget)
            _audit(connection, claim, "secret.sent", details={"version": number or 0})
            return Marked(permitted=True, charged=charged)

    def charged(self, claim: Claim, account_id: int, tried: Sequence[Tried]) -> bool:
        """Charge a try, after recording how earlier ones ended. False: nothing left. Raises LeaseLost."""
        with self._database.writing() as connection:
            self._guard(connection, claim)
            _settle(connection, tried)
            return budget.charge(connection, account_id, claim.budget)

    def committed(
        self, claim: Claim, number: int, tried: Sequence[Tried], evidence: Evidence, ends: bool
    ) -> None:
        """W3. Raises LeaseLost. A repeated call by the same claim changes nothing."""
        with self._database.writing() as connection:
            self._guard(connection, claim)
            if _is_current(connection, claim, number):
                return
            _settle(connection, tried)
            _promote(connection, claim, number, evidence.proof)
            _cascade(connection, claim, number)
            details = {"version": number, "proof": evidence.proof or ""}
            _audit(connection, claim, "secret.committed", Outcome.OK, details)
            _settle_credential(connection, claim, CredentialState.MANAGED)
            if ends:
                _end(connection, claim, OperationState.SUCCEEDED, evidence, None)
            else:
                connection.execute(
                    update(operation).where(operation.c.id == claim.operation_id).values(committed=True)
                )

    def adopted(self, claim: Claim, number: int, tried: Sequence[Tried], proof: str) -> None:
        """W4: an older version of ours opens; it becomes current, whatever is pending stays so. Raises
        LeaseLost."""
        with self._database.writing() as connection:
            self._guard(connection, claim)
            _settle(connection, tried)
            _promote(connection, claim, number, proof)
            _audit(connection, claim, "secret.adopted", details={"version": number, "proof": proof})

    def identified(self, claim: Claim, identity: str) -> str:
        """Record the account's immutable id at its first proof; returns the one on record."""
        with self._database.writing() as connection:
            self._guard(connection, claim)
            connection.execute(
                update(account)
                .where(account.c.id == claim.credential.account_id, account.c.identity.is_(None))
                .values(identity=identity)
            )
            known = select(account.c.identity).where(account.c.id == claim.credential.account_id)
            return str(connection.execute(known).scalar_one())

    def closed(
        self, claim: Claim, close: Close, tried: Sequence[Tried], evidence: Evidence
    ) -> OperationState:
        """The end of a claim, whatever it is. Raises LeaseLost."""
        with self._database.writing() as connection:
            self._guard(connection, claim)
            _settle(connection, tried)
            if close.discard is not None:
                _set_version(connection, claim, close.discard, "unused")
            return _CLOSERS[close.result](connection, claim, close, evidence)

    def _guard(self, connection: Connection, claim: Claim) -> None:
        """The fencing token must be the newest: (incarnation, epoch). Locks the account's row. Raises LeaseLost."""
        row = connection.execute(
            select(account.c.epoch, engine_state.c.incarnation)
            .join(engine_state, engine_state.c.id == 1)
            .where(account.c.id == claim.credential.account_id)
            .with_for_update(of=account)
        ).one()
        if tuple(row) != (claim.epoch, claim.incarnation):
            raise LeaseLost(f"operation {claim.operation_id} was taken over")


# Guards


def _permitted(connection: Connection, claim: Claim) -> bool:
    """All conditions of W2 in one statement, which also proves that the lease still holds."""
    conditions = [
        operation.c.id == claim.operation_id,
        operation.c.state == OperationState.RUNNING,
        operation.c.epoch == claim.epoch,
        operation.c.lease_until > now(),
        operation.c.cancel_requested.is_(False),
        or_(operation.c.expires.is_(None), operation.c.expires > now()),
        exists().where(engine_state.c.paused.is_(False), engine_state.c.restored.is_(False)),
        exists().where(device.c.id == operation.c.device_id, device.c.paused.is_(False)),
        exists().where(
            credential.c.id == operation.c.credential_id,
            credential.c.state.not_in(
                (CredentialState.SUSPENDED, CredentialState.UNMANAGED, CredentialState.RETIRED)
            ),
        ),
    ]
    if claim.plan.template is not None:
        conditions.append(
            exists().where(
                template.c.id == operation.c.template_id,
                template.c.sha256 == operation.c.template_sha256,
                template.c.retired.is_(False),
            )
        )
    statement = (
        update(operation).where(and_(*conditions)).values(refused=[], reply=None).returning(operation.c.id)
    )
    return connection.execute(statement).first() is not None


# Pieces


def _count_resend(connection: Connection, claim: Claim, number: int) -> None:
    """Counted for the operation: counted anew by each claim, resending would never end."""
    sent_before = (
        select(func.count())
        .where(
            secret_version.c.credential_id == claim.credential.id,
            secret_version.c.number == number,
            secret_version.c.status == "sent",
        )
        .scalar_subquery()
    )
    _note(connection, claim, resent=operation.c.resent + sent_before)


def _settle(connection: Connection, tried: Sequence[Tried]) -> None:
    for one in tried:
        budget.settle(connection, one.account_id, one.opened)


def _audit(
    connection: Connection,
    claim: Claim,
    action: str,
    outcome: Outcome | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    audit.write(
        connection,
        actor=f"worker:{claim.worker}",
        action=action,
        object=claim.credential.name,
        operation_id=claim.operation_id,
        epoch=claim.epoch,
        outcome=outcome,
        details=details,
    )


def _set_version(connection: Connection, claim: Claim, number: int, status: str, **values: Any) -> None:
    connection.execute(
        update(secret_version)
        .where(secret_version.c.credential_id == claim.credential.id, secret_version.c.number == number)
        .values(status=status, **values)
    )


def _is_current(connection: Connection, claim: Claim, number: int) -> bool:
    """The reply to an earlier call of ours was lost; it did commit."""
    status = connection.execute(
        select(secret_version.c.status).where(
            secret_version.c.credential_id == claim.credential.id, secret_version.c.number == number
        )
    ).scalar()
    return status == "current"


def _promote(connection: Connection, claim: Claim, number: int, proof: str | None) -> None:
    """`number` becomes current; what was current becomes previous, what was previous becomes history."""
    mine = secret_version.c.credential_id == claim.credential.id
    for before, after in (("previous", "history"), ("current", "previous")):
        connection.execute(
            update(secret_version)
            .where(mine, secret_version.c.status == before, secret_version.c.number != number)
            .values(status=after)
        )
    _set_version(connection, claim, number, "current", proof=proof, proven_at=now())


def _settle_credential(
    connection: Connection, claim: Claim, state: CredentialState, reason: str | None = None
) -> None:
    """Set the credential's state; `managed` needs a person's `enable`, otherwise it stays `unverified`.

    What a person stopped meanwhile stays stopped.
    """
    stopped = (CredentialState.SUSPENDED, CredentialState.UNMANAGED, CredentialState.RETIRED)
    row = credential.c.id == claim.credential.id
    if state is CredentialState.MANAGED:
        enabled = connection.execute(select(credential.c.enabled).where(row)).scalar_one()
        state = CredentialState.MANAGED if enabled else CredentialState.UNVERIFIED
    connection.execute(
        update(credential)
        .where(row, credential.c.state.not_in(stopped))
        .values(state=state, reason=reason, since=now())
    )


def _cascade(connection: Connection, claim: Claim, number: int) -> None:
    """One row, however many children there are; a tick expands it."""
    has_children = select(credential.c.id).where(credential.c.parent_id == claim.credential.id).limit(1)
    if connection.execute(has_children).first() is None:
        return
    depth = 0
    if claim.parent_operation_id is not None:
        above = select(func.max(cascade.c.depth)).where(cascade.c.operation_id == claim.parent_operation_id)
        depth = (connection.execute(above).scalar() or 0) + 1
    if depth >= MAX_DEPTH:
        _audit(connection, claim, "cascade.stopped", details={"depth": depth})
        return
    connection.execute(
        insert(cascade).values(
            credential_id=claim.credential.id, version=number, operation_id=claim.operation_id, depth=depth
        )
    )


def _end(
    connection: Connection, claim: Claim, state: OperationState, evidence: Evidence, reason: str | None
) -> OperationState:
    """The operation ends here, or waits; the account is free either way, the attempt is complete."""
    _finish_attempt(connection, claim, evidence)
    ended = state in (OperationState.SUCCEEDED, OperationState.FAILED, OperationState.CANCELED)
    move(
        connection,
        claim.operation_id,
        (OperationState.RUNNING,),
        state,
        f"worker:{claim.worker}",
        reason,
        outcome=evidence.outcome,
        lease_until=None,
        finished=now() if ended else None,
    )
    _release(connection, claim)
    _audit(connection, claim, f"operation.{state}", evidence.outcome, {"reason": reason or ""})
    _notify(connection, claim, state, evidence)
    return state


def _finish_attempt(connection: Connection, claim: Claim, evidence: Evidence) -> None:
    steps = [[s.line, s.shown, s.outcome.value, s.milliseconds] for s in evidence.steps]
    connection.execute(
        update(attempt)
        .where(attempt.c.operation_id == claim.operation_id, attempt.c.epoch == claim.epoch)
        .values(
            outcome=evidence.outcome,
            message=evidence.message[:1000],
            proof=evidence.proof,
            steps=steps,
            transcript=evidence.transcript,
            finished=now(),
        )
    )


def _release(connection: Connection, claim: Claim) -> None:
    connection.execute(
        update(account)
        .where(account.c.id == claim.credential.account_id, account.c.epoch == claim.epoch)
        .values(lease_owner=None, lease_until=None)
    )
    connection.execute(delete(shared_lease).where(shared_lease.c.operation_id == claim.operation_id))


def _notify(connection: Connection, claim: Claim, state: OperationState, evidence: Evidence) -> None:
    """Every requester hears each state, those that joined too."""
    payload = {
        "credential": claim.credential.name,
        "action": claim.action.value,
        "state": state.value,
        "outcome": evidence.outcome.value,
    }
    callbacks = connection.execute(
        select(request.c.callback).where(
            request.c.operation_id == claim.operation_id, request.c.callback.is_not(None)
        )
    ).scalars()
    outbox.notice(connection, f"operation.{state}", payload, claim.operation_id)
    for callback in callbacks:
        outbox.notice(connection, "operation.requester", payload, claim.operation_id, callback)


# Ends of a claim, by result


def _succeeded(connection: Connection, claim: Claim, close: Close, evidence: Evidence) -> OperationState:
    state = CredentialState.INACTIVE if claim.facts.goal is Goal.DEACTIVATE else CredentialState.MANAGED
    if claim.facts.goal is Goal.VERIFY:
        mine = and_(
            secret_version.c.credential_id == claim.credential.id, secret_version.c.status == "current"
        )
        connection.execute(update(secret_version).where(mine).values(proof=evidence.proof, proven_at=now()))
    _settle_credential(connection, claim, state)
    return _end(connection, claim, OperationState.SUCCEEDED, evidence, None)


def _adopted(connection: Connection, claim: Claim, close: Close, evidence: Evidence) -> OperationState:
    _settle_credential(connection, claim, CredentialState.MANAGED)
    reason = "an older version of ours was in force; it is current again"
    return _end(connection, claim, OperationState.SUCCEEDED, evidence, reason)


def _drifted(connection: Connection, claim: Claim, close: Close, evidence: Evidence) -> OperationState:
    reason = "no stored version opens the account; set its secret, or reconcile it"
    _settle_credential(connection, claim, CredentialState.DRIFTED, reason)
    return _end(connection, claim, OperationState.FAILED, evidence, reason)


def _failed(connection: Connection, claim: Claim, close: Close, evidence: Evidence) -> OperationState:
    following = FOLLOWING[evidence.outcome]
    reason = evidence.message or following.advice
    if following.suspend:
        _settle_credential(
            connection, claim, CredentialState.SUSPENDED, f"{evidence.outcome}: {following.advice}"
        )
    elif evidence.outcome is Outcome.BAD_LOGIN and claim.facts.mode is Mode.SELF:
        _settle_credential(connection, claim, CredentialState.DRIFTED, "its own secret was refused")
    else:
        _settle_credential(connection, claim, _before(connection, claim))
    return _end(connection, claim, OperationState.FAILED, evidence, reason)


def _canceled(connection: Connection, claim: Claim, close: Close, evidence: Evidence) -> OperationState:
    _settle_credential(connection, claim, _before(connection, claim))
    reason = "canceled, paused or no longer allowed before anything was sent"
    return _end(connection, claim, OperationState.CANCELED, evidence, reason)


def _retried(connection: Connection, claim: Claim, close: Close, evidence: Evidence) -> OperationState:
    """Nothing was sent. The same candidate is used again; the last attempt drops it, which is safe only here."""
    retry = claim.plan.policy.retry
    waits = close.why in (Why.BUDGET, Why.LOCKED)
    if claim.attempts >= retry.attempts and not waits:
        if claim.facts.goal is Goal.CHANGE:
            _drop_unsent(connection, claim)
        return _failed(connection, claim, close, evidence)
    due = _window_end(connection, claim) if waits else now() + retry.delay(claim.attempts, _RANDOM)
    _settle_credential(connection, claim, _before(connection, claim))
    state = _end(connection, claim, OperationState.SCHEDULED, evidence, evidence.message or None)
    _note(connection, claim, due=due, refused=sorted(close.refused), reply=close.reply)
    return state


def _in_doubt(connection: Connection, claim: Claim, close: Close, evidence: Evidence) -> OperationState:
    waits = close.why in (Why.BUDGET, Why.LOCKED)
    delay = min(UNDECIDED_CAP, UNDECIDED_DELAY * 2.0 ** min(claim.attempts - 1, 10))
    due = _window_end(connection, claim) if waits else now() + delay
    reason = f"sent, and not yet known what is in force: {evidence.message or close.why}"
    _settle_credential(connection, claim, CredentialState.IN_DOUBT, reason[:500])
    state = _end(connection, claim, OperationState.IN_DOUBT, evidence, reason)
    _note(connection, claim, due=due, refused=sorted(close.refused), reply=close.reply)
    return state


def _needs_person(connection: Connection, claim: Claim, close: Close, evidence: Evidence) -> OperationState:
    reason = "sent, and no stored version opens the account; verify again, reconcile, or set its secret"
    _settle_credential(connection, claim, CredentialState.IN_DOUBT, reason)
    state = _end(connection, claim, OperationState.IN_DOUBT, evidence, reason)
    _note(connection, claim, needs_person=True, refused=[], reply=None)
    outbox.notice(
        connection, "operation.needs_person", {"credential": claim.credential.name}, claim.operation_id
    )
    return state


def _not_saved(connection: Connection, claim: Claim, close: Close, evidence: Evidence) -> OperationState:
    """The change is proven and current. Saving is tried again; when that is given up, the outcome says so."""
    outbox.notice(
        connection, "operation.not_saved", {"credential": claim.credential.name}, claim.operation_id
    )
    retry = claim.plan.policy.retry
    if claim.attempts >= retry.attempts:
        return _end(
            connection, claim, OperationState.SUCCEEDED, evidence, "in force, but not saved on the device"
        )
    state = _end(connection, claim, OperationState.SCHEDULED, evidence, "not saved yet")
    _note(connection, claim, due=now() + retry.delay(claim.attempts, _RANDOM))
    return state


def _before(connection: Connection, claim: Claim) -> CredentialState:
    """What the credential was before this change: its current version was proven, or it never was."""
    proven = connection.execute(
        select(secret_version.c.proven_at).where(
            secret_version.c.credential_id == claim.credential.id, secret_version.c.status == "current"
        )
    ).scalar()
    return CredentialState.MANAGED if proven is not None else CredentialState.UNVERIFIED


def _drop_unsent(connection: Connection, claim: Claim) -> None:
    connection.execute(
        update(secret_version)
        .where(secret_version.c.credential_id == claim.credential.id, secret_version.c.status == "candidate")
        .values(status="unused")
    )


def _window_end(connection: Connection, claim: Claim) -> float:
    _, end = budget.left(connection, claim.credential.account_id, claim.budget)
    return end


def _note(connection: Connection, claim: Claim, **values: Any) -> None:
    connection.execute(update(operation).where(operation.c.id == claim.operation_id).values(**values))


_RANDOM = random.SystemRandom()

_CLOSERS = {
    Result.SUCCEEDED: _succeeded,
    Result.NOT_SAVED: _not_saved,
    Result.ADOPTED: _adopted,
    Result.DRIFTED: _drifted,
    Result.FAILED: _failed,
    Result.RETRY: _retried,
    Result.CANCELED: _canceled,
    Result.IN_DOUBT: _in_doubt,
    Result.NEEDS_PERSON: _needs_person,
}
