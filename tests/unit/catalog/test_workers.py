"""What is known of worker processes: that they live, that they are gone, that they were asked to end."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, select, update

from engine.catalog import workers
from engine.catalog.errors import UnknownWorker
from engine.catalog.models import worker
from engine.catalog.zones import get_zone
from engine.record.models import outbox
from engine.store.clock import now
from tests.unit.scene import ACTOR, audited, given_device, zone

LONGEST = 10.0


def begin(connection: Connection, name: str, zone_name: str = "default", silent: float = 0.0) -> None:
    """A worker whose last beat is so many seconds old."""
    workers.started(connection, name, get_zone(connection, zone_name).id, "host", "1.0", 8)
    old = update(worker).where(worker.c.name == name)
    connection.execute(old.values(beat=now() - silent, started=now() - silent))


def told(connection: Connection) -> list[tuple[str, str]]:
    """Notices about workers, and of which one each is."""
    rows = connection.execute(select(outbox.c.kind, outbox.c.payload).order_by(outbox.c.id))
    return [(kind, payload["worker"]) for kind, payload in rows if kind.startswith("worker.")]


def alive(connection: Connection) -> list[str]:
    return [each.name for each in workers.workers(connection) if each.stopped is None]


def test_a_start_and_an_end_are_audited_and_told(connection: Connection) -> None:
    zone(connection)
    begin(connection, "one")
    workers.stopped(connection, "one", "it was asked to stop")
    assert audited(connection)[-2:] == [("worker.started", "worker one"), ("worker.stopped", "worker one")]
    assert told(connection) == [("worker.started", "one"), ("worker.stopped", "one")]
    assert alive(connection) == []


def test_an_end_is_told_once(connection: Connection) -> None:
    zone(connection)
    begin(connection, "one")
    workers.stopped(connection, "one", "first")
    workers.stopped(connection, "one", "second")
    workers.stopped(connection, "nobody", "third")
    assert told(connection).count(("worker.stopped", "one")) == 1


def test_a_beat_says_how_much_it_has_to_do_and_hears_no_drain(connection: Connection) -> None:
    zone(connection)
    begin(connection, "one", silent=60.0)
    assert workers.beat(connection, "one", 3) is False
    [seen] = workers.workers(connection)
    assert (seen.busy, seen.stopped, seen.zone) == (3, None, "default")
    assert seen.age < 30.0


def test_a_beat_of_one_that_the_database_does_not_know_says_so(connection: Connection) -> None:
    zone(connection)
    assert workers.beat(connection, "from before the restore", 0) is None


def test_who_is_silent_too_long_counts_as_gone_and_is_told_of_once(connection: Connection) -> None:
    zone(connection)
    begin(connection, "silent", silent=LONGEST + 5)
    begin(connection, "well")
    assert list(workers.lost(connection, LONGEST)) == ["silent"]
    assert list(workers.lost(connection, LONGEST)) == []
    assert told(connection).count(("worker.lost", "silent")) == 1
    assert alive(connection) == ["well"]


def test_one_that_was_missed_and_beats_again_lives(connection: Connection) -> None:
    zone(connection)
    begin(connection, "silent", silent=LONGEST + 5)
    workers.lost(connection, LONGEST)
    workers.beat(connection, "silent", 0)
    assert alive(connection) == ["silent"]


def test_a_drain_is_heard_at_the_next_beat_and_audited_with_its_author(connection: Connection) -> None:
    zone(connection)
    begin(connection, "one")
    assert workers.drain(connection, ACTOR, "one").draining
    assert audited(connection)[-1] == ("worker.drain", "worker one")
    assert workers.beat(connection, "one", 1) is True


def test_a_drain_of_one_that_is_not_at_work_names_those_that_are(connection: Connection) -> None:
    zone(connection)
    begin(connection, "one")
    begin(connection, "two")
    workers.stopped(connection, "two", "it ended")
    for name in ("two", "three"):
        with pytest.raises(UnknownWorker, match=r"at work are: one$"):
            workers.drain(connection, ACTOR, name)
    workers.stopped(connection, "one", "it ended")
    with pytest.raises(UnknownWorker, match="none is at work"):
        workers.drain(connection, ACTOR, "one")


def test_the_living_come_first(connection: Connection) -> None:
    zone(connection)
    zone(connection, "a-zone")
    for name, where in (("gone", "a-zone"), ("b", "default"), ("a", "default"), ("c", "a-zone")):
        begin(connection, name, where)
    workers.stopped(connection, "gone", "it ended")
    assert [each.name for each in workers.workers(connection)] == ["c", "a", "b", "gone"]


def test_a_zone_with_devices_and_without_a_living_worker_is_named(connection: Connection) -> None:
    zone(connection)
    for name in ("left", "right", "unused", "silent"):
        zone(connection, name)
        if name != "unused":
            given_device(connection, f"box-{name}", zone=name)
    begin(connection, "l", "left")
    begin(connection, "r", "right")
    workers.stopped(connection, "r", "it ended")
    begin(connection, "s", "silent", silent=LONGEST + 5)
    assert list(workers.zones_without_workers(connection, LONGEST)) == ["right", "silent"]


def test_the_youngest_beat_is_that_of_a_living_worker(connection: Connection) -> None:
    zone(connection)
    assert workers.youngest(connection) is None
    begin(connection, "old", silent=1000.0)
    begin(connection, "gone")
    workers.stopped(connection, "gone", "it ended")
    age = workers.youngest(connection)
    assert age is not None
    assert age >= 1000.0


@pytest.mark.parametrize(("tick", "longest"), [(0.2, 10.0), (1.0, 10.0), (2.0, 10.0), (4.0, 20.0)])
def test_a_worker_is_missed_after_some_ticks_and_never_at_once(tick: float, longest: float) -> None:
    assert workers.longest_silence(tick) == longest
