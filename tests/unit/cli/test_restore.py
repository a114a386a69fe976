"""`keyturn restore`: journals of dead hosts, a database that was put back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from engine.catalog.models import account
from engine.store.models import engine_state
from engine.vault.models import secret_version
from tests.unit.cli.conftest import Keyturn
from tests.unit.cli.site import put_back, reopened, site
from tests.unit.operations.room import Room


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with site(tmp_path / "data") as made:
        yield made


@pytest.fixture
def ann(room: Room) -> int:
    return room.account("ann")


@pytest.fixture
def copy(room: Room, ann: int, tmp_path: Path, keyturn: Keyturn) -> Path:
    """The database, with ann in it, before anything was changed."""
    assert keyturn("backup", "--data", str(room.folder), "--to", str(tmp_path / "copy")).exit_code == 0
    return tmp_path / "copy" / "keyturn.sqlite"


def restore(keyturn: Keyturn, room: Room, *journals: Path, code: int = 0) -> dict[str, Any]:
    named = [each for path in journals or (room.folder / "journal",) for each in ("--journal", str(path))]
    return dict(keyturn.json("restore", "--data", str(room.folder), *named, code=code))


def test_what_the_database_lacks_is_brought_back_without_any_private_key(
    room: Room, ann: int, copy: Path, keyturn: Keyturn
) -> None:
    room.change(ann)
    put_back(room, copy)
    shutil.move(room.folder / "keys", room.folder.parent / "keys elsewhere")
    told = restore(keyturn, room)
    assert (told["imported"], told["restored"], told["whole"]) == (["ann@box"], True, True)
    assert room.versions(ann) == {1: "current", 2: "history"}


def test_restoring_again_changes_nothing(room: Room, ann: int, copy: Path, keyturn: Keyturn) -> None:
    room.change(ann)
    put_back(room, copy)
    restore(keyturn, room)
    before = room.row(engine_state, 1).incarnation
    assert restore(keyturn, room)["imported"] == []
    assert room.row(engine_state, 1).incarnation == before


def test_a_database_that_lacks_nothing_stays_as_it_is(room: Room, ann: int, keyturn: Keyturn) -> None:
    room.change(ann)
    told = restore(keyturn, room)
    assert (told["imported"], told["restored"], told["records"]) == ([], False, 2)


def test_people_are_told_that_changes_wait(room: Room, ann: int, copy: Path, keyturn: Keyturn) -> None:
    room.change(ann)
    put_back(room, copy)
    shown = keyturn("restore", "--data", str(room.folder), "--journal", str(room.folder / "journal")).output
    assert "brought back: ann@box" in shown
    assert "keyturn restored show" in shown


def test_journals_and_directories_of_journals_are_read_together(
    room: Room, ann: int, copy: Path, keyturn: Keyturn, tmp_path: Path
) -> None:
    bob = room.account("bob")
    room.change(ann)
    reopened(room)
    room.change(bob)
    reopened(room)
    put_back(room, copy)
    one, *others = sorted((room.folder / "journal").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    (tmp_path / "host2").mkdir()
    for other in others:
        other.rename(tmp_path / "host2" / other.name)
    told = restore(keyturn, room, one, tmp_path / "host2", code=1)
    assert (told["imported"], told["orphans"]) == (["ann@box"], ["bob@box password/"])


def test_an_account_that_is_not_known_ends_with_1_and_is_named(
    room: Room, ann: int, keyturn: Keyturn
) -> None:
    with room.database.writing() as connection:
        connection.execute(update(account).values(name="somebody else"))
    reopened(room)
    told = restore(keyturn, room, code=1)
    assert (told["orphans"], told["whole"]) == (["ann@box password/"], False)


def test_a_damaged_line_is_named_and_the_others_are_brought_back(
    room: Room, ann: int, copy: Path, keyturn: Keyturn
) -> None:
    room.change(ann)
    put_back(room, copy)
    (journal,) = (room.folder / "journal").iterdir()
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([b"rubbish\n", *lines]))
    told = restore(keyturn, room, code=1)
    assert told["imported"] == ["ann@box"]
    assert ["not a journal line" in damage for damage in told["damages"]] == [True]


@pytest.mark.parametrize("place", ["missing", "empty directory", "."])
def test_what_cannot_be_read_is_refused_before_anything_is_changed(
    room: Room, ann: int, copy: Path, keyturn: Keyturn, tmp_path: Path, place: str
) -> None:
    room.change(ann)
    put_back(room, copy)
    (tmp_path / "empty directory").mkdir()
    both = ("--journal", str(room.folder / "journal"), "--journal", str(tmp_path / place))
    refused = keyturn("restore", "--data", str(room.folder), *both)
    assert refused.exit_code == 3
    assert refused.stderr.startswith("error: ")
    with room.database.reading() as connection:
        assert connection.execute(select(secret_version.c.number)).scalars().all() == [1]


def test_without_a_database_nothing_is_made(keyturn: Keyturn, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    refused = keyturn("restore", "--data", str(tmp_path / "data"), "--journal", str(tmp_path))
    assert refused.exit_code == 3
    assert list((tmp_path / "data").iterdir()) == []


def test_a_database_of_another_release_is_left_alone(
    room: Room, ann: int, copy: Path, keyturn: Keyturn
) -> None:
    with room.database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    refused = keyturn("restore", "--data", str(room.folder), "--journal", str(room.folder / "journal"))
    assert refused.exit_code == 5
    assert "keyturn migrate" in refused.stderr
