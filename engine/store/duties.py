"""What one process of all does every so often, whichever comes first; the database decides who."""

from __future__ import annotations

from sqlalchemy import Connection, or_, select, update

from engine.store.clock import now
from engine.store.models import duty
from engine.store.statements import insert_unless_there


def is_ours(connection: Connection, name: str, every: float) -> bool:
    """Whether the duty is due, `every` so many seconds, and no other process was first. One that was done in
    the future is due too: the clock has been set back."""
    late = or_(duty.c.done <= now() - every, duty.c.done > now())
    known = connection.execute(select(late).where(duty.c.name == name)).scalar()
    if known is None:
        return insert_unless_there(connection, duty, {"name": name, "done": now()}, ["name"]) is not None
    if not known:
        return False
    doing = update(duty).where(duty.c.name == name, late).values(done=now()).returning(duty.c.id)
    return connection.execute(doing).first() is not None
