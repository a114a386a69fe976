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
from engine.vault.restored import Recovery, in_doubt_after_restore, recover


def resume(connection: Connection, view: JournalView, actor: str) -> Recovery:
    """For the only process there is: end every lease and try, then as `report`."""
    _end_leases(connection)
    _believe_the_clock(connection)
    budget.abandoned(connection)
    return report(connection, view, actor)


def report(connection: Connection, view: JournalView, actor: str) -> Recovery:
    """Bring back what only the journals know, and verify it after a restore. Others may be at work."""
    recovery = recover(connection, view)
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


def rejoin(connection: Connection, predecessor: str) -> None:
    """End the leases and tries of a worker that is surely gone, beside others that go on."""
    held = select(account.c.id).where(account.c.lease_owner == predecessor)
    mine = select(operation.c.id).where(
        operation.c.account_id.in_(held), operation.c.epoch == _EPOCH, operation.c.lease_until.is_not(None)
    )
    operations = connection.execute(mine).scalars().all()
    accounts = set(connection.execute(held).scalars())
    logins = select(shared_lease.c.account_id).where(shared_lease.c.operation_id.in_(operations))
    accounts |= set(connection.execute(logins).scalars())
    budget.abandoned(connection, accounts)
    which = operation.c.id.in_(operations)
    connection.execute(update(operation).where(which).values(lease_until=None))
    connection.execute(delete(shared_lease).where(shared_lease.c.operation_id.in_(operations)))
    free = update(account).where(account.c.lease_owner == predecessor)
    connection.execute(free.values(lease_owner=None, lease_until=None))


_EPOCH = select(account.c.epoch).where(account.c.id == operation.c.account_id).scalar_subquery()


def _end_leases(connection: Connection) -> None:
    connection.execute(update(account).values(lease_owner=None, lease_until=None))
    connection.execute(update(operation).where(operation.c.lease_until.is_not(None)).values(lease_until=None))
    connection.execute(delete(shared_lease))
