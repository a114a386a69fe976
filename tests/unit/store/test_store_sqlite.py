"""SQLite behind the store port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from engine.store import database as database_module
from engine.store.database import Database, StoreUnavailable
from engine.store.upgrade import upgrade
from tests.store_suite import StoreSuite, counter


class TestStoreOnSqlite(StoreSuite):
    @pytest.fixture
    def empty(self, tmp_path: Path) -> Iterator[Database]:
        database = Database(f"sqlite:///{tmp_path}/keyturn.sqlite")
        yield database
        database.dispose()

    def test_a_committed_transaction_is_on_the_disk(self, database: Database) -> None:
        with database.reading() as connection:
            pragmas = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
        assert pragmas == ["wal", 2, 1]

    def test_a_writer_that_waits_too_long_says_so_and_readers_go_on(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database_module, "BUSY_TIMEOUT", 10)
        other = Database(str(database.engine.url))
        with database.writing():
            with pytest.raises(StoreUnavailable, match="locked"), other.writing():
                pytest.fail("two writers at once")
            with other.reading() as connection:
                assert connection.execute(text("SELECT 1")).scalar_one() == 1
        with other.writing() as connection:
            connection.execute(counter.insert().values(id=1, n=1))
        other.dispose()


@pytest.mark.parametrize("operation", ["writing", "reading", "upgrade"])
@pytest.mark.parametrize("place", ["missing/keyturn.sqlite", ".", "a_file/keyturn.sqlite"])
def test_a_file_that_cannot_be_used_is_said_to_be_unavailable(
    tmp_path: Path, place: str, operation: str
) -> None:
    (tmp_path / "a_file").write_text("")
    database = Database(f"sqlite:///{tmp_path}/{place}")
    with pytest.raises(StoreUnavailable):
        use(database, operation)
    database.dispose()


def test_a_file_that_cannot_be_written_is_said_to_be_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "keyturn.sqlite"
    made = Database(f"sqlite:///{path}")
    upgrade(made)
    made.dispose()
    database = Database(f"sqlite:///file:{path}?mode=ro&uri=true")
    with pytest.raises(StoreUnavailable, match="readonly"), database.writing() as connection:
        connection.execute(text("UPDATE engine_state SET paused = 1"))
    with database.reading() as connection:
        assert connection.execute(text("SELECT paused FROM engine_state")).scalar_one() == 0
    database.dispose()


def use(database: Database, operation: str) -> None:
    if operation == "upgrade":
        upgrade(database)
    else:
        with getattr(database, operation)() as connection:
            connection.execute(text("SELECT 1"))
