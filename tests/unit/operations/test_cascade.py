"""The parent changes, its children follow; none of them can disturb it or each other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert, select, update

from engine.catalog.models import account, credential, device
from engine.operations.models import cascade, operation
from engine.store.clock import now
from executors.fake.target import Behaviour
from tests.unit.operations.room import Room
from triggers import parent_changed


def expand(room: Room, limit: int = parent_changed.BATCH) -> int:
    with room.database.writing() as connection:
        return parent_changed.expand(connection, limit)


def all_of(room: Room) -> None:
    while expand(room):
        pass


def asked_of(room: Room, credential_id: int) -> list[int]:
    with room.database.reading() as connection:
        mine = operation.c.credential_id == credential_id
        return list(connection.execute(select(operation.c.id).where(mine).order_by(operation.c.id)).scalars())


def test_children_of_both_kinds_follow_their_parent(room: Room) -> None:
    boss = room.admin()
    ann = room.account("ann")
    copy = room.account("copy", auth="boss@box", parent="ann@box", link="same")
    own = room.account("own", parent="ann@box", link="own")
    room.change(ann)
    all_of(room)
    for child in (copy, own):
        [asked] = asked_of(room, child)
        assert room.work(asked) == "succeeded"
    assert room.secret(copy) == room.secret(ann) != room.secret(own)
    assert room.opens("copy", copy)
    assert room.opens("own", own)
    assert asked_of(room, boss) == []


def test_a_child_that_fails_touches_neither_parent_nor_sibling(room: Room) -> None:
    ann = room.account("ann")
    lost = room.account("lost", parent="ann@box", link="own")
    good = room.account("good", parent="ann@box", link="own")
    room.target.set("lost", "by-hand")
    room.change(ann)
    all_of(room)
    assert room.work(asked_of(room, lost)[0]) == "failed"
    assert room.work(asked_of(room, good)[0]) == "succeeded"
    assert (room.state(ann), room.state(lost), room.state(good)) == ("managed", "drifted", "managed")


def test_a_copy_whose_turn_comes_late_gets_the_newest_version(room: Room) -> None:
    room.admin()
    ann = room.account("ann")
    copy = room.account("copy", auth="boss@box", parent="ann@box", link="same")
    for _ in range(2):
        room.change(ann)
        all_of(room)
    [asked] = asked_of(room, copy)
    assert room.work(asked) == "succeeded"
    assert room.secret(copy) == room.secret(ann)


def test_cascades_expanded_out_of_order_do_not_bring_an_old_version_back(room: Room) -> None:
    ann = room.account("ann")
    copy = room.account("copy", parent="ann@box", link="same")
    room.change(ann)
    room.change(ann)
    with room.database.writing() as connection:
        connection.execute(update(cascade).where(cascade.c.version == 2).values(done=True))
    all_of(room)
    with room.database.writing() as connection:
        connection.execute(update(cascade).where(cascade.c.version == 2).values(done=False))
    all_of(room)
    assert room.row(credential, copy).parent_version == 3


def test_a_candidate_of_an_older_version_that_was_never_sent_gives_way(room: Room) -> None:
    room.admin()
    ann = room.account("ann")
    copy = room.account("copy", auth="boss@box", parent="ann@box", link="same")
    room.change(ann)
    all_of(room)
    room.target.behave("boss", Behaviour(admin=True, unreachable_until=9e9))
    [asked] = asked_of(room, copy)
    assert room.work(asked) == "scheduled"
    room.change(ann)
    all_of(room)
    room.target.behave("boss", Behaviour(admin=True))
    room.due_now()
    for number in asked_of(room, copy):
        room.work(number)
    assert room.secret(copy) == room.secret(ann)
    assert room.versions(copy)[2] == "unused"


def test_an_older_version_that_may_be_in_force_is_settled_before_the_newer_is_sent(room: Room) -> None:
    room.admin()
    ann = room.account("ann")
    copy = room.account("copy", auth="boss@box", parent="ann@box", link="same")
    room.change(ann)
    all_of(room)
    [first] = asked_of(room, copy)

    def killed(point: str) -> None:
        if point == "apply.after":
            raise InterruptedError

    with pytest.raises(InterruptedError):
        room.work(first, at=killed)
    older = room.secret(copy, "sent")
    room.change(ann)
    all_of(room)
    first, second = asked_of(room, copy)
    assert room.work(second) is None
    room.leases_end()
    room.due_now()
    assert room.work(second) is None
    assert room.work(first) == "succeeded"
    assert room.secret(copy) == older
    assert room.work(second) == "succeeded"
    assert room.secret(copy) == room.secret(ann)


@pytest.mark.parametrize("state", ["suspended", "unverified", "retired", "drifted", "unmanaged", "inactive"])
def test_a_child_that_may_not_be_changed_is_left_out_and_that_is_written_down(room: Room, state: str) -> None:
    ann = room.account("ann")
    child = room.account("child", parent="ann@box", link="own")
    room.set(credential, child, state=state)
    changed = room.ask(ann).operation_id
    room.work(changed)
    all_of(room)
    assert asked_of(room, child) == []
    assert room.audited(changed)[-1] == "cascade.skipped"


def many(room: Room, count: int) -> int:
    """A parent with so many children, made by the row: registering each would only cost time."""
    ann = room.account("ann")
    like = room.row(credential, ann)._asdict()
    place = room.row(account, like["account_id"])._asdict()
    with room.database.writing() as connection:
        connection.execute(update(device).values(connection_limit=64))
        for number in range(count):
            name = {**place, "id": None, "name": f"child-{number}"}
            account_id = connection.execute(
                insert(account).values({k: v for k, v in name.items() if k != "id"}).returning(account.c.id)
            ).scalar_one()
            child = {
                **like,
                "account_id": account_id,
                "username": f"child-{number}",
                "parent_id": ann,
                "link": "same",
            }
            connection.execute(insert(credential).values({k: v for k, v in child.items() if k != "id"}))
    return ann


class Crash(Exception):
    """The process ends before its transaction."""


def crashed(room: Room) -> None:
    with room.database.writing() as connection:
        parent_changed.expand(connection)
        raise Crash


def test_a_thousand_children_are_asked_once_each_whatever_happens_between_the_batches(room: Room) -> None:
    ann = many(room, 1000)
    room.change(ann)
    batches = 0
    while True:
        with pytest.raises(Crash):
            crashed(room)
        if not expand(room):
            break
        batches += 1
    assert batches == 6, "five full ones, and one that finds nothing more"
    with room.database.reading() as connection:
        rows = connection.execute(select(operation.c.credential_id).where(operation.c.credential_id != ann))
        children = list(rows.scalars())
        pinned = select(credential.c.id).where(credential.c.parent_version == 2)
        assert len(connection.execute(pinned).all()) == 1000
    assert len(children) == len(set(children)) == 1000


def test_two_who_expand_at_once_ask_each_child_once(room: Room) -> None:
    ann = many(room, 120)
    room.change(ann)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: expand(room, 10), range(40)))
    all_of(room)
    with room.database.reading() as connection:
        rows = connection.execute(select(operation.c.credential_id).where(operation.c.credential_id != ann))
        children = list(rows.scalars())
    assert len(children) == len(set(children)) == 120


def test_children_are_asked_and_claimed_at_the_same_time_and_nobody_waits_in_a_circle(room: Room) -> None:
    ann = room.account("ann")
    children = [room.account(f"c{n}", parent="ann@box", link="own") for n in range(16)]
    with room.database.writing() as connection:
        connection.execute(update(device).values(connection_limit=64))
    conductor = room.conductor()
    for _ in range(3):
        room.change(ann)
        for child in children:
            room.ask(child)
        due = [number for child in children for number in asked_of(room, child)]
        with ThreadPoolExecutor(8) as pool:
            expanding = [pool.submit(expand, room, 3) for _ in range(12)]
            list(pool.map(conductor.conduct, due))
            for each in expanding:
                each.result()
        all_of(room)
        room.due_now()
        for child in children:
            for number in asked_of(room, child):
                conductor.conduct(number)
    with room.database.reading() as connection:
        open_ones = select(operation.c.id).where(operation.c.state != "succeeded", operation.c.due <= now())
        assert connection.execute(open_ones).all() == []
    assert all(room.opens(f"c{n}", child) for n, child in enumerate(children))
