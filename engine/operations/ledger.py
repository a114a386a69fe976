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

from sqlalchemy import Connection, Row, func, insert, select, update

from engine.catalog.models import account
from engine.catalog.states import Action, CredentialState, allowed
from engine.operations import budget, claims, trials
from engine.operations import statements as sql
from engine.operations.claims import Claim
from engine.operations.errors import LeaseLost, NumberTaken, Postponed
from engine.operations.models import cascade, operation
from engine.operations.notices import tell, tell_also
from engine.operations.outcomes import FOLLOWING
from engine.operations.requests import Ask, insert_operation
from engine.operations.states import TERMINAL, OperationState, move
from engine.operations.texts import kept
from engine.record import audit
from engine.rotation.protocol import Close, Goal, Mode, Reply, Result, Why
from engine.store.clock import now
from engine.store.database import Database
from engine.vault import handover
from engine.vault.journal import Record
from engine.vault.models import secret_version
from executors.contract import Outcome, StepRecord

MAX_DEPTH = 8
UNDECIDED_DELAY = 5.0  # seconds until an unreachable target is probed again; grows with the attempts
UNDECIDED_CAP = 600.0
UNDO_MARGIN = 60.0  # seconds after a target should have taken a change back
HANDED_OVER_IN = 1.0  # seconds until an operation looks again for a secret of another zone


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
    settles_in: float = 0.0  # seconds until what was sent shows on the target


