"""Asking: what joins, what waits, what is refused, and that a key is one request however often it comes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.catalog.models import credential
from engine.catalog.states import Action
from engine.operations import service
from engine.operations.errors import KeyReused, NotNow
from engine.operations.models import operation
from engine.operations.plan import NoReconcileAccount, NoTryAllowed
from engine.operations.requests import Ask, ask_for
from executors.fake.target import Behaviour
from tests.unit.operations.room import ACTOR, Room


def test_a_request_joins_one_that_waits_and_is_told_so(room: Room) -> None:
    ann = room.account("ann")
    first = room.ask(ann, callback="https://one.test/")
    second = room.ask(ann, callback="https://two.test/")
    assert (first.joined, second) == (False, type(second)(first.operation_id, True))
    room.work(first.operation_id)
    for callback in ("https://one.test/", "https://two.test/"):
        assert room.notices(first.operation_id, callback) == ["accepted", "running", "succeeded"]
    assert room.audited(first.operation_id)[:2] == ["operation.requested", "operation.joined"]


def test_a_sooner_request_brings_the_waiting_one_forward_and_never_back(room: Room) -> None:
    ann = room.account("ann")
    later = room.database.now() + 1000
    asked = room.ask(ann, due=later).operation_id
    room.ask(ann, due=later + 1000, priority=5)
    assert (room.operation(asked).due, room.operation(asked).priority) == (later, 5)
    room.ask(ann)
    assert room.operation(asked).due < later


def test_a_request_waits_behind_a_running_one(room: Room) -> None:
    ann = room.account("ann")
    running = room.ask(ann).operation_id
    room.claim(running)
    behind = room.ask(ann).operation_id
    assert behind != running
    assert room.work(behind) is None


def test_a_request_joins_one_that_waits_for_its_next_attempt(room: Room) -> None:
    ann = room.account("ann", behaviour=Behaviour(unreachable_until=9e9))
    asked = room.ask(ann).operation_id
    assert room.work(asked) == "scheduled"
    assert room.ask(ann).operation_id == asked


def test_the_same_key_is_the_same_request(room: Room) -> None:
    ann = room.account("ann")
    first = room.ask(ann, idempotency_key="k")
    room.work(first.operation_id)
    again = room.ask(ann, idempotency_key="k")
    assert (again.operation_id, again.joined) == (first.operation_id, True)
    assert len(room.target.requests("ann")) == 1


def test_a_key_of_another_request_is_refused(room: Room) -> None:
    ann, bob = room.account("ann"), room.account("bob")
    room.ask(ann, idempotency_key="k")
    with pytest.raises(KeyReused):
        room.ask(bob, idempotency_key="k")
    with pytest.raises(KeyReused):
        room.ask(ann, Action.VERIFY, idempotency_key="k")


def test_a_key_that_comes_eight_times_at_once_is_one_operation(room: Room) -> None:
    ann = room.account("ann")
    with ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(lambda _: room.ask(ann, idempotency_key="k").operation_id, range(24)))
    assert len(set(asked)) == 1


@pytest.mark.parametrize("state", ["suspended", "unmanaged", "retired", "drifted", "inactive"])
def test_what_is_stopped_is_not_changed(room: Room, state: str) -> None:
    ann = room.account("ann")
    room.set(credential, ann, state=state, reason="because")
    with pytest.raises(NotNow, match=f"ann@box is {state} .because."):
        room.ask(ann)


@pytest.mark.parametrize("state", ["unverified", "drifted", "suspended", "inactive", "in_doubt"])
def test_what_is_unproven_or_stopped_can_be_verified(room: Room, state: str) -> None:
    ann = room.account("ann")
    room.set(credential, ann, state=state)
    assert not room.ask(ann, Action.VERIFY).joined


def test_nothing_is_changed_before_it_is_enabled_and_proven(room: Room) -> None:
    ann = room.account("ann")
    room.set(credential, ann, enabled=False)
    with pytest.raises(NotNow, match="not enabled"):
        room.ask(ann)
    room.set(credential, ann, enabled=True, state="unverified")
    with pytest.raises(NotNow, match="never proven"):
        room.ask(ann)


def test_a_child_of_the_same_secret_never_changes_alone(room: Room) -> None:
    room.account("ann")
    copy = room.account("copy", auth=None, parent="ann@box", link="same")
    with pytest.raises(NotNow, match="change the parent"):
        room.ask(copy)


def test_a_budget_that_allows_no_try_is_said_at_once(room: Room) -> None:
    ann = room.account("ann")
    room.policy("strict", lockout={"threshold": 2, "window_seconds": 60.0})
    room.use_policy(ann, "strict")
    with pytest.raises(NoTryAllowed, match="locks after 2"):
        room.ask(ann)


def doubtful(room: Room, credential_id: int) -> int:
    """An operation that waits for a person: something was sent, nothing opens."""
    asked = room.ask(credential_id).operation_id
    room.claim(asked)
    room.leases_end()
    room.set(operation, asked, state="in_doubt", needs_person=True)
    room.set(credential, credential_id, state="in_doubt")
    return asked


def test_verify_goes_on_with_the_operation_in_doubt(room: Room) -> None:
    ann = room.account("ann")
    asked = doubtful(room, ann)
    requested = room.ask(ann, Action.VERIFY)
    assert (requested.operation_id, requested.joined) == (asked, True)
    assert not room.operation(asked).needs_person


def test_a_reconcile_that_cannot_be_is_refused_and_spoils_nothing(room: Room) -> None:
    ann = room.account("ann")
    asked = doubtful(room, ann)
    with pytest.raises((NotNow, NoReconcileAccount)):
        room.ask(ann, Action.RECONCILE)
    assert room.operation(asked).action == "change_secret"
    assert room.ask(ann, Action.VERIFY).operation_id == asked


def test_a_canceled_request_is_told_to_all_who_asked(room: Room) -> None:
    ann = room.account("ann")
    asked = room.ask(ann, callback="https://one.test/").operation_id
    with room.database.writing() as connection:
        assert service.cancel(connection, asked, ACTOR).state == "canceled"
    assert room.notices(asked, "https://one.test/") == ["accepted", "canceled"]
    with room.database.writing() as connection, pytest.raises(NotNow, match="ended already"):
        service.cancel(connection, asked, ACTOR)


def test_retry_asks_anew_for_what_has_failed_and_hurries_what_waits(room: Room) -> None:
    ann = room.account("ann")
    room.target.set("ann", "unknown")
    failed = room.ask(ann).operation_id
    assert room.work(failed) == "failed"
    room.store(ann, "unknown")
    room.work(room.ask(ann, Action.VERIFY).operation_id)
    with room.database.writing() as connection:
        again = service.retry(connection, failed, ACTOR).operation_id
    assert again != failed
    room.set(operation, again, due=room.database.now() + 1000)
    with room.database.writing() as connection:
        service.retry(connection, again, ACTOR)
    assert room.work(again) == "succeeded"
    with room.database.writing() as connection, pytest.raises(NotNow, match="succeeded"):
        service.retry(connection, again, ACTOR)


def test_eight_who_ask_at_once_share_one_operation(room: Room) -> None:
    ann = room.account("ann")

    def one(number: int) -> int:
        with room.database.writing() as connection:
            return ask_for(
                connection, Ask(ann, Action.CHANGE_SECRET, f"person-{number}", "manual")
            ).operation_id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(one, range(40)))) == 1
