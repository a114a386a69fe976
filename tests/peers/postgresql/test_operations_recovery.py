"""tests/unit/operations/test_recovery.py on PostgreSQL, and processes that compare at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from sqlalchemy import Connection, text

from engine.operations.recovery import report
from engine.vault.journal import read_all
from engine.vault.restored import Recovery
from engine.vault.service import import_secret
from executors.contract import Secret
from tests.unit.operations.room import Room
from tests.unit.operations.test_recovery import *  # noqa: F403
from tests.unit.operations.test_recovery import LEASE, candidate, forget, incarnation, journals

BLOCKED = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


def while_uncommitted(
    room: Room, first: Callable[[Connection], object], then: Callable[[], Recovery]
) -> Recovery:
    """`then` begins while `first` is not committed, and waits for it."""
    with ThreadPoolExecutor(1) as pool:
        with room.database.writing() as connection:
            first(connection)
            waiting: Future[Recovery] = pool.submit(then)
            while not (waiting.done() or connection.execute(BLOCKED).scalar_one()):
                pass
            assert not waiting.done()
        return waiting.result()


def compare(room: Room) -> Recovery:
    with room.database.writing() as connection:
        return report(connection, read_all(journals(room)), "engine", LEASE)


def test_a_row_whose_commit_is_under_way_is_waited_for_and_not_imported_twice(room: Room) -> None:
    """Its writer is taken for ended: its volume knows no locks."""
    ann = room.account("ann")
    claim = room.claim(room.ask(ann).operation_id)
    record = candidate(room, ann, claim.epoch, 2)
    room.journal.append([record])
    room.journal.close()

    def committing(connection: Connection) -> None:
        connection.execute(text("SELECT 1 FROM credential WHERE id = :id FOR NO KEY UPDATE"), {"id": ann})
        connection.execute(
            text(
                "INSERT INTO secret_version (credential_id, number, status, origin, sealed, key_id, digest,"
                " created) VALUES (:id, 2, 'candidate', 'generated', :sealed, '', :digest, 1)"
            ),
            {"id": ann, "sealed": record.sealed, "digest": record.mark.digest},
        )

    found = while_uncommitted(room, committing, lambda: compare(room))
    assert found == Recovery()
    assert room.versions(ann) == {1: "current", 2: "candidate"}


def test_an_import_under_way_is_waited_for(room: Room) -> None:
    ann = room.account("ann")

    def importing(connection: Connection) -> None:
        import_secret(connection, room.journal, ann, Secret("by hand"), "ann")

    assert while_uncommitted(room, importing, lambda: compare(room)) == Recovery()
    assert room.versions(ann) == {1: "previous", 2: "current"}


def test_of_two_processes_that_find_a_restore_at_once_one_enters_the_mode(room: Room) -> None:
    ann = room.account("ann")
    room.change(ann)
    forget(room, ann)
    view = read_all(journals(room))

    def first(connection: Connection) -> None:
        assert report(connection, view, "engine", LEASE).restored

    found = while_uncommitted(room, first, lambda: compare(room))
    assert found == Recovery()
    after = incarnation(room)
    assert compare(room) == Recovery()
    assert incarnation(room) == after