class Ledger:
    """The port. One instance a worker process; thread-safe, because every call is one transaction."""

    def __init__(self, database: Database, worker: str, zone: str, lease: float, margin: float) -> None:
        self._database = database
        self._worker = worker
        self._zone = zone
        self._lease = lease
        self._margin = margin

    def claim(self, operation_id: int) -> Claim:
        """W0. Raises NotClaimed. A claim that waits for a lockout budget is postponed."""
        try:
            return claims.claim(
                self._database, operation_id, self._worker, self._zone, self._lease, self._margin
            )
        except claims.BudgetSpent as spent:
            with self._database.writing() as connection:
                due = budget.next_try(connection, spent.account_id, spent.limits)
                connection.execute(sql.POSTPONE, {"which": operation_id, "due": due})
            raise
        except claims.HandoverWanted as wanted:
            with self._database.writing() as connection:
                handover.ask(connection, wanted.wants, operation_id, wanted.zone_id)
                _say(connection, operation_id, str(wanted))
                due = connection.execute(select(now() + HANDED_OVER_IN)).scalar_one()
                connection.execute(sql.POSTPONE, {"which": operation_id, "due": due})
            raise
        except Postponed as postponed:
            with self._database.writing() as connection:
                due = connection.execute(select(now() + postponed.seconds)).scalar_one()
                connection.execute(sql.POSTPONE, {"which": operation_id, "due": due})
            raise
        except claims.Unplannable as error:
            self._cannot_be_planned(error)
            raise

    def _cannot_be_planned(self, error: claims.Unplannable) -> None:
        """What sent nothing fails with the reason; what may have changed something waits for a person with
        it."""
        by = f"worker:{self._worker}"
        with self._database.writing() as connection:
            row = connection.execute(sql.FREE_OPERATION, {"which": error.operation_id}).first()
            if row is None:
                return
            after = _stopped(connection, row, error, by)
            told = "needs_person" if after is OperationState.IN_DOUBT else after
            name = connection.execute(sql.NAME, {"which": row.credential_id}).scalar_one()
            audit.write(
                connection,
                actor=by,
                action=f"operation.{told}",
                object=name,
                operation_id=row.id,
                outcome=error.outcome,
                details={"reason": kept(str(error))},
            )
            tell(connection, row.id, name, after, error.outcome)

    def kept_waiting(self, operation_id: int, reason: str) -> None:
        """Say why an operation that nobody has begun is not begun. Written once, however often it is said."""
        with self._database.writing() as connection:
            _say(connection, operation_id, reason)

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
            highest = connection.execute(sql.NEWEST_NUMBER, {"of": claim.credential.id}).scalar()
        return (highest or 0) + 1

    def journaled(
        self, claim: Claim, record: Record, replaces: int | None, parent_version: int | None
    ) -> None:
        """W1: the candidate, already in the escrow journal, becomes a row. Raises LeaseLost, NumberTaken."""
        with self._database.writing() as connection:
            self._guard(connection, claim)
            newest = connection.execute(sql.NEWEST_NUMBER, {"of": claim.credential.id}).scalar() or 0
            if newest >= record.version:
                raise NumberTaken(f"{claim.credential.name} has a version {newest} already")
            if replaces is not None:
                _set_version(connection, claim, replaces, "unused")
                _note(connection, claim, regenerated=operation.c.regenerated + 1)
            version = {
                "credential_id": claim.credential.id,
                "number": record.version,
                "status": "candidate",
                "origin": "generated" if parent_version is None else "parent",
                "sealed": record.sealed,
                "key_id": record.key_id,
                "digest": record.mark.digest,
                "parent_version": parent_version,
            }
            connection.execute(sql.ADD_VERSION, version)
            _audit(connection, claim, "secret.candidate", details={"version": record.version})

    def marked(self, claim: Claim, number: int | None, tried: Sequence[Tried]) -> bool:
        """W2: on every condition still holding, the candidate counts as sent from now on.

        False: canceled, paused, expired or changed meanwhile; do not send. Raises LeaseLost.
        """
        with self._database.writing() as connection:
            self._lock(connection, claim, tried)
            self._guard(connection, claim)
            _settle(connection, tried)
            if not _permitted(connection, claim, number):
                return False
            if number is not None:
                _count_resend(connection, claim, number)
                _forget_evidence(connection, claim)
                connection.execute(sql.MARK_SENT, {"of": claim.credential.id, "which": number})
            _audit(connection, claim, "secret.sent", details={"version": number or 0})
            return True

    def charged(
        self, claim: Claim, account_id: int, tried: Sequence[Tried], heard: Reply | None = None
    ) -> bool:
        """Charge a try, after recording how earlier ones ended and what the change request was told (W2b).

        False: nothing is left. Raises LeaseLost.
        """
        with self._database.writing() as connection:
            self._lock(connection, claim, tried, account_id)
            self._guard(connection, claim)
            _settle(connection, tried)
            if heard is not None:
                _note(connection, claim, reply=heard)
            return budget.charge(connection, account_id, claim.budgets[account_id])

    def committed(
        self, claim: Claim, number: int, tried: Sequence[Tried], evidence: Evidence, ends: bool
    ) -> None:
        """W3. Raises LeaseLost. A repeated call by the same claim changes nothing."""
        with self._database.writing() as connection:
            self._lock(connection, claim, tried)
            self._guard(connection, claim)
            if _status(connection, claim, number) == "current":
                return  # the reply to an earlier call of ours was lost; it did commit
            _settle(connection, tried)
            _promote(connection, claim, number, evidence.proof)
            _cascade(connection, claim, number)
            _remove_old_later(connection, claim)
            details = {"version": number, "proof": evidence.proof or ""}
            _audit(connection, claim, "secret.committed", Outcome.OK, details)
            _settle_credential(connection, claim, CredentialState.MANAGED)
            if ends:
                _end(connection, claim, OperationState.SUCCEEDED, evidence, None)
            else:
                connection.execute(sql.OPERATION, {"which": claim.operation_id, "committed": True})

    def adopted(self, claim: Claim, number: int, tried: Sequence[Tried], proof: str) -> None:
        """W4: an older version of ours opens; it becomes current, whatever is pending stays so. Raises
        LeaseLost."""
        with self._database.writing() as connection:
            self._lock(connection, claim, tried)
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
            self._lock(connection, claim, tried)
            self._guard(connection, claim)
            _settle(connection, tried)
            if close.discard is not None:
                _set_version(connection, claim, close.discard, "unused")
            return _CLOSERS[close.result](connection, claim, close, evidence)

    def _lock(
        self, connection: Connection, claim: Claim, tried: Sequence[Tried], charged: int | None = None
    ) -> None:
        """All accounts that are written here, in the order in which claims lock them too."""
        ids = {claim.credential.account_id, *(one.account_id for one in tried)}
        if charged is not None:
            ids.add(charged)
        if len(ids) > 1:
            connection.execute(sql.LOCKED_ACCOUNTS, {"ids": sorted(ids)}).all()

    def _guard(self, connection: Connection, claim: Claim) -> None:
        """The fencing token must be the newest: (incarnation, epoch). Locks account and credential.

        Raises LeaseLost.
        """
        token_of = {"account": claim.credential.account_id, "which": claim.credential.id}
        row = connection.execute(sql.TOKEN, token_of).one()
        if tuple(row) != (claim.epoch, claim.incarnation):
            raise LeaseLost(f"operation {claim.operation_id} was taken over")


