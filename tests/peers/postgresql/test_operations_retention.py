"""tests/unit/operations/test_retention.py on PostgreSQL, and rows that others hold."""

from sqlalchemy import select

from engine.operations.models import operation
from tests.unit.operations.room import Room
from tests.unit.operations.test_retention import *  # noqa: F403
from tests.unit.operations.test_retention import days_pass, purged


def test_what_another_process_holds_is_left_for_later(room: Room) -> None:
    ann = room.account("ann")
    first = room.ask(ann).operation_id
    room.work(first)
    room.change(ann)
    days_pass(room, 401)
    room.change(ann)
    with room.database.writing() as other:
        other.execute(select(operation.c.id).where(operation.c.id == first).with_for_update())
        assert purged(room).operations == 1
    assert purged(room).operations == 1
