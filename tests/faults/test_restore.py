"""The database is restored from older copies, the target has gone on: the journals know the rest."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from engine.catalog.states import Action
from engine.operations.restart import resume
from engine.store.database import Database
from engine.store.models import engine_state
from engine.vault.journal import JournalWriter, Kind, Record, read_all
from engine.vault.keys import FileKeys
from engine.vault.restored import end_restored
from engine.vault.sealing import Context, Purpose, key_id, seal
from engine.work.conductor import nothing
from executors.contract import Secret
from executors.fake.target import FakeTarget
from tests.faults.ablations import BY_RESTORE
from tests.faults.judge import judge
from tests.faults.kills import DATABASE, workspace
from tests.faults.process import PROGRESS, Parts, Process, prepare
from tests.faults.scenarios import LOCKS, Scenario, asked, outside
from tests.faults.scene import Scene

COPIES = 20
NAMES = ("alice", "carol", "dora")
EVERY = tuple(asked(Action.CHANGE_SECRET, name) for name in NAMES)


def several(scene: Scene) -> None:
    """Two that change themselves, with one and two probes, and one that an administrator resets."""
    scene.account("boss", replace(LOCKS[2], admin=True))
    scene.account("alice", LOCKS[2])
    scene.account("carol", LOCKS[1], probes=1)
    scene.account("dora", LOCKS[2], auth="boss@box")


def seen(database: Database, target: FakeTarget) -> None:
    """A person has seen what was brought back."""
    with database.writing() as connection:
        end_restored(connection, "ann")


MANY = Scenario("many rotations", several, EVERY * 3)
ON = replace(MANY, steps=(seen, *EVERY))


class Copies:
    """Copies the database at moments spread over the run, within operations as well as between them."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.passed = 0
        self.made: list[Path] = []

    def __call__(self, point: str) -> None:  # noqa: ARG002 - the shape of an observer
        self.passed += 1
        if self.passed % self.every == 0 and len(self.made) < COPIES:
            path = Path(f"copy-{len(self.made)}").absolute()
            with closing(sqlite3.connect("keyturn.sqlite")) as db, closing(sqlite3.connect(path)) as copy:
                db.backup(copy)
            self.made.append(path)


@pytest.fixture
def base() -> Iterator[Path]:
    made = workspace()
    before = Path.cwd()
    prepare(made / "engine", MANY, DATABASE)
    os.chdir(made / "engine")
    yield made / "engine"
    DATABASE.engine.dispose()
    os.chdir(before)
    shutil.rmtree(made)


def run(scenario: Scenario, at: Copies | None = None) -> None:
    """A process of the engine, from its start until nothing is open."""
    Path(PROGRESS).unlink(missing_ok=True)
    Process(scenario, DATABASE, Parts(), at or nothing).run()
    DATABASE.engine.dispose()


def restore(copy: Path) -> None:
    for rest in ("keyturn.sqlite-wal", "keyturn.sqlite-shm"):
        Path(rest).unlink(missing_ok=True)
    shutil.copy(copy, "keyturn.sqlite")


def state() -> tuple[str, bool]:
    with DATABASE.reading() as connection:
        row = connection.execute(engine_state.select()).one()
    DATABASE.engine.dispose()
    return row.incarnation, row.restored


def test_each_of_twenty_older_copies_is_restored_and_nothing_is_lost_or_locked(base: Path) -> None:
    copies = Copies(every=11)
    run(MANY, copies)
    assert len(copies.made) == COPIES
    incarnations = {state()[0]}
    for number, copy in enumerate(copies.made):
        restore(copy)
        run(
            replace(MANY, steps=())
        )  # what the copy holds is continued, what the journals brought back is verified
        verdict = judge(base)
        assert (verdict.lost, verdict.wrong) == ([], []), f"copy {number}"
        incarnation, restored = state()
        assert restored, f"copy {number}"
        incarnations.add(incarnation)
        run(ON)
        verdict = judge(base)
        assert (verdict.lost, verdict.wrong) == ([], []), f"after copy {number}"
        assert opened_by_current(base) == set(NAMES), f"after copy {number}"
    assert len(incarnations) == COPIES + 1


def opened_by_current(directory: Path) -> set[str]:
    """Accounts whose last operation succeeded, so that `judge` has seen the current version open them."""
    with closing(sqlite3.connect(directory / "keyturn.sqlite")) as db:
        rows = db.execute(
            "SELECT username FROM operation JOIN credential ON credential.id = credential_id"
            " WHERE operation.id IN (SELECT max(id) FROM operation GROUP BY credential_id)"
            " AND operation.state = 'succeeded'"
        )
        return {user for (user,) in rows}


@pytest.mark.parametrize("name", BY_RESTORE)
def test_a_broken_rule_is_found_losing(base: Path, name: str) -> None:
    copies = Copies(every=11)
    run(MANY, copies)
    restore(copies.made[0])
    shutil.rmtree("journal")
    Path("journal").mkdir(mode=0o700)
    run(replace(MANY, steps=()))
    assert judge(base).lost, name


def test_refusals_that_the_copy_does_not_know_are_not_forgotten(base: Path) -> None:
    copies = Copies(every=1)
    run(replace(MANY, steps=EVERY[:1]), copies)
    strange = replace(MANY, steps=(outside("alice", "a stranger's"), asked(Action.VERIFY)))
    run(strange)  # the budget is spent now
    FakeTarget(Path("target")).set("alice", FakeTarget(Path("target")).history("alice")[-2])
    restore(copies.made[0])
    run(replace(MANY, steps=()))
    verdict = judge(base)
    assert (verdict.lost, verdict.wrong) == ([], [])


def test_what_a_crash_left_in_the_journal_is_no_restore(base: Path) -> None:
    incarnation, _ = state()
    keys = FileKeys(Path("keys"))
    public = keys.public("default")
    sealed = seal(Secret("never sent"), public, Context("box", "alice", "password/", 2, Purpose.SECRET))
    record = Record(
        Kind.CANDIDATE, incarnation, 0, "box", "alice", "password/", 2, sealed, key_id(public), 1.0
    )
    crashed = JournalWriter(Path("journal"))
    crashed.append([record])
    crashed.close()
    with DATABASE.writing() as connection:
        recovery = resume(connection, read_all(Path("journal")), "engine")
    assert not recovery.restored
    assert len(recovery.imported) == 1
    assert state() == (incarnation, False)
    run(replace(MANY, steps=EVERY[:1]))
    verdict = judge(base)
    assert (verdict.lost, verdict.wrong) == ([], [])
