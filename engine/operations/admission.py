"""Whether an operation may begin: what states allow, asked at the request and again at each claim."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, func, select

from engine.catalog.models import credential
from engine.catalog.states import Action, CredentialState
from engine.operations.errors import NotAdmitted, NotClaimed, Postponed
from engine.operations.models import attempt
from engine.operations.plan import Plan
from engine.operations.states import LIVE, OperationState
from engine.vault.models import secret_version
from engine.vault.refs import CredentialRef

POSTPONED = 30.0  # seconds until an operation that waits for a person's doing is looked at again
ABANDONED = 10  # claims of one operation whose workers never told an end; then a person must look
CHANGING = (
    Action.CHANGE_SECRET,
    Action.RECONCILE,
    Action.ACTIVATE,
    Action.DEACTIVATE,
    Action.REMOVE_OLD_SECRET,
)

_S = CredentialState
_MAY_CHANGE = frozenset({_S.MANAGED, _S.CHANGING, _S.IN_DOUBT, _S.UNVERIFIED})
ADMITTED: Final[Mapping[Action, frozenset[CredentialState]]] = MappingProxyType(
    {
        Action.CHANGE_SECRET: _MAY_CHANGE,
        Action.RECONCILE: _MAY_CHANGE | {_S.DRIFTED},
        Action.VERIFY: _MAY_CHANGE | {_S.DRIFTED, _S.INACTIVE, _S.SUSPENDED},
        Action.ACTIVATE: frozenset({_S.INACTIVE, _S.MANAGED, _S.CHANGING}),
        Action.DEACTIVATE: frozenset({_S.MANAGED, _S.INACTIVE, _S.CHANGING}),
        Action.REMOVE_OLD_SECRET: frozenset({_S.MANAGED, _S.CHANGING, _S.IN_DOUBT}),
    }
)
"""What is not here is refused. In `changing` and `in_doubt` it waits behind the operation that is at work."""

_UNFINISHED = (
    select(func.count())
    .select_from(attempt)
    .where(attempt.c.operation_id == bindparam("which"), attempt.c.finished.is_(None))
)
_DRIFTED = (
    select(credential.c.id)
    .where(credential.c.id.in_(bindparam("ids", expanding=True)), credential.c.state == _S.DRIFTED)
    .limit(1)
)
_SENT_AT = select(secret_version.c.sent_at).where(
    secret_version.c.credential_id == bindparam("of"), secret_version.c.status == "sent"
)


def check(
    connection: Connection,
    row: Row[Any],
    plan: Plan,
    others: Mapping[str, CredentialRef],
    logins: Collection[str],
    status: Collection[str],
) -> None:
    """`logins` are the roles whose secret is stored, `status` those of the credential's own versions.

    Raises NotClaimed, Postponed, NotAdmitted.
    """
    if row.state == OperationState.SCHEDULED and not row.committed:
        _allowed(row)
        _proven(row, status)
    _not_abandoned(connection, row)
    _have_secrets(row, others, logins, status)
    _logins_open(connection, row, others)
    _settled(connection, row, plan)


def _allowed(row: Row[Any]) -> None:
    """What a person has decided since the operation was asked for. What was begun goes on to its end."""
    if row.restored and row.action != Action.VERIFY:
        raise NotClaimed("the database was restored; until a person ends that mode nothing is changed")
    if row.credential_state not in ADMITTED.get(Action(row.action), ()):
        said = f" ({row.credential_reason})" if row.credential_reason else ""
        raise NotAdmitted(f"the credential is {row.credential_state}{said}; ask again when that is settled")
    if row.credential_state == _S.IN_DOUBT and row.action in CHANGING:
        raise Postponed(row.id, "which secret is in force must be found out first", POSTPONED)


def _proven(row: Row[Any], status: Collection[str]) -> None:
    """Nothing changes a secret that was stored by hand before a proof, whatever was asked for earlier."""
    unproven = row.credential_state == _S.UNVERIFIED and row.action == Action.CHANGE_SECRET
    if unproven and "current" in status:
        raise NotAdmitted("the stored secret was never proven; verify it, then ask again")


def _not_abandoned(connection: Connection, row: Row[Any]) -> None:
    """An operation that ends every worker that touches it is not given to yet another one."""
    if row.state != OperationState.RUNNING:
        return
    unfinished = connection.execute(_UNFINISHED, {"which": row.id}).scalar_one()
    if unfinished >= ABANDONED:
        raise NotAdmitted(f"{unfinished} workers took it and never told an end; see their logs, then verify")


def _have_secrets(
    row: Row[Any], others: Mapping[str, CredentialRef], logins: Collection[str], status: Collection[str]
) -> None:
    """Without its secret a jump host would be left out of the way, and a login be none."""
    needed = {"jump"} if row.action == Action.VERIFY else {"auth", "jump"}
    missing = [other.name for role, other in others.items() if role in needed and role not in logins]
    if missing:
        raise NotAdmitted(f"no secret of {missing[0]} is stored; `keyturn credential set` stores one")
    if row.action == Action.CHANGE_SECRET and "auth" not in others and not {"current", "sent"} & set(status):
        raise NotAdmitted("its own secret is not stored; `keyturn credential set` stores it")


def _logins_open(connection: Connection, row: Row[Any], others: Mapping[str, CredentialRef]) -> None:
    """Operations wait while an account that they log in with is known to have another secret than ours."""
    ids = [other.id for role, other in others.items() if role == "jump" or row.action != Action.VERIFY]
    if ids and connection.execute(_DRIFTED, {"ids": ids}).first() is not None:
        reason = "the secret of an account that logs in is refused; set or reconcile it first"
        raise Postponed(row.id, reason, POSTPONED)


def _settled(connection: Connection, row: Row[Any], plan: Plan) -> None:
    """Whoever takes over does not look before the change has had the time to show."""
    if row.state not in LIVE or not plan.settle_seconds:
        return
    sent_at = connection.execute(_SENT_AT, {"of": row.credential_id}).scalar()
    if sent_at is not None and sent_at + plan.settle_seconds > row.moment:
        left = sent_at + plan.settle_seconds - row.moment
        raise Postponed(row.id, "what was sent may not show yet", left)
