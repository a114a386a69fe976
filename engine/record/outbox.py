"""Notices waiting to go out to SIEM, webhooks and requesters: the table is the queue.

A notice is inserted in the transaction of what it tells, without a number, so that commits do not queue for
one row. Within a second any worker numbers what is committed; receivers get notices in that order, and the
numbers have no gaps, so that whoever receives them sees what is missing and what came twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from engine.record.audit import Scalar, check_column, flat
from engine.record.models import delivery, outbox, outbox_head
from engine.store.clock import now
from engine.store.models import SINGLE_ROW

_INSERT = outbox.insert().values(at=now()).returning(outbox.c.id)
_CALL_BACK = delivery.insert().values(due=now(), created=now())
_HEAD = select(outbox_head.c.sequence).where(outbox_head.c.id == SINGLE_ROW)
_NUMBER = update(outbox).where(outbox.c.id == bindparam("which")).values(sequence=bindparam("number"))


@dataclass(frozen=True, slots=True)
class Notice:
    """`at` is in seconds since 1970-01-01 UTC."""

    id: int
    sequence: int
    at: float
    kind: str
    operation_id: int | None
    payload: Mapping[str, Scalar]


def notice(
    connection: Connection,
    kind: str,
    payload: Mapping[str, Scalar],
    operation_id: int | None = None,
    callbacks: Sequence[str] = (),
) -> int:
    """Queue a notice for all receivers, and for each requester's callback; return its id.

    `payload` is flat, because SIEM formats are. Raises NotRecordable.
    """
    check_column(outbox.c.kind, kind)
    for callback in callbacks:
        check_column(delivery.c.url, callback)
    values = {"kind": kind, "operation_id": operation_id, "payload": flat("payload", payload)}
    made = int(connection.execute(_INSERT, values).scalar_one())
    if callbacks:
        connection.execute(_CALL_BACK, [{"notice_id": made, "url": callback} for callback in callbacks])
    return made


def head(connection: Connection) -> int:
    """The last number given; 0 before the first."""
    return int(connection.execute(_HEAD).scalar_one())


def number(connection: Connection, limit: int = 1000) -> list[Notice]:
    """Number at most `limit` committed notices, and return them; fewer than `limit` means that none waits.

    Needs a writing transaction. Those who number wait for each other at the head's row, so any number may.
    """
    last = int(connection.execute(_HEAD.with_for_update()).scalar_one())
    waiting = select(outbox).where(outbox.c.sequence.is_(None)).order_by(outbox.c.id).limit(limit)
    found = [
        _notice({**dict(row), "sequence": sequence})
        for sequence, row in enumerate(connection.execute(waiting).mappings(), last + 1)
    ]
    if found:
        connection.execute(_NUMBER, [{"which": each.id, "number": each.sequence} for each in found])
        connection.execute(
            update(outbox_head).where(outbox_head.c.id == SINGLE_ROW).values(sequence=found[-1].sequence)
        )
    return found


def after(connection: Connection, sequence: int, limit: int) -> list[Notice]:
    """At most `limit` numbered notices, from the one after `sequence` on."""
    later = select(outbox).where(outbox.c.sequence > sequence).order_by(outbox.c.sequence).limit(limit)
    rows = connection.execute(later)
    return [_notice(dict(row)) for row in rows.mappings()]


def _notice(row: dict[str, Any]) -> Notice:
    return Notice(**{name: row[name] for name in Notice.__dataclass_fields__})
