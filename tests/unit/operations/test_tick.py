"""The tick finds in the database whatever was lost elsewhere."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from kombu.exceptions import OperationalError
from sqlalchemy import select

from engine.operations.models import operation
from engine.record import audit
from engine.work.bell import REPEAT, Bell
from engine.work.names import OPERATION_TASK, REVEAL_TASK
from engine.work.tick import PATIENCE, Tick
from tests.unit.operations.room import Room


class Rings(Bell):
    """Writes down for whom it rang."""

    def __init__(self) -> None:
        self.rung: list[int] = []

    def ring(self, operation_id: int, zone_name: str, priority: int = 0) -> None:  # noqa: ARG002
        self.rung.append(operation_id)


def tick(room: Room) -> list[int]:
    rings = Rings()
    Tick(room.database, rings, "default", 1.0).once()
    return rings.rung


def test_what_is_due_is_rung_for_again_and_again(room: Room) -> None:
    asked = room.ask(room.account("ann")).operation_id
    assert tick(room) == tick(room) == [asked]
    room.claim(asked)
    assert tick(room) == []
    room.leases_end()
    assert tick(room) == [asked]


def test_what_waits_for_a_person_or_its_time_is_left_alone(room: Room) -> None:
    ann, bob = room.account("ann"), room.account("bob")
    later = room.ask(ann, due=room.database.now() + 1000).operation_id
    doubtful = room.ask(bob).operation_id
    room.claim(doubtful)
    room.leases_end()
    room.set(operation, doubtful, state="in_doubt", needs_person=True)
    assert tick(room) == []
    room.set(operation, later, due=0.0)
    assert tick(room) == [later]


def test_what_was_not_begun_in_time_expires_and_everybody_hears_of_it(room: Room) -> None:
    ann = room.account("ann")
    asked = room.ask(ann, expires=room.database.now() + 1000, callback="https://one.test/").operation_id
    room.set(operation, asked, expires=0.0)
    assert tick(room) == []
    assert room.operation(asked).state == "expired"
    assert room.notices(asked, "https://one.test/") == ["accepted", "expired"]
    assert room.audited(asked)[-1] == "operation.expired"


def test_a_change_that_is_in_force_does_not_expire(room: Room) -> None:
    asked = room.ask(room.account("ann")).operation_id
    room.set(operation, asked, expires=0.0, committed=True)
    assert tick(room) == [asked]


def test_children_are_asked_by_the_tick_and_rung_for(room: Room) -> None:
    ann = room.account("ann")
    child = room.account("child", parent="ann@box", link="own")
    room.change(ann)
    rung = tick(room)
    with room.database.reading() as connection:
        mine = operation.c.credential_id == child
        assert rung == list(connection.execute(select(operation.c.id).where(mine)).scalars())


def test_the_audit_is_sealed_by_the_tick(room: Room) -> None:
    room.change(room.account("ann"))
    tick(room)
    with room.database.reading() as connection:
        assert audit.unsealed(connection) == 0


def test_a_device_gets_no_more_rings_than_it_has_room_for(room: Room) -> None:
    room.device("small", connection_limit=2)
    for number in range(5):
        room.ask(room.account(f"ann{number}", on="small"))
    assert len(tick(room)) == 2


class Task:
    """Takes messages and forgets them."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, str]] = []
        self.away = False

    def apply_async(self, arguments: tuple[int], queue: str, retry: bool) -> None:  # noqa: ARG002
        if self.away:
            raise OperationalError("nobody listens")
        self.sent.append((arguments[0], queue))


@pytest.fixture
def task() -> Task:
    return Task()


@pytest.fixture
def bell(task: Task) -> Bell:
    app: Any = SimpleNamespace(tasks={OPERATION_TASK: task, REVEAL_TASK: task})
    return Bell(app, "here")


def send(bell: Bell) -> None:
    """Let the bell's thread send what waits, and end."""
    bell.start()
    bell.stop()


def test_a_ring_that_nobody_answers_is_repeated_in_time(
    bell: Bell, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 1000.0
    monkeypatch.setattr("engine.work.bell.time.monotonic", lambda: moment)
    bell.ring(7, "default")
    bell.ring(7, "default")
    moment += REPEAT
    bell.ring(7, "default")
    bell.answered(7)
    bell.ring(7, "default")
    bell.ring(7, "default")
    send(bell)
    assert [about for about, _ in task.sent] == [7, 7, 7]


def test_each_zone_and_urgency_has_a_queue_of_its_own(bell: Bell, task: Task) -> None:
    bell.ring(1, "default")
    bell.ring(2, "dmz", 5)
    bell.ring(3, "dmz", -1)
    bell.reveal(4, "default")
    send(bell)
    assert task.sent == [
        (1, "keyturn.here.default.normal"),
        (2, "keyturn.here.dmz.urgent"),
        (3, "keyturn.here.dmz.bulk"),
        (4, "keyturn.here.default.urgent"),
    ]


def test_what_the_broker_did_not_take_is_rung_for_again(bell: Bell, task: Task) -> None:
    task.away = True
    bell.ring(7, "default")
    send(bell)
    assert (bell.sent, bell.lost) == (0, 1)
    assert bell.waiting(7) is False


def test_what_nobody_comes_for_is_taken_without_the_broker(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = room.ask(room.account("ann")).operation_id
    ticking, moment = Tick(room.database, Rings(), "default", 1.0), 1000.0
    taken: set[int] = set()
    monkeypatch.setattr("engine.work.tick.time.monotonic", lambda: moment)
    ticking.take = lambda operation_id: taken.add(operation_id) is None  # type: ignore[func-returns-value]
    ticking.once()
    assert taken == set()
    moment += PATIENCE
    ticking.once()
    assert taken == {asked}


def test_a_tick_rings_for_its_own_zone_only(room: Room) -> None:
    room.ask(room.account("ann"))
    rings = Rings()
    Tick(room.database, rings, "dmz", 1.0).once()
    assert rings.rung == []
