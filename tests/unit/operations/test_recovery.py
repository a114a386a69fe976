"""A process compares its own journals with the database while others are at work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, update

from engine.catalog.credentials import NewCredential, add_credential
from engine.catalog.models import account, credential
from engine.catalog.states import Action
from engine.operations.errors import LeaseLost, NotClaimed, NumberTaken
from engine.operations.models import operation
from engine.operations.recovery import OwnJournals, report
from engine.record.models import audit_entry, outbox
from engine.store.models import engine_state
from engine.vault.journal import JournalView, JournalWriter, Kind, Record, read_all
from engine.vault.models import secret_version
from engine.vault.refs import credential_ref
from engine.vault.restored import Recovery, end_restored
from engine.vault.sealing import key_id, seal
from executors.contract import Secret
from tests.unit.operations.room import ACTOR, Room
from tests.unit.operations.test_reveal import reveal

LEASE = 300.0


@pytest.fixture
def other(tmp_path: Path) -> JournalWriter:
    """Another process's journal writer, on a volume of its own."""
    return JournalWriter(tmp_path / "other")


def journals(room: Room) -> Path:
    return room.folder / "journal"


def compared(room: Room, view: JournalView | None = None) -> Recovery:
    with room.database.writing() as connection:
        return report(connection, view or read_all(journals(room)), "engine", LEASE)


def candidate(room: Room, credential_id: int, epoch: int, number: int, secret: str = "maybe") -> Record:
    public = room.keys.public("default")
    with room.database.reading() as connection:
        ref = credential_ref(connection, credential_id)
    return Record(
        kind=Kind.CANDIDATE,
        incarnation=room.row(engine_state, 1).incarnation,
        epoch=epoch,
        authority=ref.authority,
        account=ref.account,
        credential=ref.slot,
        version=number,
        sealed=seal(Secret(secret), public, ref.context(number)),
        key_id=key_id(public),
        at=1.0,
    )


def forget(room: Room, credential_id: int) -> None:
    """As if the copy of the database were from before every version but the first."""
    with room.database.writing() as connection:
        mine = secret_version.c.credential_id == credential_id
        connection.execute(delete(secret_version).where(mine, secret_version.c.number > 1))
        connection.execute(update(secret_version).where(mine).values(status="current"))


def incarnation(room: Room) -> str:
    return str(room.row(engine_state, 1).incarnation)


def count(room: Room, action: str) -> int:
    with room.database.reading() as connection:
        entries = select(func.count()).where(audit_entry.c.action == action)
        return connection.execute(entries).scalar_one()


# Others at work


def test_a_candidate_that_its_living_writer_is_about_to_commit_is_left_to_it(room: Room) -> None:
    ann = room.account("ann")
    claim = room.claim(room.ask(ann).operation_id)
    record = candidate(room, ann, claim.epoch, 2)
    room.journal.append([record])
    found = compared(room)
    assert (found.restored, found.imported, room.versions(ann)) == (False, [], {1: "current"})
    room.ledger().journaled(claim, record, None, None)
    assert compared(room).imported == []
    assert room.versions(ann) == {1: "current", 2: "candidate"}


def test_a_candidate_whose_writer_has_ended_is_imported_and_kept_as_it_was_sealed(room: Room) -> None:
    ann = room.account("ann")
    claim = room.claim(room.ask(ann).operation_id)
    record = candidate(room, ann, claim.epoch, 2)
    room.journal.append([record])
    room.journal.close()
    assert compared(room).imported == [ann]
    with room.database.reading() as connection:
        row = connection.execute(select(secret_version).where(secret_version.c.number == 2)).one()
    assert (row.status, bytes(row.sealed), row.sealed_as) == ("history", record.sealed, 2)
    assert not room.row(engine_state, 1).restored


def test_a_candidate_whose_account_was_taken_over_is_imported_though_its_writer_lives(room: Room) -> None:
    ann = room.account("ann")
    asked = room.ask(ann).operation_id
    record = candidate(room, ann, room.claim(asked).epoch, 2)
    room.journal.append([record])
    room.leases_end()
    room.claim(asked, worker="worker-2")
    assert compared(room).imported == [ann]
    assert compared(room).imported == []