# Guards


def _say(connection: Connection, operation_id: int, reason: str) -> None:
    connection.execute(
        update(operation)
        .where(operation.c.id == operation_id, operation.c.state == OperationState.SCHEDULED)
        .where(operation.c.reason.is_distinct_from(reason))
        .values(reason=kept(reason))
    )


def _permitted(connection: Connection, claim: Claim, number: int | None) -> bool:
    """All conditions of W2 in one statement, which also proves that the lease still holds.

    To send the same candidate again needs less: the permission was used when it was sent first.
    """
    again = number is not None and _status(connection, claim, number) == "sent"
    template = claim.plan.template is not None
    values = {"which": claim.operation_id, "token": claim.epoch}
    return connection.execute(sql.PERMITTED[again, template], values).first() is not None


# Pieces


def _count_resend(connection: Connection, claim: Claim, number: int) -> None:
    """Counted for the operation: counted anew by each claim, resending would never end."""
    values = {"which": claim.operation_id, "of": claim.credential.id, "version": number}
    connection.execute(sql.COUNT_RESEND, values)


def _forget_evidence(connection: Connection, claim: Claim) -> None:
    """What a waiting verification of the credential has seen refused may be in force from now on."""
    connection.execute(sql.FORGET_EVIDENCE, {"of": claim.credential.id})


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


def _set_version(connection: Connection, claim: Claim, number: int, status: str) -> None:
    values = {"of": claim.credential.id, "which": number, "status": status}
    connection.execute(sql.SET_VERSION, values)


def _status(connection: Connection, claim: Claim, number: int) -> str | None:
    values = {"of": claim.credential.id, "which": number}
    return connection.execute(sql.STATUS_OF_VERSION, values).scalar()


def _promote(connection: Connection, claim: Claim, number: int, proof: str | None) -> None:
    """`number` becomes current; what was current becomes previous, what was previous becomes history."""
    mine = {"of": claim.credential.id, "which": number}
    for before, after in (("previous", "history"), ("current", "previous")):
        connection.execute(sql.AGE_VERSIONS, {**mine, "before": before, "status": after})
    connection.execute(sql.PROVE_VERSION, {**mine, "proof": proof})


def _settle_credential(
    connection: Connection, claim: Claim, state: CredentialState, reason: str | None = None
) -> None:
    """Set the credential's state; `managed` needs a person's `enable`, otherwise it stays `unverified`.

    What a person stopped meanwhile stays stopped, and what was deactivated so: the table of states says
    which.
    `since` is kept where nothing changes, so that a proof made in this state counts.
    """
    which = claim.credential.id
    row = connection.execute(sql.CREDENTIAL_STATE, {"which": which}).one()
    if state is CredentialState.MANAGED and not row.enabled:
        state = CredentialState.UNVERIFIED
    if row.state != state and allowed(CredentialState(row.state), state):
        connection.execute(sql.SET_CREDENTIAL, {"which": which, "state": state, "reason": reason})


def _stopped(
    connection: Connection, row: Row[*tuple[Any, ...]], error: claims.Unplannable, by: str
) -> OperationState:
    """Move an operation that cannot go on, and its credential with it."""
    state, reason = OperationState(row.state), str(error)
    if state is OperationState.IN_DOUBT:
        connection.execute(sql.OPERATION, {"which": row.id, "needs_person": True, "reason": kept(reason)})
        return state
    sent = connection.execute(sql.ANY_SENT, {"of": row.credential_id}).first() is not None
    live = state is OperationState.RUNNING and sent
    after = OperationState.IN_DOUBT if live else OperationState.FAILED
    ends: dict[str, Any] = {"needs_person": True} if live else {"finished": now()}
    ends |= {"outcome": error.outcome, "lease_until": None}
    move(connection, row.id, (state,), after, by, reason, **ends)
    _put_back(connection, row, after, reason)
    return after


