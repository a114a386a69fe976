"""A worker that was killed comes back to its data directory: what it held ends at once, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from engine.catalog.errors import ZoneKeyDiffers
from engine.catalog.zones import ensure_zone
from engine.operations.errors import LeaseLost, NotClaimed
from engine.operations.models import shared_lease
from engine.operations.restart import rejoin
from engine.processes import worker
from engine.processes.worker import NAME_FILE
from engine.settings import Settings
from engine.vault.errors import MissingKey, UnsafeKey
from engine.vault.keys import FileKeys
from tests.unit.operations.room import ACTOR, Room


def come_back(room: Room, name: str) -> None:
    with room.database.writing() as connection:
        rejoin(connection, name)


def shared(room: Room) -> set[int]:
    """Operations that are logged in with another account."""
    with room.database.reading() as connection:
        return set(connection.execute(select(shared_lease.c.operation_id)).scalars())


def test_its_own_operations_can_be_taken_at_once(room: Room) -> None:
    asked = room.ask(room.account("ann")).operation_id
    first = room.claim(asked, worker="one")
    with pytest.raises(NotClaimed):
        room.claim(asked, worker="another")
    come_back(room, "one")
    second = room.claim(asked, worker="one again")
    assert second.epoch == first.epoch + 1
    with pytest.raises(LeaseLost):
        room.ledger("one").renew(first)


def test_what_others_hold_is_left_to_them(room: Room) -> None:
    mine, other = (room.ask(room.account(each)).operation_id for each in ("ann", "bob"))
    room.claim(mine, worker="one")
    theirs = room.claim(other, worker="two")
    come_back(room, "one")
    room.ledger("two").renew(theirs)
    with pytest.raises(NotClaimed):
        room.claim(other, worker="one again")


def test_what_another_has_taken_over_stays_with_it(room: Room) -> None:
    ann = room.account("ann")
    asked = room.ask(ann).operation_id
    room.claim(asked, worker="one")
    room.leases_end()
    taken = room.claim(asked, worker="two")
    come_back(room, "one")
    room.ledger("two").renew(taken)
    assert room.account_of(ann).lease_owner == "two"


def test_tries_in_flight_count_as_refused(room: Room) -> None:
    boss, ann = room.admin(tries=2), room.account("ann", auth="boss@box")
    room.claim(room.ask(ann).operation_id, worker="one")
    assert room.account_of(boss).in_flight == 1
    come_back(room, "one")
    row = room.account_of(boss)
    assert (row.in_flight, row.failures) == (0, 1)


def test_tries_of_accounts_that_it_never_used_stay_in_flight(room: Room) -> None:
    boss, chief = room.admin(), room.admin("chief")
    for name, login, holder in (("ann", "boss@box", "one"), ("bob", "chief@box", "two")):
        room.claim(room.ask(room.account(name, auth=login)).operation_id, worker=holder)
    come_back(room, "one")
    assert (room.account_of(boss).in_flight, room.account_of(chief).in_flight) == (0, 1)


def test_a_login_shared_with_others_is_free_of_it_and_stays_theirs(room: Room) -> None:
    room.admin()
    mine, other = (room.account(each, auth="boss@box") for each in ("ann", "bob"))
    first, second = room.ask(mine).operation_id, room.ask(other).operation_id
    room.claim(first, worker="one")
    room.claim(second, worker="two")
    come_back(room, "one")
    assert shared(room) == {second}


def test_an_administrator_that_nobody_else_uses_can_be_changed_at_once(room: Room) -> None:
    boss = room.admin()
    room.claim(room.ask(room.account("ann", auth="boss@box")).operation_id, worker="one")
    asked = room.ask(boss).operation_id
    with pytest.raises(NotClaimed, match="logged in with the account"):
        room.claim(asked, worker="two")
    come_back(room, "one")
    room.claim(asked, worker="two")


def test_one_that_held_nothing_changes_nothing(room: Room) -> None:
    asked = room.ask(room.account("ann")).operation_id
    held = room.claim(asked, worker="two")
    for name in ("one", "", "nobody%"):
        come_back(room, name)
    room.ledger("two").renew(held)


def test_a_name_that_begins_like_another_is_another(room: Room) -> None:
    held = room.claim(room.ask(room.account("ann")).operation_id, worker="host-11")
    come_back(room, "host-1")
    room.ledger("host-11").renew(held)


@pytest.mark.parametrize(("text", "name"), [("one", "one"), ("one\n", "one"), ("", None), ("\n", None)])
def test_the_predecessor_is_who_wrote_its_name_here(tmp_path: Path, text: str, name: str | None) -> None:
    assert worker._predecessor(tmp_path) is None
    (tmp_path / NAME_FILE).write_text(text)
    assert worker._predecessor(tmp_path) == name


def own_zone(room: Room, folder: Path, name: str) -> FileKeys:
    """What a worker of the zone does first on that data directory."""
    folder.mkdir(exist_ok=True)
    keys = FileKeys(folder / "keys")
    with room.database.writing() as connection:
        worker._own_zone(connection, Settings(data=folder, zone=name), keys)
    return keys


def test_the_first_worker_of_a_zone_makes_its_keys_and_comes_back_with_them(room: Room) -> None:
    keys = own_zone(room, room.folder / "first", "north")
    assert own_zone(room, room.folder / "first", "north").public("north") == keys.public("north")


def test_a_further_worker_is_given_a_copy_of_the_keys_and_makes_none(room: Room) -> None:
    own_zone(room, room.folder / "first", "north")
    with pytest.raises(MissingKey, match="copy it from another worker"):
        own_zone(room, room.folder / "second", "north")
    assert not list((room.folder / "second").rglob("*.key"))


def test_a_worker_with_another_key_of_the_same_zone_is_refused(room: Room) -> None:
    own_zone(room, room.folder / "first", "north")
    (room.folder / "other").mkdir()
    FileKeys(room.folder / "other" / "keys").create("north")
    with pytest.raises(ZoneKeyDiffers, match="another public key"):
        own_zone(room, room.folder / "other", "north")


def test_a_worker_that_could_open_another_zone_s_secrets_is_refused(room: Room) -> None:
    with pytest.raises(UnsafeKey, match="zone default, and this is a worker of north"):
        own_zone(room, room.folder, "north")


def test_a_zone_without_a_database_row_gets_the_key_that_is_there(room: Room) -> None:
    """The first start was killed between the two; or the database is an older copy."""
    (room.folder / "early").mkdir()
    made = FileKeys(room.folder / "early" / "keys").create("north")
    assert own_zone(room, room.folder / "early", "north").public("north") == made
    with room.database.writing() as connection:
        assert ensure_zone(connection, ACTOR, "north", made.public_bytes_raw()).name == "north"
