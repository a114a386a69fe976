"""A data directory as the engine leaves it, without the engine: for commands that work on the database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.store.database import Database
from engine.store.upgrade import upgrade
from engine.vault.journal import JournalWriter
from tests.unit.operations.room import Room


@contextmanager
def site(data: Path) -> Iterator[Room]:
    data.mkdir(mode=0o700)
    database = Database(f"sqlite:///{data / 'keyturn.sqlite'}")
    upgrade(database)
    made = Room(database, data)
    yield made
    made.journal.close()
    database.dispose()


def put_back(room: Room, copy: Path) -> None:
    """The database is replaced by an older copy, as a person would."""
    room.database.dispose()
    for rest in room.folder.glob("keyturn.sqlite*"):
        rest.unlink()
    shutil.copy(copy, room.folder / "keyturn.sqlite")


def reopened(room: Room) -> None:
    """Its process has ended, and another goes on in the same directory."""
    room.journal.close()
    room.journal = JournalWriter(room.folder / "journal")
