"""Audit entries, written in the transaction of the state change that they record: no audit, no effect."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Connection, String, func, select

from engine.record.errors import NotRecordable
from engine.record.models import audit_entry
from engine.store.clock import now

Scalar = str | int | float | bool | None

_INSERT = audit_entry.insert().values(at=now()).returning(audit_entry.c.id)

MAX_DETAILS = 16_384  # bytes of JSON; keeps a line of an export far below what its verifier accepts
LARGEST_INTEGER = 2**63 - 1


def write(
    connection: Connection,
    *,
    actor: str,
    action: str,
    object: str,  # noqa: A002 - the field's word
    operation_id: int | None = None,
    epoch: int | None = None,
    outcome: str | None = None,
    details: Mapping[str, Scalar] | None = None,
) -> int:
    """Insert an entry, not yet numbered, and return its id. Its time is the database's.

    `details` is flat: text, numbers, true, false, null. Raises NotRecordable for a secret, an object, a text
    that is too long or that PostgreSQL cannot keep; the caller's transaction then does not commit.
    """
    texts = {"actor": actor, "action": action, "object": object, "outcome": outcome}
    for name, text in texts.items():
        check_column(audit_entry.c[name], text)
    numbers = {"operation_id": operation_id, "epoch": epoch}
    entry = {**texts, **numbers, "details": flat("details", details or {})}
    return int(connection.execute(_INSERT, entry).scalar_one())


def unsealed(connection: Connection) -> int:
    """How many committed entries wait for `chain.append`."""
    waiting = select(func.count()).where(audit_entry.c.sequence.is_(None))
    return connection.execute(waiting).scalar_one()


def flat(field: str, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """A copy of `values` after a check that each can be kept on both databases. Raises NotRecordable."""
    for name, value in values.items():
        _check_text(f"a name in {field}", name)
        _check_scalar(f"{field}[{name!r}]", value)
    if len(json.dumps(dict(values))) > MAX_DETAILS:
        raise NotRecordable(
            f"{field} is longer than {MAX_DETAILS} bytes; record a digest or a reference instead"
        )
    return dict(values)


def check_column(column: Column[Any], text: object) -> None:
    """Whether both databases can keep `text` in the column. Raises NotRecordable."""
    if text is None and column.nullable:
        return
    limit = column.type.length if isinstance(column.type, String) else None
    if len(_check_text(column.name, text)) > (limit or MAX_DETAILS):
        raise NotRecordable(f"{column.name} is longer than {limit or MAX_DETAILS} characters; shorten it")


def _check_scalar(name: str, value: object) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise NotRecordable(f"{name} is not a finite number; leave it out")
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        raise NotRecordable(f"{name} does not fit 64 bits; give it as text")
    if value is not None and not isinstance(value, int | float):
        _check_text(name, value)


def _check_text(name: str, text: object) -> str:
    if not isinstance(text, str):
        raise NotRecordable(f"{name} is a {type(text).__name__}; give text, a number, true, false or null")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotRecordable(f"{name} holds half a surrogate pair; decode it with errors='replace'") from None
    if "\0" in text:
        raise NotRecordable(f"{name} holds a NUL, which PostgreSQL cannot keep; escape it")
    return text
