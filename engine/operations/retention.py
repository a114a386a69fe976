"""What is kept no longer than the settings say. Secret versions and audit entries are kept for ever.

A call takes at most `BATCH` rows of a kind, and leaves what another process has locked; so it may run beside
everything else, and again and again. The newest row of a table stays: SQLite gives its number anew, and what
people and receivers know by that number must stay one thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, exists, func, select, update

from engine.catalog.models import worker
from engine.operations.models import attempt, cascade, operation, request, shared_lease, transition
from engine.operations.states import TERMINAL
from engine.record import audit
from engine.record.models import delivery, outbox, receiver
from engine.settings import Settings
from engine.store.clock import now
from engine.store.duties import is_ours
from engine.vault.models import handover, secret_version

BATCH: Final = 500  # rows of a kind
EVERY: Final = 10.0  # seconds between two calls of all processes together
DAY: Final = 86_400.0
WORKERS_KEPT: Final = 7 * DAY
HANDOVERS_KEPT: Final = DAY  # of versions that are not current any more
ACTOR: Final = "engine"

_BELONGING: Final = (request, transition, attempt, handover, shared_lease, cascade)


@dataclass(frozen=True, slots=True)
class Purged:
    """How many rows of each kind went; `transcripts` are taken out of attempts that stay."""

    transcripts: int
    operations: int
    deliveries: int
    notices: int
    workers: int
    handovers: int


def purge_in_turn(connection: Connection, settings: Settings) -> Purged | None:
    """`purge`, if no process did it lately. At each tick of each."""
    return purge(connection, settings) if is_ours(connection, "purge", EVERY) else None


def purge(connection: Connection, settings: Settings) -> Purged:
    """One batch of everything that is kept no longer, in the caller's writing transaction."""
    return Purged(
        transcripts=_transcripts(connection, settings.keep_transcripts),
        operations=_operations(connection, settings.keep_operations),
        deliveries=_deliveries(connection, settings.keep_notices),
        notices=_notices(connection, settings.keep_notices),
        workers=_delete(connection, worker, worker.c.stopped < now() - WORKERS_KEPT),
        handovers=_handovers(connection),
    )


def _transcripts(connection: Connection, days: float) -> int:
    old = and_(attempt.c.transcript.is_not(None), attempt.c.finished < now() - days * DAY)
    ids = _batch(connection, attempt, old, attempt.c.finished)
    connection.execute(update(attempt).where(attempt.c.id.in_(ids)).values(transcript=None))
    _told(connection, "transcripts", len(ids), days)
    return len(ids)


def _operations(connection: Connection, days: float) -> int:
    """With all that belongs to them. What caused another operation stays as long as that one."""
    child, due = operation.alias(), operation.c.finished < now() - days * DAY
    caused = exists().where(child.c.parent_operation_id == operation.c.id)
    unfinished = exists().where(cascade.c.operation_id == operation.c.id, cascade.c.done.is_(False))
    old = and_(due, operation.c.state.in_(TERMINAL), ~caused, ~unfinished, _not_newest(operation))
    ids = _batch(connection, operation, old, operation.c.finished)
    for table in _BELONGING:
        connection.execute(delete(table).where(table.c.operation_id.in_(ids)))
    connection.execute(delete(operation).where(operation.c.id.in_(ids)))
    _told(connection, "operations", len(ids), days)
    return len(ids)


def _deliveries(connection: Connection, days: float) -> int:
    """Those on the dead-letter list too: nobody has asked to try them again in this time."""
    old = and_(delivery.c.finished < now() - days * DAY, delivery.c.state != "waiting")
    return _delete(connection, delivery, and_(old, _not_newest(delivery)), delivery.c.finished)


def _notices(connection: Connection, days: float) -> int:
    """Only what every stream has behind it, and nobody is on the way with."""
    slowest = select(func.min(receiver.c.settled)).where(
        receiver.c.kind == "syslog", receiver.c.enabled.is_(True)
    )
    behind = func.coalesce(slowest.scalar_subquery(), outbox.c.sequence)
    under_way = exists().where(delivery.c.notice_id == outbox.c.id)
    old = and_(outbox.c.at < now() - days * DAY, outbox.c.sequence <= behind, ~under_way, _not_newest(outbox))
    return _delete(connection, outbox, old, outbox.c.sequence)


def _handovers(connection: Connection) -> int:
    current = exists().where(
        secret_version.c.credential_id == handover.c.credential_id,
        secret_version.c.number == handover.c.number,
        secret_version.c.status == "current",
    )
    return _delete(connection, handover, and_(handover.c.created < now() - HANDOVERS_KEPT, ~current))


def _delete(
    connection: Connection, table: Table, old: ColumnElement[bool], order: ColumnElement[float] | None = None
) -> int:
    ids = _batch(connection, table, old, table.c.id if order is None else order)
    connection.execute(delete(table).where(table.c.id.in_(ids)))
    return len(ids)


def _batch(
    connection: Connection, table: Table, old: ColumnElement[bool], order: ColumnElement[float]
) -> Sequence[int]:
    """Locked, in the order in which an index has them."""
    found = select(table.c.id).where(old).order_by(order).limit(BATCH)
    return connection.execute(found.with_for_update(skip_locked=True, of=table)).scalars().all()


def _not_newest(table: Table) -> ColumnElement[bool]:
    newest = table.alias()
    return table.c.id < select(func.max(newest.c.id)).scalar_subquery()


def _told(connection: Connection, what: str, count: int, days: float) -> None:
    if count:
        details = {"count": count, "days": days}
        audit.write(connection, actor=ACTOR, action=f"{what}.purged", object=what, details=details)