def _put_back(connection: Connection, row: Row[*tuple[Any, ...]], after: OperationState, reason: str) -> None:
    """Outside a claim: the credential as the operation found it, or in doubt."""
    in_doubt = after is OperationState.IN_DOUBT
    state = CredentialState.IN_DOUBT if in_doubt else row.found
    if state is not None:
        values = {"state": state, "reason": kept(reason, 500) if in_doubt else None}
        connection.execute(sql.UNSETTLED_CREDENTIAL, {"which": row.credential_id, **values})


def _overtaken(connection: Connection, claim: Claim) -> bool:
    """Whether a person has set the secret since the claim: what was tried then says nothing of it."""
    current = claim.facts.current
    return current is not None and _status(connection, claim, current) != "current"


def _cascade(connection: Connection, claim: Claim, number: int) -> None:
    """One row, however many children there are; a tick expands it."""
    if connection.execute(sql.ANY_CHILD, {"which": claim.credential.id}).first() is None:
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


def _remove_old_later(connection: Connection, claim: Claim) -> None:
    """Where the target keeps what was replaced, an operation removes it once the overlap has ended.

    There is one such operation a credential, and the newest change puts it off: its overlap is the last to
    end.
    """
    if not claim.plan.removes_old or (claim.facts.current is None and not claim.facts.history):
        return
    due = connection.execute(select(now() + claim.plan.overlap_seconds)).scalar_one()
    ask = Ask(
        credential_id=claim.credential.id,
        action=Action.REMOVE_OLD_SECRET,
        requester=f"operation:{claim.operation_id}",
        trigger="secret_replaced",
        due=due,
        parent_operation_id=claim.operation_id,
    )
    asked = insert_operation(connection, ask)
    if asked.joined:
        connection.execute(sql.OPERATION, {"which": asked.operation_id, "due": due})


def _end(
    connection: Connection, claim: Claim, state: OperationState, evidence: Evidence, reason: str | None
) -> OperationState:
    """The operation ends here, or waits; the account is free either way, the attempt is complete."""
    _finish_attempt(connection, claim, evidence)
    ended = state in TERMINAL
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
    _audit(connection, claim, f"operation.{state}", evidence.outcome, {"reason": kept(reason or "")})
    tell(connection, claim.operation_id, claim.credential.name, state, evidence.outcome)
    return state


def _tell_attempt_failed(connection: Connection, claim: Claim, evidence: Evidence) -> None:
    """An attempt that failed is no operation that failed: that one goes on."""
    name = claim.credential.name
    tell_also(connection, "attempt.failed", claim.operation_id, name, outcome=evidence.outcome.value)


def _finish_attempt(connection: Connection, claim: Claim, evidence: Evidence) -> None:
    steps = [[s.line, kept(s.shown), s.outcome.value, s.milliseconds] for s in evidence.steps]
    values = {
        "outcome": evidence.outcome,
        "message": kept(evidence.message),
        "proof": evidence.proof,
        "steps": steps,
        "transcript": evidence.transcript,
    }
    connection.execute(sql.FINISH_ATTEMPT, {"which": claim.operation_id, "token": claim.epoch, **values})


def _release(connection: Connection, claim: Claim) -> None:
    held = {"account": claim.credential.account_id, "token": claim.epoch}
    connection.execute(sql.FREE_ACCOUNT, held)
    connection.execute(sql.UNSHARE, {"which": claim.operation_id})


# Ends of a claim, by result


def _succeeded(
    connection: Connection,
    claim: Claim,
    close: Close,  # noqa: ARG001 - all ends have one shape
    evidence: Evidence,
) -> OperationState:
    if claim.facts.goal is Goal.VERIFY:
        return _verified(connection, claim, evidence)
    trials.record(connection, claim.plan, claim.credential.name, claim.operation_id, claim.requester)
    deactivated = claim.facts.goal is Goal.DEACTIVATE
    _settle_credential(
        connection, claim, CredentialState.INACTIVE if deactivated else CredentialState.MANAGED
    )
    return _end(connection, claim, OperationState.SUCCEEDED, evidence, None)


def _verified(connection: Connection, claim: Claim, evidence: Evidence) -> OperationState:
    """The version that was tried is proven, which need not be the current one any more."""
    which = {"of": claim.credential.id, "which": claim.facts.current}
    connection.execute(sql.SET_VERSION.values(proven_at=now()), {**which, "proof": evidence.proof})
    before = connection.execute(sql.CREDENTIAL_STATE, {"which": claim.credential.id}).one().state
    still_off = before == CredentialState.INACTIVE and evidence.proof == "restricted"
    if not (still_off or _overtaken(connection, claim)):
        _settle_credential(connection, claim, CredentialState.MANAGED)
    return _end(connection, claim, OperationState.SUCCEEDED, evidence, None)


