"""The chain over committed audit entries: numbers without a gap, each entry's hash over the one before.

Entries are written without a number, so that commits do not queue for one row; within a second a worker
calls `append`. What `hash` covers is said in `engine.record.verification`. An entry that is changed
before it is sealed is not noticed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, bindparam, select, update

from engine.record.errors import ChainNotPrepared
from engine.record.models import audit_chain, audit_entry
from engine.record.verification import RECORDED, digest
from engine.store.models import SINGLE_ROW


class Head(NamedTuple):
    """The last sealed entry; sequence 0 before the first."""

    sequence: int
    hash: str


def head(connection: Connection) -> Head:
    """How far the record is sealed. Raises ChainNotPrepared."""
    return _one(connection, _select_head())


def append(connection: Connection, limit: int = 1000) -> int:
    """Seal at most `limit` committed entries and return how many; fewer than `limit` means that none waits.

    Needs a writing transaction. Appenders wait for each other at the head row, so any number may run; an
    entry of a lower id that commits later gets a higher sequence. Raises ChainNotPrepared.
    """
    sequence, previous = _one(connection, _select_head().with_for_update())
    sealing: list[dict[str, Any]] = []
    for entry in connection.execute(_unsealed(limit)).mappings():
        sequence += 1
        content = {**entry, "sequence": sequence, "previous_hash": previous}
        sealing.append(
            {
                "entry": entry["id"],
                "number": sequence,
                "before": previous,
                "own": (previous := digest(content)),
            }
        )
    if sealing:
        connection.execute(_SEAL, sealing)
        moved = update(audit_chain).where(audit_chain.c.id == SINGLE_ROW)
        connection.execute(moved.values(sequence=sequence, hash=previous))
    return len(sealing)


_SEAL = (
    update(audit_entry)
    .where(audit_entry.c.id == bindparam("entry"))
    .values(sequence=bindparam("number"), previous_hash=bindparam("before"), hash=bindparam("own"))
)


def _select_head() -> Select[int, str]:
    return select(audit_chain.c.sequence, audit_chain.c.hash).where(audit_chain.c.id == SINGLE_ROW)


def _one(connection: Connection, selecting: Select[int, str]) -> Head:
    found = connection.execute(selecting).one_or_none()
    if found is None:
        raise ChainNotPrepared("the audit chain has no beginning; bring the schema up to date first")
    return Head(*found)


def _unsealed(limit: int) -> Select[*tuple[Any, ...]]:
    columns = [audit_entry.c[name] for name in RECORDED]
    waiting = select(*columns).where(audit_entry.c.sequence.is_(None))
    return waiting.order_by(audit_entry.c.id).limit(limit)
