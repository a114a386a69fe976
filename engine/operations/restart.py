"""What a start finds out, knowing that no worker of an earlier one is left: after a crash or a restore."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, select, update

from engine.catalog.models import account, credential
from engine.catalog.states import Action, CredentialState
from engine.operations import budget
from engine.operations.models import operation, shared_lease
from engine.operations.requests import Ask, insert_operation
from engine.operations.states import OperationState
from engine.store.clock import now
from engine.store.models import engine_state
from engine.vault.journal import JournalView
from engine.vault.keys import ZoneKeys
from engine.vault.restored import Recovery, in_doubt_after_restore, recover


def resume(connection: Connection, keys: ZoneKeys, view: JournalView, actor: str) -> Recovery:
    """End every lease and try, bring back what only the journals know, verify it after a restore."""
    _end_leases(connection)
    _believe_the_clock(connection)
    budget.abandoned(connection)
    recovery = recover(connection, keys, view)
    if recovery.restored:
        budget.spent(connection)
        in_doubt_after_restore(connection, recovery.imported)
        _look_again(connection, recovery.imported)
        for credential_id in _managed(connection, recovery.imported):
            insert_operation(connection, Ask(credential_id, Action.VERIFY, actor, "restored"))
    return recovery


def _managed(connection: Connection, credential_ids: Sequence[int]) -> Sequence[int]:
    """What was given up or is left alone is not logged in to, not even now."""
    left_alone = (CredentialState.UNMANAGED, CredentialState.RETIRED)
    statement = select(credential.c.id).where(
        credential.c.id.in_(credential_ids), credential.c.state.not_in(left_alone)
    )
    return connection.execute(statement.order_by(credential.c.id)).scalars().all()


def _look_again(connection: Connection, credential_ids: list[int]) -> None:
    """What waited for a person has more versions to try now; until it ends, no verification can begin."""
    mine = operation.c.credential_id.in_(credential_ids)
    connection.execute(
        update(operation)
        .where(mine, operation.c.state == OperationState.IN_DOUBT)
        .values(due=now(), needs_person=False, refused=[], reply=None)
    )


def _believe_the_clock(connection: Connection) -> None:
    """A clock that once ran ahead would stop all claims until it is reached; no lease is left that
    could suffer."""
    connection.execute(update(engine_state).values(clock_high=now()))


def _end_leases(connection: Connection) -> None:
    connection.execute(update(account).values(lease_owner=None, lease_until=None))
    connection.execute(update(operation).where(operation.c.lease_until.is_not(None)).values(lease_until=None))
    connection.execute(delete(shared_lease))
