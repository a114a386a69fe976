"""What operators count is what is in the database."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, insert, update

from engine.catalog.models import account, device, zone
from engine.operations import figures
from engine.operations.figures import CALLBACKS, Figures, Waiting
from engine.operations.models import operation
from engine.record import chain, outbox
from engine.record.models import audit_entry, delivery
from engine.record.models import outbox as outbox_table
from engine.store.clock import now
from engine.store.models import duty
from tests.exported import given_receiver, given_worker
from tests.unit.operations.room import Room


def figures_of(room: Room) -> Figures:
    with room.database.reading() as connection:
        return figures.read(connection, 1.0)


def given_delivery(connection: Connection, state: str, receiver_id: int | None, notice_id: int) -> None:
    row = {"notice_id": notice_id, "receiver_id": receiver_id, "url": "https://one.test", "state": state}
    connection.execute(insert(delivery).values(due=now(), created=now() - 50, **row))


def test_an_engine_at_rest_has_nothing_to_tell(room: Room) -> None:
    found = figures_of(room)
    assert (found.unfinished, found.leases) == ((), ())
    assert (found.paused, found.restored, found.accounts_spent) == (False, False, 0)
    assert [(each.zone, each.devices, each.workers, each.overdue) for each in found.zones] == [
        ("default", 1, 0, 0.0)
    ]
    assert (found.wait.count, found.notices, found.credentials) == (0, 0, {})
    assert [(each.name, each.waiting, each.dead) for each in found.receivers] == [
        (CALLBACKS, Waiting(0, 0.0), 0)
    ]
    assert abs(found.taken - room.database.now()) < 60


def test_unfinished_operations_are_counted_by_zone_and_state(room: Room) -> None:
    ann, bob, cyd = (room.account(name) for name in ("ann", "bob", "cyd"))
    room.ask(ann)
    doubtful = room.ask(bob).operation_id
    room.claim(doubtful)
    room.set(operation, doubtful, state="in_doubt", needs_person=True, started=1000.0, lease_until=None)
    room.claim(room.ask(cyd).operation_id)
    found = {each.state: each for each in figures_of(room).unfinished}
    assert {(each.zone, each.state, each.count, each.needs_person) for each in found.values()} == {
        ("default", "scheduled", 1, 0),
        ("default", "running", 1, 0),
        ("default", "in_doubt", 1, 1),
    }
    assert found["in_doubt"].oldest > 1_000_000
    assert found["running"].oldest < 1000


def test_what_has_ended_is_counted_no_more(room: Room) -> None:
    assert room.change(room.account("ann")) == "succeeded"
    found = figures_of(room)
    assert found.unfinished == ()
    assert found.credentials == {"managed": 1}
    assert found.wait.count == 1
    assert 0 <= found.wait.mean <= found.wait.longest


def test_overdue_is_only_what_a_worker_could_take(room: Room) -> None:
    asked = room.ask(room.account("ann")).operation_id
    room.set(operation, asked, due=room.database.now() - 500)

    def overdue() -> bool:
        return figures_of(room).zones[0].overdue > 400

    assert overdue()
    room.pause("box")
    assert not overdue()
    assert figures_of(room).zones[0].paused_devices == 1
    room.pause("box", False)
    room.engine(paused=True)
    assert not overdue()
    room.engine(paused=False, restored=True)
    assert not overdue()
    room.engine(restored=False)
    room.claim(asked)
    assert not overdue()
    room.leases_end()
    assert overdue()
    room.set(operation, asked, state="in_doubt", needs_person=True)
    assert not overdue()


def test_what_waits_behind_a_live_operation_of_its_account_is_not_overdue(room: Room) -> None:
    ann = room.account("ann")
    first = room.ask(ann).operation_id
    room.claim(first)
    second = room.ask(ann).operation_id
    assert second != first
    room.set(operation, second, due=room.database.now() - 500)
    assert figures_of(room).zones[0].overdue == 0


def test_a_lease_that_is_over_and_not_taken_over_is_counted(room: Room) -> None:
    asked = room.ask(room.account("ann")).operation_id
    room.claim(asked)
    (lease,) = figures_of(room).leases
    assert (lease.count, lease.overdue) == (1, 0)
    room.leases_end()
    (lease,) = figures_of(room).leases
    assert (lease.count, lease.overdue) == (1, 1)


@pytest.mark.parametrize(("failures", "spent"), [(0, 0), (1, 0), (2, 1), (1_000_000, 1)])
def test_accounts_are_spent_by_their_own_policys_budget(room: Room, failures: int, spent: int) -> None:
    ann = room.account("ann", tries=2)
    number = room.account_of(ann).id
    room.set(account, number, failures=failures, failures_since=room.database.now())
    assert figures_of(room).accounts_spent == spent
    room.set(account, number, failures_since=1.0)
    assert figures_of(room).accounts_spent == 0


def test_workers_count_while_their_beat_is_heard(room: Room) -> None:
    with room.database.writing() as connection:
        given_worker(connection, "w1", busy=3)
        given_worker(connection, "w2", draining=True)
        given_worker(connection, "gone", stopped=now())
        given_worker(connection, "silent", beat=now() - 11)
    (found,) = figures_of(room).zones
    assert (found.workers, found.draining, found.threads, found.busy) == (2, 1, 16, 3)


def test_a_zone_whose_devices_no_worker_reaches_is_named(room: Room) -> None:
    assert figures_of(room).zones_without_workers == ["default"]
    with room.database.writing() as connection:
        given_worker(connection, "w1")
    assert figures_of(room).zones_without_workers == []


def test_how_far_audit_and_notices_are_numbered(room: Room) -> None:
    room.ask(room.account("ann"))
    with room.database.writing() as connection:
        connection.execute(update(audit_entry).values(at=now() - 100))
        connection.execute(update(outbox_table).values(at=now() - 100))
    before = figures_of(room)
    assert before.unsealed.count > 0
    assert before.unnumbered.count > 0
    assert min(before.unsealed.oldest, before.unnumbered.oldest) > 90
    with room.database.writing() as connection:
        sealed = chain.append(connection)
        numbered = len(outbox.number(connection))
    after = figures_of(room)
    assert (after.unsealed, after.unnumbered) == (Waiting(0, 0.0), Waiting(0, 0.0))
    assert (after.sealed, after.notices) == (sealed, numbered)


def test_receivers_say_what_waits_for_them(room: Room) -> None:
    with room.database.writing() as connection:
        made = [outbox.notice(connection, "test.made", {"n": n}) for n in range(3)]
        connection.execute(update(outbox_table).values(at=now() - 70))
        outbox.number(connection)
        given_receiver(connection, "behind", sent=1, failures=4)
        given_receiver(connection, "current", sent=3, enabled=False)
        hook = given_receiver(connection, "hook", kind="webhook", sent=0)
        for notice_id, state in zip(made, ("waiting", "dead", "delivered"), strict=True):
            given_delivery(connection, state, hook, notice_id)
        given_delivery(connection, "dead", None, made[0])
    found = {each.name: each for each in figures_of(room).receivers}
    assert (found["behind"].waiting.count, found["behind"].failures) == (2, 4)
    assert found["behind"].waiting.oldest > 60
    assert (found["current"].waiting, found["current"].enabled) == (Waiting(0, 0.0), False)
    assert (found["hook"].waiting.count, found["hook"].dead) == (1, 1)
    assert found["hook"].waiting.oldest > 40
    assert (found[CALLBACKS].waiting.count, found[CALLBACKS].dead) == (0, 1)


def test_modes_clock_and_duties_are_told(room: Room) -> None:
    ahead = room.database.now() + 100
    room.engine(paused=True, restored=True, clock_high=ahead)
    with room.database.writing() as connection:
        connection.execute(insert(duty).values(name="heartbeat", done=5.0))
    found = figures_of(room)
    assert (found.paused, found.restored, found.duties) == (True, True, {"heartbeat": 5.0})
    assert 90 < found.clock_behind <= 100


def test_a_clock_that_goes_forwards_is_behind_nothing(room: Room) -> None:
    room.engine(clock_high=1.0)
    assert figures_of(room).clock_behind == 0


def test_a_zone_without_devices_needs_no_worker(room: Room) -> None:
    with room.database.writing() as connection:
        connection.execute(insert(zone).values(name="empty", public_key=b"k", created=now()))
    assert {each.zone: each.devices for each in figures_of(room).zones} == {"default": 1, "empty": 0}
    assert figures_of(room).zones_without_workers == ["default"]


def test_no_figure_depends_on_another_ones_rows(room: Room) -> None:
    """Two zones, devices and workers in both: joins must not multiply counts."""
    with room.database.writing() as connection:
        north = connection.execute(
            insert(zone).values(name="north", public_key=b"k", created=now()).returning(zone.c.id)
        ).scalar_one()
        for name in ("n1", "n2"):
            given_worker(connection, name, zone_id=north, threads=4, busy=1)
    for name in ("box2", "box3"):
        room.device(name)
    with room.database.writing() as connection:
        connection.execute(update(device).where(device.c.name == "box3").values(zone_id=north))
    found = {each.zone: each for each in figures_of(room).zones}
    assert (found["north"].devices, found["north"].workers, found["north"].threads) == (1, 2, 8)
    assert (found["default"].devices, found["default"].workers) == (2, 0)
