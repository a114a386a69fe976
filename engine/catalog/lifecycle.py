"""Changes of a credential's state: those of `engine.catalog.states`, guarded by the database."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, column, exists, select, table, update

from engine.catalog import checks
from engine.catalog.errors import InUse, UnknownCredential, WrongState
from engine.catalog.lookup import name_of
from engine.catalog.models import credential
from engine.catalog.states import CredentialState, allowed
from engine.record import audit
from engine.store.clock import now

_S = CredentialState
EVERY: frozenset[CredentialState] = frozenset(_S)

# The vault's table, of which only this is read; importing the vault would turn the arrow round.
_version = table("secret_version", column("credential_id"), column("status"), column("proven_at"))

WHAT_TO_DO = {
    _S.UNVERIFIED: "prove it with `keyturn credential verify`, then enable it",
    _S.MANAGED: "nothing needs to be done",
    _S.CHANGING: "wait for its operation, or cancel that",
    _S.IN_DOUBT: "its operation must find the truth first; see `keyturn operation list --state in_doubt`",
    _S.DRIFTED: "set the right secret with `keyturn credential set`, or reconcile it",
    _S.SUSPENDED: "resume it with `keyturn credential resume`",
    _S.INACTIVE: "activate it on the target first",
    _S.UNMANAGED: "put it under management first",
    _S.RETIRED: "it was given up for good; its versions stay readable",
}


def move(
    connection: Connection,
    actor: str,
    credential_id: int,
    to: CredentialState,
    reason: str | None = None,
    *,
    allowed_from: Collection[CredentialState] = EVERY,
    action: str = "credential.state",
    operation_id: int | None = None,
    epoch: int | None = None,
) -> CredentialState:
    """Change the state and return the one before. Raises UnknownCredential, WrongState (nothing changed).

    `allowed_from` narrows what the table of transitions allows, never widens it.
    """
    row = _row(connection, credential_id)
    before = CredentialState(row.state)
    if before not in allowed_from or not allowed(before, to):
        raise _wrong(connection, credential_id, before, to)
    # The state just read is the guard: whoever changed it since then wins, and this caller is told.
    moving = update(credential).where(credential.c.id == credential_id, credential.c.state == before)
    if connection.execute(moving.values(state=to, reason=_kept(reason), since=now())).rowcount != 1:
        raise _wrong(connection, credential_id, CredentialState(_row(connection, credential_id).state), to)
    audit.write(
        connection,
        actor=actor,
        action=action,
        object=f"credential {name_of(connection, credential_id)}",
        operation_id=operation_id,
        epoch=epoch,
        details={"before": before, "after": to, "reason": _kept(reason)},
    )
    return before


def enable(connection: Connection, actor: str, credential_id: int) -> CredentialState:
    """Let the engine change it; returns its state: `managed` if its current secret was proven in this state.

    Otherwise it stays `unverified` until the next proof, which makes it `managed`; ask for `verify`.
    Raises UnknownCredential, WrongState.
    """
    row = _row(connection, credential_id)
    if row.state not in (_S.UNVERIFIED, _S.MANAGED):
        raise _wrong(connection, credential_id, CredentialState(row.state), _S.MANAGED)
    allowing = update(credential).where(credential.c.id == credential_id, credential.c.enabled.is_(False))
    if connection.execute(allowing.values(enabled=True)).rowcount:
        name = f"credential {name_of(connection, credential_id)}"
        audit.write(connection, actor=actor, action="credential.enable", object=name)
    # A proof older than the state does not count: a person resumed it, and what happened before is unknown.
    proven = exists().where(
        _version.c.credential_id == credential_id,
        _version.c.status == "current",
        _version.c.proven_at >= row.since,
    )
    if row.state == _S.UNVERIFIED and connection.scalar(select(proven)):
        move(connection, actor, credential_id, _S.MANAGED, allowed_from={_S.UNVERIFIED})
        return _S.MANAGED
    return CredentialState(row.state)


def suspend(connection: Connection, actor: str, credential_id: int, reason: str) -> None:
    """Stop the engine from changing it; not while it does. Raises BadInput, UnknownCredential, WrongState."""
    reason = checks.reason(credential.c.reason, reason)
    resting = EVERY - {_S.CHANGING, _S.IN_DOUBT}
    move(
        connection,
        actor,
        credential_id,
        _S.SUSPENDED,
        reason,
        allowed_from=resting,
        action="credential.suspend",
    )


def resume(connection: Connection, actor: str, credential_id: int) -> None:
    """Back to `unverified`: what happened meanwhile is unknown. Raises UnknownCredential, WrongState."""
    move(
        connection,
        actor,
        credential_id,
        _S.UNVERIFIED,
        allowed_from={_S.SUSPENDED},
        action="credential.resume",
    )


def retire(connection: Connection, actor: str, credential_id: int) -> None:
    """Give the account up; its versions stay. Raises UnknownCredential, WrongState, InUse."""
    users = select(credential.c.id).where(
        (credential.c.auth_id == credential_id)
        | (credential.c.become_id == credential_id)
        | (credential.c.reconcile_id == credential_id)
        | (credential.c.parent_id == credential_id),
        credential.c.id != credential_id,
        credential.c.state != _S.RETIRED,
    )
    dependents = [
        name_of(connection, each) for each in connection.scalars(users.order_by(credential.c.id).limit(5))
    ]
    if dependents:
        raise InUse(
            f"{name_of(connection, credential_id)} is needed by {', '.join(dependents)}; "
            "give those another login or parent, or retire them first"
        )
    move(connection, actor, credential_id, _S.RETIRED, action="credential.retire")


def _row(connection: Connection, credential_id: int) -> Row[Any, Any]:
    row = connection.execute(
        select(credential.c.state, credential.c.since).where(credential.c.id == credential_id)
    ).one_or_none()
    if row is None:
        raise UnknownCredential(f"with id {credential_id}")
    return row


def _wrong(
    connection: Connection, credential_id: int, is_now: CredentialState, to: CredentialState
) -> WrongState:
    name = name_of(connection, credential_id)
    return WrongState(f"{name} is {is_now} and cannot become {to} now; {WHAT_TO_DO[is_now]}")


def _kept(reason: str | None) -> str | None:
    """A reason may quote a target at length; the column keeps 500 characters."""
    return None if reason is None else reason.replace("\0", "")[:500]