def _adopted(
    connection: Connection,
    claim: Claim,
    close: Close,  # noqa: ARG001 - all ends have one shape
    evidence: Evidence,
) -> OperationState:
    _settle_credential(connection, claim, CredentialState.MANAGED)
    reason = "an older version of ours was in force; it is current again"
    return _end(connection, claim, OperationState.SUCCEEDED, evidence, reason)


def _drifted(
    connection: Connection,
    claim: Claim,
    close: Close,  # noqa: ARG001 - all ends have one shape
    evidence: Evidence,
) -> OperationState:
    reason = "no stored version opens the account; set its secret, or reconcile it"
    if not _overtaken(connection, claim):
        _settle_credential(connection, claim, CredentialState.DRIFTED, reason)
    return _end(connection, claim, OperationState.FAILED, evidence, reason)


def _failed(connection: Connection, claim: Claim, close: Close, evidence: Evidence) -> OperationState:
    following = FOLLOWING[evidence.outcome]
    reason = evidence.message or following.advice
    at_login = (
        evidence.outcome is Outcome.BAD_LOGIN and close.why is Why.REPLY and claim.facts.goal is Goal.CHANGE
    )
    if close.why is Why.PROVEN_UNUSED:  # and an older version opens
        _settle_credential(connection, claim, CredentialState.MANAGED)
    if following.suspend:
        why = f"{evidence.outcome}: {following.advice}"
        _settle_credential(connection, claim, CredentialState.SUSPENDED, why)
    elif at_login and claim.facts.mode is Mode.SELF and not _overtaken(connection, claim):
        _settle_credential(connection, claim, CredentialState.DRIFTED, "its own secret was refused")
    elif close.why is not Why.PROVEN_UNUSED:
        _leave(connection, claim)
    if at_login and claim.facts.mode is Mode.RESET:
        _look_at(connection, claim, claim.logins["auth"].credential.id)
    if claim.action is Action.REMOVE_OLD_SECRET and not following.suspend:
        _look_at(connection, claim, claim.credential.id)
    return _end(connection, claim, OperationState.FAILED, evidence, reason)


def _look_at(connection: Connection, claim: Claim, credential_id: int) -> None:
    """Whether an account has really another secret than ours shows its own verification."""
    ask = Ask(
        credential_id=credential_id,
        action=Action.VERIFY,
        requester=f"operation:{claim.operation_id}",
        trigger="removal_failed" if credential_id == claim.credential.id else "login_refused",
    )
    insert_operation(connection, ask)


def _canceled(
    connection: Connection,
    claim: Claim,
    close: Close,  # noqa: ARG001 - all ends have one shape
    evidence: Evidence,
) -> OperationState:
    """What a person called off, or what came too late, ends; what is only paused waits."""
    _leave(connection, claim)
    row = connection.execute(sql.CALLED_OFF, {"which": claim.operation_id}).one()
    if row.cancel_requested:
        return _end(connection, claim, OperationState.CANCELED, evidence, "canceled before anything was sent")
    if row.expired:
        return _end(connection, claim, OperationState.EXPIRED, evidence, "not sent in time")
    reason = "paused or changed before anything was sent"
    return _end(connection, claim, OperationState.SCHEDULED, evidence, reason)


def _retried(connection: Connection, claim: Claim, close: Close, evidence: Evidence) -> OperationState:
    """Nothing was sent. The same candidate is used again; the last attempt drops it, which is safe only
    here."""
    retry = claim.plan.policy.retry
    waits = close.why in (Why.BUDGET, Why.LOCKED)
    if claim.attempts >= retry.attempts and not waits:
        if claim.facts.goal is Goal.CHANGE:
            _drop_unsent(connection, claim)
        return _failed(connection, claim, close, evidence)
    due: Any = now() + retry.delay(claim.attempts, _RANDOM)
    if waits:
        due = _window_end(connection, claim, claim.credential.account_id)
    elif evidence.outcome is Outcome.LOCKED_OUT:
        due = _window_end(connection, claim, claim.logs_in)
    _leave(connection, claim)
    _tell_attempt_failed(connection, claim, evidence)
    state = _end(connection, claim, OperationState.SCHEDULED, evidence, evidence.message or None)
    _note(connection, claim, due=due, refused=sorted(close.refused), reply=close.reply)
    return state


