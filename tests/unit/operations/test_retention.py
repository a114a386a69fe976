"""What is purged, and what must not be."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Table, func, insert, select, update

from engine.catalog.models import worker, zone
from engine.operations import retention
from engine.operations.models import attempt, cascade, operation, request, shared_lease, transition
from engine.operations.retention import DAY, Purged, purge, purge_in_turn
from engine.record import outbox as record_outbox
from engine.record.models import audit_entry, delivery, outbox, receiver
from engine.settings import Settings
from engine.store.clock import now
from engine.store.models import duty
from engine.vault.models import handover, secret_version
from tests.unit.operations.room import Room

NOTHING = Purged(0, 0, 0, 0, 0, 0)


def purged(room: Room, **settings: Any) -> Purged:
    with room.database.writing() as connection:
        return purge(connection, Settings(data=room.folder, **settings))


def count(room: Room, table: Table, *where: Any) -> int:
    with room.database.reading() as connection:
        return connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()


def days_pass(room: Room, days: float) -> None:
    """For everything that is there."""
    columns = (attempt.c.finished, operation.c.finished, delivery.c.finished, outbox.c.at, handover.c.created)
    with room.database.writing() as connection:
        for column in columns:
            connection.execute(update(column.table).values({column: column - days * DAY}))


def numbered(room: Room) -> None:
    with room.database.writing() as connection:
        record_outbox.number(connection)


def syslog(room: Room, name: str, settled: int, **fields: Any) -> None:
    values: dict[str, Any] = {"name": name, "kind": "syslog", "zone": "default"}
    values |= {"url": "tls://192.0.2.1:6514"}
    values |= {"format": "rfc5424", "options": {}, "kinds": ["*"], "settled": settled, **fields}
    with room.database.writing() as connection:
        connection.execute(insert(receiver).values(**values, due=now(), created=now()))


def audited(room: Room, action: str) -> list[dict[str, Any]]:
    with room.database.reading() as connection:
        found = select(audit_entry.c.details).where(audit_entry.c.action == action)
        return list(connection.execute(found).scalars())


def test_a_new_engine_purges_nothing(room: Room) -> None:
    room.change(room.account("ann"))
    numbered(room)
    assert purged(room) == NOTHING


# Transcripts


def test_transcripts_go_after_their_time_and_the_audit_record_says_how_many(room: Room) -> None:
    ann = room.account("ann")
    room.change(ann)
    days_pass(room, 91)
    room.change(ann)
    assert count(room, attempt, attempt.c.transcript.is_not(None)) == 2
    assert purged(room).transcripts == 1
    assert (count(room, attempt), count(room, attempt, attempt.c.transcript.is_not(None))) == (2, 1)
    assert audited(room, "transcripts.purged") == [{"count": 1, "days": 90.0}]
    assert purged(room).transcripts == 0


# Operations


def test_an_operation_goes_with_all_that_belongs_to_it_and_its_audit_entries_stay(room: Room) -> None:
    ann = room.account("ann")
    asked = room.ask(ann).operation_id
    room.work(asked)
    days_pass(room, 401)
    room.change(ann)
    before = room.audited(asked)
    assert purged(room).operations == 1
    for table in (request, transition, attempt):
        assert count(room, table, table.c.operation_id == asked) == 0
    assert (count(room, operation), room.audited(asked)) == (1, before)
    assert audited(room, "operations.purged") == [{"count": 1, "days": 400.0}]
    assert room.versions(ann) == {1: "history", 2: "previous", 3: "current"}, (
        "secret versions are kept for ever"
    )
    assert room.opens("ann", ann)


@pytest.mark.parametrize("state", ["scheduled", "running", "in_doubt", "waiting_approval"])
def test_what_has_not_ended_stays_however_old_it_is(room: Room, state: str) -> None:
    asked = room.ask(room.account("ann")).operation_id
    room.change(room.account("bob"))
    room.set(operation, asked, state=state, finished=1.0)
    assert purged(room).operations == 0


def test_what_caused_another_operation_stays_as_long_as_that_one(room: Room) -> None:
    ann, bob = room.account("ann"), room.account("bob")
    parent, child = room.ask(ann).operation_id, room.ask(bob).operation_id
    room.work(parent)
    room.set(operation, child, parent_operation_id=parent)
    days_pass(room, 401)
    assert purged(room).operations == 0
    room.work(child)
    assert purged(room).operations == 0
    days_pass(room, 401)
    room.change(room.account("carol"))
    assert (purged(room).operations, purged(room).operations) == (1, 1)
    assert count(room, operation, operation.c.id.in_((parent, child))) == 0


@pytest.mark.parametrize(("done", "gone"), [(True, 1), (False, 0)])
def test_a_cascade_goes_with_its_operation_once_it_is_done(room: Room, done: bool, gone: int) -> None:
    ann = room.account("ann")
    asked = room.ask(ann).operation_id
    room.work(asked)
    with room.database.writing() as connection:
        values = {"credential_id": ann, "version": 2, "operation_id": asked, "depth": 0, "done": done}
        connection.execute(insert(cascade).values(**values))
    days_pass(room, 401)
    room.change(ann)
    assert purged(room).operations == gone
    assert count(room, cascade) == 1 - gone


def test_leases_and_handovers_that_an_operation_left_behind_go_with_it(room: Room) -> None:
    ann = room.account("ann")
    asked = room.ask(ann).operation_id
    room.work(asked)
    with room.database.writing() as connection:
        lease = {"operation_id": asked, "account_id": room.account_of(ann).id}
        connection.execute(insert(shared_lease).values(**lease))
    handed(room, ann, 2, asked)
    days_pass(room, 401)
    room.change(ann)
    assert purged(room).operations == 1
    assert (count(room, shared_lease), count(room, handover)) == (0, 0)


def test_a_call_takes_a_batch_and_the_next_goes_on(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    ann = room.account("ann")
    for _ in range(4):
        room.change(ann)
    days_pass(room, 401)
    room.change(ann)
    assert [purged(room).operations for _ in range(3)] == [2, 2, 0]


def test_the_newest_operation_stays_so_that_its_number_is_not_given_again(room: Room) -> None:
    ann = room.account("ann")
    asked = room.ask(ann).operation_id
    room.work(asked)
    days_pass(room, 4000)
    assert purged(room).operations == 0
    assert room.ask(ann).operation_id > asked


# Notices


def test_notices_go_once_every_stream_has_them_behind_it(room: Room) -> None:
    room.change(room.account("ann"))
    numbered(room)
    total = count(room, outbox)
    syslog(room, "fast", total)
    syslog(room, "slow", 2)
    syslog(room, "given up", 0, enabled=False)
    days_pass(room, 31)
    assert purged(room).notices == 2
    with room.database.writing() as connection:
        connection.execute(update(receiver).values(settled=total))
    assert purged(room).notices == total - 3
    assert count(room, outbox) == 1, "the newest stays"


def test_notices_without_a_number_or_within_their_time_stay(room: Room) -> None:
    room.change(room.account("ann"))
    days_pass(room, 31)
    assert purged(room).notices == 0
    numbered(room)
    assert purged(room, keep_notices=32).notices == 0
    assert purged(room).notices > 0


def test_a_notice_that_is_on_its_way_stays(room: Room) -> None:
    asked = room.ask(room.account("ann"), callback="https://example.test/ann").operation_id
    room.work(asked)
    numbered(room)
    days_pass(room, 31)
    under_way = count(room, delivery)
    assert (purged(room).deliveries, count(room, delivery)) == (0, under_way)
    kept = count(room, outbox)
    assert kept >= under_way
    with room.database.writing() as connection:
        connection.execute(update(delivery).values(state="delivered", finished=now()))
    assert purged(room) == NOTHING
    days_pass(room, 31)
    gone = purged(room)
    assert gone.deliveries == under_way - 1
    assert gone.notices >= 1


# Workers, handovers


def test_workers_that_stopped_long_ago_go(room: Room) -> None:
    with room.database.writing() as connection:
        [zone_id] = connection.execute(select(zone.c.id)).scalars()
        for name, stopped in (("old", now() - 8 * DAY), ("new", now() - DAY), ("alive", None)):
            values = {"name": name, "zone_id": zone_id, "host": "h", "release": "1", "threads": 1}
            values |= {"started": now() - 9 * DAY, "beat": now(), "stopped": stopped}
            connection.execute(insert(worker).values(**values))
    assert purged(room).workers == 1
    with room.database.reading() as connection:
        assert set(connection.execute(select(worker.c.name)).scalars()) == {"new", "alive"}


def handed(room: Room, credential_id: int, number: int, operation_id: int) -> None:
    with room.database.writing() as connection:
        [zone_id] = connection.execute(select(zone.c.id)).scalars()
        values = {"credential_id": credential_id, "number": number, "zone_id": zone_id}
        values |= {"operation_id": operation_id, "created": now()}
        connection.execute(insert(handover).values(**values))


def test_handovers_of_versions_that_are_not_current_any_more_go(room: Room) -> None:
    ann = room.account("ann")
    asked = room.ask(ann).operation_id
    room.work(asked)
    handed(room, ann, 1, asked)
    handed(room, ann, 2, asked)
    assert purged(room).handovers == 0
    days_pass(room, 2)
    assert purged(room).handovers == 1
    with room.database.reading() as connection:
        assert connection.execute(select(handover.c.number)).scalars().all() == [2]


# Together


def test_one_process_of_all_purges_every_so_often(room: Room) -> None:
    settings = Settings(data=room.folder)
    with room.database.writing() as connection:
        assert purge_in_turn(connection, settings) == NOTHING
        assert purge_in_turn(connection, settings) is None
        connection.execute(
            update(duty).where(duty.c.name == "purge").values(done=now() - 2 * retention.EVERY)
        )
        assert purge_in_turn(connection, settings) == NOTHING


def test_everything_that_is_purged_is_really_old(room: Room) -> None:
    """Many operations in all states at once; nothing young, live or referenced goes."""
    for name in ("ann", "bob", "carol"):
        room.change(room.account(name))
    days_pass(room, 401)
    ann = room.account("dora")
    room.change(ann)
    waiting = room.ask(ann).operation_id
    numbered(room)
    versions = count(room, secret_version)
    while purged(room) != NOTHING:
        pass
    assert count(room, secret_version) == versions
    assert room.operation(waiting).state == "scheduled"
    assert count(room, operation) == 2
