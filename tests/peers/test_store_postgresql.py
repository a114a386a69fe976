"""PostgreSQL behind the store port, with a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import inspect, make_url, text

from engine.record import chain, verification
from engine.store.database import Database, StoreUnavailable
from engine.store.upgrade import LOCK, check_schema, upgrade
from tests.peers.postgres import PostgresServer
from tests.store_suite import StoreSuite, exported, seal_all, write_entries, write_entry

WAITING = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class TestStoreOnPostgresql(StoreSuite):
    @pytest.fixture
    def empty(self, postgres: PostgresServer) -> Iterator[Database]:
        database = Database(postgres.create_database(), pool_size=12)
        yield database
        database.dispose()

    def test_an_upgrade_waits_for_another(self, empty: Database) -> None:
        lock = text("SELECT pg_advisory_xact_lock(:lock)").bindparams(lock=LOCK)
        with ThreadPoolExecutor(1) as pool:
            with empty.writing() as other:
                other.execute(lock)
                upgrading = pool.submit(upgrade, empty)
                while not (upgrading.done() or other.execute(text(WAITING)).scalar_one()):
                    pass
                assert not upgrading.done()
                assert inspect(other).get_table_names() == []
            upgrading.result()
        check_schema(empty)

    def test_an_entry_of_a_lower_id_that_commits_later_is_sealed_later(self, database: Database) -> None:
        with database.writing() as slow:
            first = write_entry(slow, 1)
            with database.writing() as fast:
                second = write_entry(fast, 2)
            seal_all(database)
        seal_all(database)
        entries = [json.loads(line) for line in exported(database)[1:]]
        assert first < second
        assert [(entry["sequence"], entry["id"]) for entry in entries] == [(1, second), (2, first)]
        assert verification.verify(exported(database)).whole

    def test_writers_do_not_wait_for_an_appender(self, database: Database) -> None:
        write_entries(database, 3)
        with database.writing() as appending:
            assert chain.append(appending) == 3
            write_entries(database, 2)
        seal_all(database)
        assert verification.verify(exported(database)).sealed == 5

    def test_a_server_that_is_down_is_said_to_be_unavailable(
        self, database: Database, postgres: PostgresServer
    ) -> None:
        write_entries(database, 1)
        with database.reading() as before:
            assert before.execute(text("SELECT 1")).scalar_one() == 1
        postgres.stop(immediate=True)
        try:
            for transaction in (database.writing, database.reading):
                with pytest.raises(StoreUnavailable), transaction() as connection:
                    connection.execute(text("SELECT 1"))
        finally:
            postgres.start()
        write_entries(database, 1)
        seal_all(database)
        assert verification.verify(exported(database)).sealed == 2

    def test_a_transaction_that_the_server_crashes_in_is_not_kept(
        self, database: Database, postgres: PostgresServer
    ) -> None:
        def work() -> None:
            with database.writing() as connection:
                write_entry(connection)
                postgres.stop(immediate=True)
                postgres.start()
                write_entry(connection)

        with pytest.raises(StoreUnavailable):
            work()
        with database.reading() as connection:
            assert connection.execute(text("SELECT count(*) FROM audit_entry")).scalar_one() == 0


def test_a_wrong_password_is_said_to_be_unavailable_and_not_repeated(postgres: PostgresServer) -> None:
    url = make_url(postgres.create_database()).set(password="wrong-CANARY")
    database = Database(url.render_as_string(hide_password=False))
    with pytest.raises(StoreUnavailable) as caught, database.reading():
        pytest.fail("a wrong password opened the database")
    assert "CANARY" not in str(caught.value)