def test_a_writer_that_was_taken_for_ended_makes_another_candidate(room: Room) -> None:
    ann = room.account("ann")
    claim = room.claim(room.ask(ann).operation_id)
    record = candidate(room, ann, claim.epoch, 2)
    room.journal.append([record])
    view = read_all(journals(room))
    compared(room, JournalView(view.records, view.marks, view.damages, view.torn))
    with pytest.raises(NumberTaken):
        room.ledger().journaled(claim, record, None, None)


def test_a_row_that_was_committed_after_the_journal_was_read_is_no_loss(room: Room) -> None:
    ann = room.account("ann")
    claim = room.claim(room.ask(ann).operation_id)
    record = candidate(room, ann, claim.epoch, 2)
    room.journal.append([record])
    view = read_all(journals(room))
    room.ledger().journaled(claim, record, None, None)
    room.journal.mark_committed([record])
    found = compared(room, view)
    assert (found.restored, found.imported) == (False, [])


def test_accounts_that_go_on_after_the_journal_was_read_are_not_behind(room: Room) -> None:
    ann = room.account("ann")
    room.change(ann)
    view = read_all(journals(room))
    room.change(ann)
    assert compared(room, view) == Recovery()


def test_a_registration_that_is_not_committed_yet_is_no_orphan(room: Room) -> None:
    record = candidate(room, room.account("ann"), 0, 1)
    strange = replace(record, account="new", kind=Kind.IMPORTED)
    room.journal.append([strange])
    assert compared(room) == Recovery()
    room.journal.close()
    found = compared(room)
    assert (found.restored, found.orphans) == (False, ["new@box password/"])


# A restored database


def test_only_records_of_the_given_journals_are_judged(room: Room, other: JournalWriter) -> None:
    ann, bob = room.account("ann"), room.account("bob")
    room.change(ann)
    room.journal = other
    room.change(bob)
    forget(room, bob)
    assert compared(room) == Recovery()
    assert compared(room, read_all(room.folder / "other")).imported == [bob]


def test_a_marked_record_without_its_row_enters_restored_mode_and_tells_so(room: Room) -> None:
    ann = room.account("ann")
    room.change(ann)
    before = incarnation(room)
    forget(room, ann)
    found = compared(room)
    assert (found.restored, found.imported) == (True, [ann])
    assert incarnation(room) != before
    with room.database.reading() as connection:
        told = connection.execute(
            select(outbox.c.payload).where(outbox.c.kind == "engine.restored")
        ).scalar_one()
    assert told == {"credentials": 1}


def test_comparing_again_changes_nothing(room: Room) -> None:
    ann = room.account("ann")
    room.change(ann)
    forget(room, ann)
    compared(room)
    after = incarnation(room), room.versions(ann)
    assert compared(room) == Recovery()
    assert (incarnation(room), room.versions(ann)) == after


def test_what_is_brought_back_opens_as_what_it_was_sealed_as(room: Room) -> None:
    ann = room.account("ann")
    room.change(ann)
    forget(room, ann)
    room.store(ann, "set by hand meanwhile")  # takes the number 2
    compared(room)
    with room.database.reading() as connection:
        looked = connection.execute(select(operation.c.id).where(operation.c.action == "verify")).scalar_one()
        row = connection.execute(select(secret_version).where(secret_version.c.number == 3)).one()
    assert (row.origin, row.sealed_as) == ("restored", 2)
    for _ in range(4):
        room.due_now()
        room.leases_end()
        room.work(looked)
    assert room.operation(looked).state == "succeeded"
    assert room.versions(ann)[3] == "current"
    assert room.opens("ann", ann)


def test_a_version_that_got_another_number_is_also_revealed_and_logs_in(room: Room) -> None:
    boss = room.admin()
    ann = room.account("ann", auth="boss@box")
    room.change(boss)
    forget(room, boss)
    room.store(boss, "set by hand meanwhile")
    compared(room)
    with room.database.writing() as connection:
        end_restored(connection, ACTOR)
        mine = secret_version.c.credential_id == boss
        connection.execute(update(secret_version).where(mine).values(status="history"))
        current = update(secret_version).where(mine, secret_version.c.number == 3)
        connection.execute(current.values(status="current"))
    room.leases_end()
    room.set(credential, boss, state="managed")
    room.due_now()
    assert room.target.opens("boss", reveal(room, boss))
    assert room.change(ann) == "succeeded"


