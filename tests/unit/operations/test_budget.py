"""Tries are charged before they are made, and never more than the budget allows are open or refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import update

from engine.catalog.models import account
from engine.operations import budget
from engine.operations.budget import Budget
from engine.store.clock import now
from tests.unit.operations.room import Room

TWO = Budget(2, 600.0)


def charge(room: Room, account_id: int, limits: Budget = TWO) -> bool:
    with room.database.writing() as connection:
        return budget.charge(connection, account_id, limits)


def settle(room: Room, account_id: int, opened: bool | None) -> None:
    with room.database.writing() as connection:
        budget.settle(connection, account_id, opened)


def test_a_budget_is_spent_by_what_is_open_and_what_was_refused(room: Room) -> None:
    ann = room.account_of(room.account("ann")).id
    assert [charge(room, ann) for _ in range(3)] == [True, True, False]
    settle(room, ann, False)
    assert not charge(room, ann)
    settle(room, ann, None)
    assert charge(room, ann)


def test_a_login_that_opens_clears_the_window_and_not_what_is_open(room: Room) -> None:
    ann = room.account_of(room.account("ann")).id
    charge(room, ann)
    settle(room, ann, False)
    charge(room, ann)
    settle(room, ann, True)
    assert [charge(room, ann) for _ in range(3)] == [True, True, False]


def test_the_window_ends_after_the_last_refusal(room: Room) -> None:
    ann = room.account_of(room.account("ann")).id
    for _ in range(2):
        charge(room, ann)
        settle(room, ann, False)
    with room.database.writing() as connection:
        connection.execute(update(account).values(failures_since=now() - 599))
    assert not charge(room, ann)
    with room.database.writing() as connection:
        connection.execute(update(account).values(failures_since=now() - 601))
    assert charge(room, ann)


def test_what_a_crash_left_open_counts_as_refused(room: Room) -> None:
    ann = room.account_of(room.account("ann")).id
    charge(room, ann)
    charge(room, ann)
    with room.database.writing() as connection:
        budget.abandoned(connection)
    assert not charge(room, ann)


def test_what_is_only_open_is_waited_for_briefly_and_what_was_refused_for_the_window(room: Room) -> None:
    ann = room.account_of(room.account("ann")).id
    charge(room, ann)
    charge(room, ann)
    with room.database.writing() as connection:
        assert budget.next_try(connection, ann, TWO) < room.database.now() + 60
    settle(room, ann, False)
    settle(room, ann, False)
    with room.database.writing() as connection:
        assert budget.next_try(connection, ann, TWO) > room.database.now() + 500


def test_eight_who_charge_at_once_get_no_more_than_there_is(room: Room) -> None:
    ann = room.account_of(room.account("ann")).id
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: charge(room, ann), range(40))) == 2
