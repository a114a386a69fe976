"""The database is an older copy: the journals bring back what it lacks, and changes wait for a person."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, select, update

from engine.catalog.models import credential
from engine.catalog.states import Action
from engine.operations.errors import LeaseLost, NotClaimed, NotNow
from engine.operations.models import operation
from engine.operations.restart import resume
from engine.store.models import engine_state
from engine.vault.journal import JournalWriter, read_all
from engine.vault.models import secret_version
from engine.vault.restored import Recovery, end_restored
from tests.unit.operations.room import ACTOR, Room


def restored(room: Room, credential_id: int, newest: int = 1) -> Recovery:
    """As if the copy were from before version `newest + 1`."""
    with room.database.writing() as connection:
        mine = secret_version.c.credential_id == credential_id
        connection.execute(delete(secret_version).where(mine, secret_version.c.number > newest))
    for number, status in room.versions(credential_id).items():
        if number == newest and status != "current":
            with room.database.writing() as connection:
                version = secret_version.c.number == number
                connection.execute(update(secret_version).where(mine, version).values(status="current"))
    return started(room)


def started(room: Room) -> Recovery:
    with room.database.writing() as connection:
        found = resume(connection, read_all(room.folder / "journal"), "engine")
    room.journal.close()
    room.journal = JournalWriter(room.folder / "journal")
    return found


def test_a_restart_brings_nothing_back_that_is_there(room: Room) -> None:
    ann = room.account("ann")
    room.change(ann)
    found = started(room)
    assert (found.restored, found.imported) == (False, [])


def test_a_restart_believes_a_clock_that_once_ran_ahead(room: Room) -> None:
    ann = room.account("ann")
    with room.database.writing() as connection:
        connection.execute(update(engine_state).values(clock_high=engine_state.c.clock_high + 86_400.0))
    operation_id = room.ask(ann, Action.CHANGE_SECRET).operation_id
    with pytest.raises(NotClaimed, match="went backwards"):
        room.claim(operation_id)
    started(room)
    assert room.claim(operation_id).operation_id == operation_id


def test_what_the_copy_lacks_comes_back_and_is_verified(room: Room) -> None:
    ann = room.account("ann")
    room.change(ann)
    found = restored(room, ann)
    assert (found.restored, found.imported) == (True, [ann])
    assert room.state(ann) == "in_doubt"
    with room.database.reading() as connection:
        looked = connection.execute(select(operation.c.id).where(operation.c.action == "verify")).scalar_one()
    for _ in range(4):
        room.due_now()
        room.work(looked)
    assert room.operation(looked).state == "succeeded"
    assert room.opens("ann", ann)


def test_nothing_is_changed_until_a_person_ends_the_mode(room: Room) -> None:
    ann, bob = room.account("ann"), room.account("bob")
    waiting = room.ask(bob).operation_id
    room.change(ann)
    restored(room, ann)
    with pytest.raises(NotNow, match="restored"):
        room.ask(bob)
    with pytest.raises(NotClaimed, match="restored"):
        room.claim(waiting)
    assert room.operation(waiting).state == "scheduled", "it waits, and is not called off"
    with room.database.writing() as connection:
        end_restored(connection, ACTOR)
    room.due_now()
    assert room.work(waiting) == "succeeded"


def test_a_verification_after_a_restore_does_not_wait_for_changes_that_wait_themselves(room: Room) -> None:
    boss = room.admin()
    ann = room.account("ann", auth="boss@box")
    room.change(ann)
    room.ask(boss)
    restored(room, ann)
    looked = room.ask(ann, Action.VERIFY).operation_id
    room.due_now()
    room.claim(looked)


@pytest.mark.parametrize("state", ["retired", "unmanaged"])
def test_what_was_given_up_is_not_logged_in_to(room: Room, state: str) -> None:
    ann = room.account("ann")
    room.change(ann)
    room.set(credential, ann, state=state)
    assert restored(room, ann).imported == [ann]
    with room.database.reading() as connection:
        assert connection.execute(select(operation.c.id).where(operation.c.action == "verify")).all() == []
    assert room.state(ann) == state


def test_a_worker_from_before_the_restore_writes_nothing(room: Room) -> None:
    ann, bob = room.account("ann"), room.account("bob")
    claimed = room.claim(room.ask(bob).operation_id)
    room.change(ann)
    restored(room, ann)
    with pytest.raises(LeaseLost):
        room.ledger().renew(claimed)
