"""Notices waiting to go out to SIEM, webhooks and requesters: the table is the queue.

A notice is inserted in the transaction of what it tells, and stays until `delivered` marks it. Nothing in
this version delivers: `callback`, the address that the requester gave, is kept with the notice until a
sender exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from engine.record.audit import Scalar, check_column, flat
from engine.record.models import outbox
from engine.store.clock import now

_INSERT = outbox.insert().values(at=now(), due=now()).returning(outbox.c.id)


@dataclass(frozen=True)
class Notice:
    """`at` is in seconds since 1970-01-01 UTC."""

    id: int
    at: float
    kind: str
    operation_id: int | None
    payload: Mapping[str, Scalar]
    callback: str | None
    tries: int


def notice(
    connection: Connection,
    kind: str,
    payload: Mapping[str, Scalar],
    operation_id: int | None = None,
    callback: str | None = None,
) -> int:
    """Queue a notice and return its id. `payload` is flat, because SIEM formats are. Raises NotRecordable."""
    check_column(outbox.c.kind, kind)
    check_column(outbox.c.callback, callback)
    values = {"kind": kind, "operation_id": operation_id, "callback": callback}
    return int(connection.execute(_INSERT, {**values, "payload": flat("payload", payload)}).scalar_one())


def due(connection: Connection, limit: int) -> list[Notice]:
    """At most `limit` notices that wait to be delivered now, the longest waiting first."""
    columns = [outbox.c[field] for field in Notice.__dataclass_fields__]
    waiting = select(*columns).where(outbox.c.delivered.is_(None), outbox.c.due <= now())
    rows = connection.execute(waiting.order_by(outbox.c.due, outbox.c.id).limit(limit))
    return [Notice(**row) for row in rows.mappings()]


def delivered(connection: Connection, ids: Iterable[int]) -> None:
    """Mark notices as received at the other end; they are not due again."""
    waiting = outbox.c.id.in_(list(ids)) & outbox.c.delivered.is_(None)
    connection.execute(update(outbox).where(waiting).values(delivered=now(), tries=outbox.c.tries + 1))
