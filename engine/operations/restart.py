"""What a start finds out, knowing that no worker of an earlier one is left: after a crash or a restore."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select, update

from engine.catalog.models import account
from engine.operations import budget
from engine.operations.models import operation, shared_lease
from engine.operations.recovery import report
from engine.store.clock import now
from engine.store.models import engine_state
from engine.vault.journal import JournalView
from engine.vault.restored import Recovery


def resume(connection: Connection, view: JournalView, actor: str) -> Recovery:
    """For the only process there is: end every lease and try, then as `report`."""
    _end_leases(connection)
    _believe_the_clock(connection)
    budget.abandoned(connection)
    return report(connection, view, actor, 0.0)


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
