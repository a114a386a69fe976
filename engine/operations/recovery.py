"""What a process finds out by comparing escrow journals with the database, while others may be at work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, or_, select, update

from engine.catalog.models import account, credential
from engine.catalog.states import Action, CredentialState
from engine.operations import budget
from engine.operations.models import operation
from engine.operations.requests import Ask, insert_operation
from engine.operations.states import OperationState
from engine.store.clock import now
from engine.store.database import Database
from engine.store.models import engine_state
from engine.vault.journal import JournalView, read_all
from engine.vault.restored import Recovery, batches, in_doubt_after_restore, recover

HOLDER = "restored"  # owns the leases that let what was at work before a restore run out


def report(connection: Connection, view: JournalView, actor: str, hold: float) -> Recovery:
    """Bring back what only the journals know; after a restore, verify it, and enter RESTORED mode.

    `hold`: seconds for which something may still be at work that the restored database does not know of, a
    lease if others may live, 0 if nobody does. As long no account is claimed.
    """
    found = recover(connection, view)
    if found.restored:
        budget.spent(connection)
        _hold_accounts(connection, hold)
    # Also what another process brings back, after one has found out that the database was restored.
    if connection.execute(select(engine_state.c.restored)).scalar_one():
        for some in batches(found.imported):
            in_doubt_after_restore(connection, some)
            _look_again(connection, some)
            for credential_id in _managed(connection, some):
                insert_operation(connection, Ask(credential_id, Action.VERIFY, actor, "restored"))
    return found


class OwnJournals:
    """This process's journals, compared at its start, and again whenever the database may be another one:
    when somebody else has found it restored, or after it was away.

    `directory` is read whole each time. The database's state alone is read when there is no reason.
    """

    def __init__(self, database: Database, directory: Path, actor: str, hold: float) -> None:
        self._database = database
        self._directory = directory
        self._actor = actor
        self._hold = hold
        self._seen: str | None = None

    def compare(self) -> Recovery:
        """Raises StoreUnavailable, JournalBroken."""
        view = read_all(self._directory)  # first: see `engine.vault.restored`
        with self._database.writing() as connection:
            found = report(connection, view, self._actor, self._hold)
            seen = connection.execute(select(engine_state.c.incarnation)).scalar_one()
        self._seen = seen
        return found

    def look(self) -> Recovery | None:
        """At each tick: `compare` if there is a reason. Raises StoreUnavailable, JournalBroken."""
        with self._database.reading() as connection:
            incarnation = connection.execute(select(engine_state.c.incarnation)).scalar_one()
        return None if incarnation == self._seen else self.compare()

    def doubt(self) -> None:
        """The database was away: what answers next may be an older copy or a replica that lags."""
        self._seen = None


def _hold_accounts(connection: Connection, hold: float) -> None:
    """Nobody claims an account for as long: the child of a worker that the restored database does not know
    may be changing its secret."""
    until = now() + hold
    shorter = or_(account.c.lease_until.is_(None), account.c.lease_until < until)
    if hold:
        connection.execute(update(account).where(shorter).values(lease_owner=HOLDER, lease_until=until))


def _managed(connection: Connection, credential_ids: Sequence[int]) -> Sequence[int]:
    """What was given up or is left alone is not logged in to, not even now."""
    left_alone = (CredentialState.UNMANAGED, CredentialState.RETIRED)
    statement = select(credential.c.id).where(
        credential.c.id.in_(credential_ids), credential.c.state.not_in(left_alone)
    )
    return connection.execute(statement.order_by(credential.c.id)).scalars().all()


def _look_again(connection: Connection, credential_ids: Sequence[int]) -> None:
    """What waited for a person has more versions to try now; until it ends, no verification can begin."""
    mine = operation.c.credential_id.in_(credential_ids)
    connection.execute(
        update(operation)
        .where(mine, operation.c.state == OperationState.IN_DOUBT)
        .values(due=now(), needs_person=False, refused=[], reply=None)
    )
