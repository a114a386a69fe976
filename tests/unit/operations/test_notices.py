"""What receivers are told of an operation."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from engine.catalog.devices import pause_device
from engine.record.models import outbox
from executors.fake.target import Behaviour
from tests.unit.operations.room import Room


def told(room: Room, operation_id: int | None) -> list[tuple[str, dict[str, Any]]]:
    with room.database.reading() as connection:
        mine = select(outbox.c.kind, outbox.c.payload).where(outbox.c.operation_id == operation_id)
        return [(row.kind, row.payload) for row in connection.execute(mine.order_by(outbox.c.id))]


def test_an_attempt_that_failed_is_no_operation_that_failed(room: Room) -> None:
    ann = room.account("ann")
    room.target.behave("ann", Behaviour(unreachable_until=room.target.now() + 1000))
    asked = room.ask(ann).operation_id
    assert room.work(asked) == "scheduled"
    room.target.behave("ann", Behaviour())
    room.due_now()
    assert room.work(asked) == "succeeded"
    notices = told(room, asked)
    assert [kind for kind, _ in notices] == [
        "operation.accepted",
        "operation.running",
        "attempt.failed",
        "operation.scheduled",
        "operation.running",
        "operation.succeeded",
    ]
    assert [payload.get("attempt") for _, payload in notices] == [None, 1, 1, 1, 2, 2]
    assert notices[2][1] == {
        **{"credential": "ann@box", "device": "box", "zone": "default", "action": "change_secret"},
        **{"trigger": "manual", "requester": "ann", "parent_operation": None},
        **{"attempt": 1, "outcome": "unreachable"},
    }


def test_an_operation_says_which_one_caused_it(room: Room) -> None:
    ann = room.account("ann")
    parent = room.ask(ann).operation_id
    assert room.work(parent) == "succeeded"
    child = room.ask(room.account("bob"), parent_operation_id=parent).operation_id
    assert room.work(child) == "succeeded"
    assert {payload["parent_operation"] for _, payload in told(room, child)} == {parent}


def test_a_paused_device_is_told_of(room: Room) -> None:
    with room.database.writing() as connection:
        pause_device(connection, "ann", "box", "it is being moved")
    assert told(room, None) == [
        ("device.paused", {"device": "box", "principal": "ann", "reason": "it is being moved"})
    ]