def test_workers_from_before_are_fenced_and_go_on_with_the_new_incarnation(room: Room) -> None:
    ann, bob = room.account("ann"), room.account("bob")
    claimed = room.claim(room.ask(bob).operation_id)
    room.change(ann)
    forget(room, ann)
    compared(room)
    with pytest.raises(LeaseLost):
        room.ledger().renew(claimed)
    with room.database.writing() as connection:
        end_restored(connection, ACTOR)
    room.leases_end()
    room.due_now()
    assert room.work(claimed.operation_id) == "succeeded"  # with the same journal writer


def test_nobody_claims_until_what_was_at_work_has_ended(room: Room) -> None:
    ann, bob = room.account("ann"), room.account("bob")
    room.change(ann)
    forget(room, ann)
    looked = room.ask(bob, Action.VERIFY).operation_id
    compared(room)
    with pytest.raises(NotClaimed, match="another worker holds"):
        room.claim(looked)
    room.leases_end()
    room.due_now()
    assert room.claim(looked).operation_id == looked


def test_what_another_process_brings_back_afterwards_is_verified_too(
    room: Room, other: JournalWriter
) -> None:
    ann, bob = room.account("ann"), room.account("bob")
    room.change(ann)
    forget(room, ann)
    compared(room)
    other.append([candidate(room, bob, 1, 2)])
    other.close()
    assert compared(room, read_all(room.folder / "other")).imported == [bob]
    assert room.state(bob) == "in_doubt"


def test_an_account_that_is_not_known_any_more_is_asked_about_once(room: Room) -> None:
    ann = room.account("ann")
    room.change(ann)
    with room.database.writing() as connection:
        here = account.c.id == room.row(credential, ann).account_id
        connection.execute(update(account).where(here).values(name="somebody else"))
    found = compared(room)
    assert (found.restored, found.orphans) == (True, ["ann@box password/"])
    after = incarnation(room)
    again = compared(room)
    assert (again.restored, again.orphans) == (False, ["ann@box password/"])
    assert (incarnation(room), count(room, "secret.orphaned")) == (after, 1)


def test_an_account_that_is_registered_again_gets_its_secrets_back(room: Room) -> None:
    ann = room.account("ann")
    room.change(ann)
    with room.database.writing() as connection:
        lost = room.row(credential, ann).account_id
        connection.execute(update(account).where(account.c.id == lost).values(name="somebody else"))
    compared(room)
    with room.database.writing() as connection:
        again = add_credential(connection, ACTOR, NewCredential("ann@box", policy="tries-2")).id
    assert compared(room).imported == [again]
    with room.database.reading() as connection:
        verifying = operation.c.action == "verify"
        [looked] = connection.execute(select(operation.c.id).where(verifying)).scalars()
    for _ in range(4):
        room.due_now()
        room.leases_end()
        room.work(looked)
    assert room.operation(looked).state == "succeeded"
    assert room.opens("ann", again)


# One process's own


def test_a_process_compares_again_once_another_has_found_the_database_restored(room: Room) -> None:
    ann, bob = room.account("ann"), room.account("bob")
    own = OwnJournals(room.database, journals(room), "worker-1", LEASE)
    assert own.look() == Recovery()
    assert own.look() is None
    room.change(ann)
    room.change(bob)
    forget(room, ann)
    assert own.look() is None
    room.engine(incarnation="f" * 32, restored=True)
    found = own.look()
    assert found is not None
    assert found.imported == [ann]
    assert own.look() is None


def test_a_process_compares_again_after_the_database_was_away(room: Room) -> None:
    ann = room.account("ann")
    own = OwnJournals(room.database, journals(room), "worker-1", LEASE)
    own.compare()
    room.change(ann)
    forget(room, ann)
    own.doubt()
    found = own.look()
    assert found is not None
    assert found.restored
