"""A worker's regular duties: that it says that it lives, misses the silent, hands over, and ends in order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from engine.catalog import workers
from engine.catalog.models import worker as worker_rows
from engine.catalog.zones import get_zone
from engine.record.models import outbox
from engine.settings import Settings
from engine.store.clock import now
from engine.store.upgrade import SchemaTooNew, SchemaTooOld
from engine.vault.keys import FileKeys
from engine.work import running
from engine.work.forkserver.ports import InProcess
from engine.work.running import RunningWorker, register_worker
from tests.unit.operations.room import ACTOR, Room
from tests.unit.operations.zones import Zones

NAME = "this-one"
LONGEST = 10.0


class Ours:
    """A worker that nobody has started: each of its duties is done by hand."""

    def __init__(self, room: Room, clock: Callable[[], float]) -> None:
        self.room = room
        self.settings = Settings(data=room.folder, min_free_disk=0)
        self.clock = clock
        with room.database.writing() as connection:
            register_worker(connection, self.settings, NAME)
        self.worker = self.made(room.keys)

    def made(self, keys: FileKeys) -> RunningWorker:
        return RunningWorker(
            self.settings, self.room.database, keys, self.room.journal, InProcess(), NAME, "test"
        )

    def report(self) -> None:
        self.worker._report()

    def other(self, name: str, silent: float) -> None:
        with self.room.database.writing() as connection:
            zone_id = get_zone(connection, "default").id
            workers.started(connection, name, zone_id, "host", "1.0", 8)
            row = worker_rows.c.name == name
            connection.execute(update(worker_rows).where(row).values(beat=now() - silent))

    def rows(self) -> dict[str, Any]:
        with self.room.database.reading() as connection:
            return {each.name: each for each in workers.workers(connection)}

    def told(self) -> list[str]:
        with self.room.database.reading() as connection:
            rows = connection.execute(select(outbox.c.kind).order_by(outbox.c.id)).scalars()
            return [kind for kind in rows if kind.startswith("worker.")]


class Clock:
    """time.monotonic of the module under test."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("engine.work.running.time.monotonic", made)
    return made


@pytest.fixture
def ours(room: Room, clock: Clock) -> Ours:
    return Ours(room, clock)


def for_seconds(ours: Ours, clock: Clock, seconds: float, tick: float = 1.0) -> None:
    for _ in range(int(seconds / tick)):
        clock.at += tick
        ours.report()


def test_each_report_is_a_beat(ours: Ours) -> None:
    with ours.room.database.writing() as connection:
        connection.execute(update(worker_rows).values(beat=now() - 100))
    ours.report()
    assert ours.rows()[NAME].age < 50


def test_the_word_to_drain_is_heard_at_a_report(ours: Ours) -> None:
    ours.report()
    assert not ours.worker.worker.draining.is_set()
    with ours.room.database.writing() as connection:
        workers.drain(connection, ACTOR, NAME)
    ours.report()
    assert ours.worker.worker.draining.is_set()


def test_a_worker_that_drains_takes_nothing_more(ours: Ours) -> None:
    asked = ours.room.ask(ours.room.account("ann")).operation_id
    ours.worker.worker.draining.set()
    ours.worker.worker.heard(asked)
    assert not ours.worker.worker.take(asked)
    assert ours.room.operation(asked).state == "scheduled"
    ours.worker.worker.draining.clear()
    ours.worker.worker.heard(asked)
    assert ours.room.operation(asked).state == "succeeded"


def test_a_ring_for_another_zone_s_operation_does_nothing(ours: Ours) -> None:
    zones = Zones(ours.room)
    asked = ours.room.ask(ours.room.account("far", on="far")).operation_id
    ours.worker.worker.heard(asked)
    assert (ours.room.operation(asked).state, ours.room.operation(asked).reason) == ("scheduled", None)
    assert ours.room.target.requests("far") == ()
    zones.journal.close()


def test_one_that_is_silent_is_missed_by_those_who_watched_for_as_long(ours: Ours, clock: Clock) -> None:
    ours.other("silent", silent=1000.0)
    for_seconds(ours, clock, LONGEST)
    assert ours.rows()["silent"].stopped is None
    for_seconds(ours, clock, 2.0)
    assert ours.rows()["silent"].stopped is not None
    assert ours.told().count("worker.lost") == 1


def test_after_an_outage_of_the_database_nobody_is_missed_at_once(ours: Ours, clock: Clock) -> None:
    """All come back at the same moment; the first would take all others for gone."""
    for_seconds(ours, clock, 30.0)
    ours.other("as well away", silent=300.0)
    clock.at += 300.0
    ours.report()
    for_seconds(ours, clock, LONGEST - 1)
    assert ours.told().count("worker.lost") == 0
    for_seconds(ours, clock, 3.0)
    assert ours.told().count("worker.lost") == 1


def test_a_worker_that_the_database_does_not_know_any_more_enters_itself_again(ours: Ours) -> None:
    """It was replaced by an older copy while the worker was at work."""
    with ours.room.database.writing() as connection:
        connection.execute(delete(worker_rows))
    ours.report()
    assert ours.rows()[NAME].stopped is None
    with ours.room.database.writing() as connection:
        workers.drain(connection, ACTOR, NAME)
    ours.report()
    assert ours.worker.worker.draining.is_set()


def test_each_look_hands_over_what_another_zone_needs(ours: Ours) -> None:
    zones = Zones(ours.room)
    ours.room.admin()
    ann = ours.room.account("ann", on="far", auth="boss@box")
    asked = ours.room.ask(ann).operation_id
    zones.work(asked)
    ours.worker._hand_over()
    ours.room.due_now()
    assert zones.work(asked) == "succeeded"
    zones.journal.close()


@pytest.mark.parametrize("how", ["missing", "unreadable"])
def test_a_key_that_is_not_to_be_had_does_not_end_the_tick(
    room: Room, clock: Clock, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    ours, zones = Ours(room, clock), Zones(room)
    room.admin()
    zones.work(room.ask(room.account("ann", on="far", auth="boss@box")).operation_id)
    keys = FileKeys(room.folder / "none")
    if how == "unreadable":

        def refused(_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(keys, "private", refused)
    ours.made(keys)._hand_over()
    assert [row.sealed for row in zones.rows()] == [None]
    assert [row.refused for row in zones.rows()] == [None], "a worker that has the key can still answer"
    zones.journal.close()


@pytest.mark.parametrize("found", [SchemaTooNew, SchemaTooOld])
def test_a_schema_that_it_must_not_work_on_makes_it_end_in_good_order(
    ours: Ours, clock: Clock, monkeypatch: pytest.MonkeyPatch, found: type[Exception]
) -> None:
    def not_ours(_: object) -> None:
        raise found("of another release")

    monkeypatch.setattr(running, "check_schema", not_ours)
    ours.worker._look_at_schema()
    assert not ours.worker.worker.draining.is_set(), "it looks from time to time"
    clock.at += running.SCHEMA_LOOK + 1
    ours.worker._look_at_schema()
    assert ours.worker.worker.draining.is_set()


def test_a_worker_whose_tick_has_ended_ends_too(ours: Ours, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the reason: its supervisor starts it again. Nobody is served by one that looks for nothing."""
    monkeypatch.setattr(type(ours.worker._consumer), "alive", property(lambda _: True))
    monkeypatch.setattr(running, "LOOK", 0.0)
    stopping = threading.Event()
    ours.worker.stay(stopping)
    assert not stopping.is_set()