def _in_doubt(connection: Connection, claim: Claim, close: Close, evidence: Evidence) -> OperationState:
    waits = close.why in (Why.BUDGET, Why.LOCKED)
    delay = max(evidence.settles_in, min(UNDECIDED_CAP, UNDECIDED_DELAY * 2.0 ** min(claim.attempts - 1, 10)))
    due = _window_end(connection, claim, claim.credential.account_id) if waits else now() + delay
    reason = f"sent, and not yet known what is in force: {evidence.message or close.why}"
    _settle_credential(connection, claim, CredentialState.IN_DOUBT, kept(reason, 500))
    _tell_attempt_failed(connection, claim, evidence)
    state = _end(connection, claim, OperationState.IN_DOUBT, evidence, reason)
    # Asked again by itself, a login that was refused would only be refused again, and lock the account.
    stopped = close.why is Why.UNREACHABLE and FOLLOWING[evidence.outcome].reply is Reply.STOP
    _note(connection, claim, due=due, needs_person=stopped, refused=sorted(close.refused), reply=close.reply)
    if stopped:
        tell_also(connection, "operation.needs_person", claim.operation_id, claim.credential.name)
    return state


def _needs_person(
    connection: Connection,
    claim: Claim,
    close: Close,  # noqa: ARG001 - all ends have one shape
    evidence: Evidence,
) -> OperationState:
    reason = "sent, and no stored version opens the account; verify again, reconcile, or set its secret"
    _settle_credential(connection, claim, CredentialState.IN_DOUBT, reason)
    _tell_attempt_failed(connection, claim, evidence)
    state = _end(connection, claim, OperationState.IN_DOUBT, evidence, reason)
    _note(connection, claim, needs_person=True, refused=[], reply=None)
    tell_also(connection, "operation.needs_person", claim.operation_id, claim.credential.name)
    return state


def _not_saved(
    connection: Connection,
    claim: Claim,
    close: Close,  # noqa: ARG001 - all ends have one shape
    evidence: Evidence,
) -> OperationState:
    """The change is proven and current. Saving is tried again; when that is given up, the outcome says so."""
    tell_also(connection, "operation.not_saved", claim.operation_id, claim.credential.name)
    retry = claim.plan.policy.retry
    if claim.attempts >= retry.attempts:
        if claim.plan.undo_seconds:
            _look_again(connection, claim)
        return _end(
            connection, claim, OperationState.SUCCEEDED, evidence, "in force, but not saved on the device"
        )
    state = _end(connection, claim, OperationState.SCHEDULED, evidence, "not saved yet")
    _note(connection, claim, due=now() + retry.delay(claim.attempts, _RANDOM))
    return state


def _look_again(connection: Connection, claim: Claim) -> None:
    """What nothing confirmed the target takes back: then the secret that was replaced is in force again."""
    due = connection.execute(select(now() + claim.plan.undo_seconds + UNDO_MARGIN)).scalar_one()
    ask = Ask(
        claim.credential.id,
        Action.VERIFY,
        requester=f"operation:{claim.operation_id}",
        trigger="not_saved",
        due=due,
        parent_operation_id=claim.operation_id,
    )
    insert_operation(connection, ask)


def _leave(connection: Connection, claim: Claim) -> None:
    """Without a change the credential is again what the operation found, unless a person has set its
    secret."""
    found = connection.execute(sql.FOUND, {"which": claim.operation_id}).scalar()
    if found is not None:
        values = {"which": claim.credential.id, "state": found, "reason": None}
        connection.execute(sql.UNSETTLED_CREDENTIAL, values)


def _drop_unsent(connection: Connection, claim: Claim) -> None:
    connection.execute(
        update(secret_version)
        .where(secret_version.c.credential_id == claim.credential.id, secret_version.c.status == "candidate")
        .values(status="unused")
    )


def _window_end(connection: Connection, claim: Claim, account_id: int) -> float:
    _, end = budget.left(connection, account_id, claim.budgets[account_id])
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
