"""Writes the audit record as JSON Lines; `engine.record.verification` says what they look like and
checks them."""

from __future__ import annotations

from typing import Final, TextIO

from sqlalchemy import Connection, select

from engine.record.audit import unsealed
from engine.record.chain import head
from engine.record.models import audit_entry
from engine.record.verification import ENTRY, FORMAT, canonical, digest
from engine.store.clock import now
from engine.store.models import engine_state

PAGE: Final = 1000  # entries held in memory at a time


def export(connection: Connection, out: TextIO) -> None:
    """Write the header and every sealed entry, a page in memory at a time. Raises ChainNotPrepared."""
    end = head(connection)
    incarnation, at = connection.execute(select(engine_state.c.incarnation, now())).one()
    header = {"format": FORMAT, "incarnation": incarnation, "exported_at": at}
    header |= {"sealed": end.sequence, "head": end.hash, "unsealed": unsealed(connection)}
    out.write(canonical({**header, "hash": digest(header)}) + "\n")
    columns = [audit_entry.c[name] for name in (*ENTRY, "hash")]
    for first in range(1, end.sequence + 1, PAGE):
        page = audit_entry.c.sequence.between(first, min(first + PAGE - 1, end.sequence))
        rows = connection.execute(select(*columns).where(page).order_by(audit_entry.c.sequence))
        out.writelines(canonical(dict(row)) + "\n" for row in rows.mappings())
