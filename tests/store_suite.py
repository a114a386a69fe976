"""What both databases must do alike: the tests of SQLite and of PostgreSQL inherit these."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from itertools import repeat
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    func,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from engine.record import audit, chain, export, outbox, verification
from engine.record.errors import ChainNotPrepared
from engine.record.models import audit_chain, audit_entry, delivery
from engine.record.models import outbox as outbox_table
from engine.store import clock
from engine.store import upgrade as upgrading
from engine.store.database import Database
from engine.store.models import engine_state
from engine.store.upgrade import SchemaTooNew, SchemaTooOld, check_schema, upgrade

scratch = MetaData()
counter = Table("scratch_counter", scratch, Column("id", Integer, primary_key=True), Column("n", Integer))
job = Table("scratch_job", scratch, Column("id", Integer, primary_key=True), Column("owner", String(20)))

UPGRADE = (
    "import sys; from engine.store.database import Database; from engine.store.upgrade import upgrade;"
    "upgrade(Database(sys.stdin.readline().strip()))"
)

TAMPERING = {
    "UPDATE audit_entry SET actor = 'bob' WHERE sequence = 3": verification.Problem.EDITED,
    "UPDATE audit_entry SET at = at + 1 WHERE sequence = 3": verification.Problem.EDITED,
    "UPDATE audit_entry SET details = '{\"x\":1}' WHERE sequence = 3": verification.Problem.EDITED,
    "DELETE FROM audit_entry WHERE sequence = 3": verification.Problem.GAP,
    "UPDATE audit_entry SET sequence = NULL WHERE sequence = 3": verification.Problem.GAP,
    "DELETE FROM audit_entry WHERE sequence >= 3": verification.Problem.TRUNCATED,
}


class Word(StrEnum):
    CHANGED = "changed"


class Rolled(Exception):
    """Ends a transaction that must leave nothing."""


def write_entry(connection: Connection, number: int = 0, **more: Any) -> int:
    return audit.write(connection, actor="ann", action="test", object=f"credential {number}", **more)


def write_entries(database: Database, count: int) -> None:
    with database.writing() as connection:
        for number in range(count):
            write_entry(connection, number)


def seal_all(database: Database) -> None:
    with database.writing() as connection:
        while chain.append(connection):
            pass


def roll_back(database: Database, work: Callable[[Connection], object]) -> None:
    with contextlib.suppress(Rolled), database.writing() as connection:
        work(connection)
        raise Rolled


def exported(database: Database) -> list[str]:
    out = io.StringIO()
    with database.reading() as connection:
        export.export(connection, out)
    return out.getvalue().splitlines(keepends=True)


def together(workers: int, work: Callable[[int], Any]) -> list[Any]:
    """Run `work(0)`, `work(1)`… at once; raises what one of them raised."""
    start = threading.Barrier(workers)

    def run(number: int) -> Any:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(run, range(workers)))


class StoreSuite:
    """`empty` is a database without tables, `database` one of this version's schema."""

    @pytest.fixture
    def database(self, empty: Database) -> Database:
        upgrade(empty)
        with empty.writing() as connection:
            scratch.create_all(connection)
        return empty

    # Transactions

    def test_the_database_clock_shows_utc(self, empty: Database) -> None:
        assert abs(empty.now() - time.time()) < 1

    def test_the_clock_moves_inside_a_transaction(self, empty: Database) -> None:
        with empty.reading() as connection:
            first = connection.execute(select(clock.now())).scalar_one()
            moments = (connection.execute(select(clock.now())).scalar_one() for _ in repeat(None))
            assert next(moment for moment in moments if moment != first) > first

    def test_moments_are_kept_to_the_last_bit(self, database: Database) -> None:
        moment = 1_763_804_581.123_456_7
        with database.writing() as connection:
            connection.execute(update(engine_state).values(clock_high=moment))
        with database.reading() as connection:
            assert connection.execute(select(engine_state.c.clock_high)).scalar_one() == moment

    def test_no_update_is_lost_between_eight_threads(self, database: Database) -> None:
        with database.writing() as connection:
            connection.execute(counter.insert().values(id=1, n=0))

        def add_hundred(_: int) -> None:
            for _ in range(100):
                with database.writing() as connection:
                    n = connection.execute(select(counter.c.n).with_for_update()).scalar_one()
                    connection.execute(update(counter).values(n=n + 1))

        together(8, add_hundred)
        with database.reading() as connection:
            assert connection.execute(select(counter.c.n)).scalar_one() == 800

    def test_reading_does_not_wait_for_a_writer_and_sees_what_was_committed(self, database: Database) -> None:
        with database.writing() as connection:
            connection.execute(counter.insert().values(id=1, n=1))
        with database.writing() as writer:
            writer.execute(update(counter).values(n=2))
            with database.reading() as reader:
                assert reader.execute(select(counter.c.n)).scalar_one() == 1
        with database.reading() as reader:
            assert reader.execute(select(counter.c.n)).scalar_one() == 2

    def test_a_conditional_update_has_one_winner(self, database: Database) -> None:
        with database.writing() as connection:
            connection.execute(job.insert(), [{"id": number, "owner": None} for number in range(40)])

        def claim_all(worker: int) -> list[int]:
            won: list[int] = []
            for number in range(40):
                with database.writing() as connection:
                    free = update(job).where(job.c.id == number, job.c.owner.is_(None))
                    claiming = free.values(owner=str(worker)).returning(job.c.id)
                    won += connection.execute(claiming).scalars()
            return won

        claims = together(8, claim_all)
        assert sorted(number for won in claims for number in won) == list(range(40))

    def test_an_error_leaves_nothing_behind(self, database: Database) -> None:
        def work(connection: Connection) -> None:
            connection.execute(counter.insert().values(id=1, n=1))
            write_entry(connection)
            outbox.notice(connection, "test", {})

        roll_back(database, work)
        with database.reading() as connection:
            for table in (counter, audit_entry, outbox_table):
                assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0

    def test_a_reference_to_nothing_is_refused(self, database: Database) -> None:
        with pytest.raises(IntegrityError), database.writing() as connection:
            connection.execute(
                text("INSERT INTO host_key (device_id, line, trusted_by, trusted_at) VALUES (7, 'l', 'a', 0)")
            )

    # Schema

    def test_an_upgrade_makes_a_schema_that_this_version_uses(self, empty: Database) -> None:
        with pytest.raises(SchemaTooOld, match="keyturn migrate"):
            check_schema(empty)
        upgrade(empty)
        check_schema(empty)

    def test_an_upgrade_of_what_is_up_to_date_changes_nothing(self, database: Database) -> None:
        write_entries(database, 2)
        seal_all(database)
        before = self.state(database)
        upgrade(database)
        assert self.state(database) == before

    def test_the_engine_begins_with_a_random_incarnation(self, database: Database) -> None:
        state, head = self.state(database)
        assert len(bytes.fromhex(state["incarnation"])) == 16
        assert (state["restored"], state["paused"], state["pause_reason"]) == (False, False, None)
        assert abs(state["clock_high"] - time.time()) < 60
        assert head == chain.Head(0, verification.GENESIS)

    def test_processes_that_upgrade_at_once_do_it_once(self, empty: Database) -> None:
        command = [sys.executable, "-W", "error", "-c", UPGRADE]
        running = [subprocess.Popen(command, stdin=subprocess.PIPE, text=True) for _ in range(3)]
        url = empty.engine.url.render_as_string(hide_password=False)
        for process in running:
            process.communicate(url + "\n")
        assert [process.returncode for process in running] == [0, 0, 0]
        check_schema(empty)
        self.state(empty)

    def test_threads_may_upgrade_at_once(self, empty: Database) -> None:
        together(3, lambda _: upgrade(empty))
        check_schema(empty)
        self.state(empty)

    def test_an_upgrade_that_fails_leaves_nothing(
        self, empty: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: Connection) -> None:
            raise Rolled

        monkeypatch.setattr(upgrading, "seed", fail)
        with pytest.raises(Rolled):
            upgrade(empty)
        with empty.reading() as connection:
            assert inspect(connection).get_table_names() == []

    def test_a_newer_schema_is_refused_and_left_alone(self, database: Database) -> None:
        with database.writing() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
            connection.execute(text("UPDATE engine_state SET supports = '9998'"))
        for use in (upgrade, check_schema):
            with pytest.raises(SchemaTooNew, match=r"9999.*install the version"):
                use(database)
        with database.reading() as connection:
            assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"

    def test_a_newer_schema_that_still_supports_this_code_is_worked_on(self, database: Database) -> None:
        with database.writing() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        before = self.state(database)
        for use in (upgrade, check_schema):
            use(database)
        assert self.state(database) == before

    def state(self, database: Database) -> tuple[dict[str, Any], chain.Head]:
        """The two rows without which nothing runs; fails if either is missing or there are two."""
        with database.reading() as connection:
            return dict(connection.execute(select(engine_state)).mappings().one()), chain.head(connection)

    # Audit

    def test_an_entry_is_kept_as_it_was_given(self, database: Database) -> None:
        details = {
            "n": 2**63 - 1,
            "f": 0.1,
            "yes": True,
            "none": None,
            "text": 'é\n"\\ 🔑',
            Word.CHANGED: "k",
        }
        with database.writing() as connection:
            entry = audit.write(
                connection,
                actor="a" * 254 + "🔑",
                action=Word.CHANGED,
                object="root@db1",
                operation_id=4,
                epoch=9,
                outcome="succeeded",
                details=details,
            )
        with database.reading() as connection:
            row = connection.execute(select(audit_entry).where(audit_entry.c.id == entry)).mappings().one()
        assert abs(row["at"] - time.time()) < 60
        assert (row["actor"], row["action"], row["object"]) == ("a" * 254 + "🔑", "changed", "root@db1")
        assert (row["operation_id"], row["epoch"], row["outcome"]) == (4, 9, "succeeded")
        assert row["details"] == details
        assert (row["sequence"], row["previous_hash"], row["hash"]) == (None, None, None)

    def test_an_export_of_any_number_is_whole(self, database: Database) -> None:
        numbers = [0.0, -0.0, 1e22, 1e300, 5e-324, 1.5, 0.1 + 0.2, -(2**63) + 1, 2**63 - 1, 0]
        with database.writing() as connection:
            for number in numbers:
                write_entry(connection, details={"number": number})
        seal_all(database)
        lines = exported(database)
        assert verification.verify(lines).whole
        # PostgreSQL writes 1e300 as a whole number
        kept = [float(json.loads(line)["details"]["number"]) for line in lines[1:]]
        assert kept == [float(number) for number in numbers]

    def test_entries_of_ten_writers_are_sealed_without_a_gap(self, database: Database) -> None:
        writers, entries = 10, 12
        written = threading.Semaphore(0)

        def write(writer: int) -> None:
            for number in range(entries):
                with database.writing() as connection:
                    write_entry(connection, writer * entries + number)
                roll_back(database, write_entry)
            written.release()

        def seal(_: int) -> list[list[str]]:
            views = []
            for _ in range(writers // 2):
                written.acquire()
                with database.writing() as connection:
                    chain.append(connection, limit=7)
                views.append(exported(database))
            return views

        seen = together(writers + 2, lambda number: seal(number) if number >= writers else write(number))
        views = [view for views in seen[writers:] for view in views]
        seal_all(database)
        final = exported(database)
        assert [json.loads(line)["sequence"] for line in final[1:]] == list(range(1, writers * entries + 1))
        assert len({json.loads(line)["object"] for line in final[1:]}) == writers * entries
        for view in [*views, final]:
            assert verification.verify(view).whole
            assert view[1:] == final[1 : len(view)]

    def test_appenders_at_once_seal_each_entry_once(self, database: Database) -> None:
        write_entries(database, 60)

        def seal(_: int) -> int:
            with database.writing() as connection:
                return chain.append(connection, limit=10)

        assert together(6, seal) == [10] * 6
        assert verification.verify(exported(database)).sealed == 60

    def test_an_appender_that_dies_has_sealed_nothing(self, database: Database) -> None:
        write_entries(database, 3)
        roll_back(database, chain.append)
        assert verification.verify(exported(database)).unsealed == 3
        seal_all(database)
        assert verification.verify(exported(database)).sealed == 3

    def test_an_appender_says_when_none_waits(self, database: Database) -> None:
        write_entries(database, 5)
        with database.writing() as connection:
            assert [chain.append(connection, limit=2) for _ in range(4)] == [2, 2, 1, 0]

    def test_an_export_says_how_far_it_is_sealed(self, database: Database) -> None:
        write_entries(database, 4)
        seal_all(database)
        write_entries(database, 3)
        lines = exported(database)
        header, verdict = json.loads(lines[0]), verification.verify(lines)
        assert (header["sealed"], header["unsealed"], len(lines)) == (4, 3, 5)
        assert header["incarnation"] == self.state(database)[0]["incarnation"]
        assert abs(header["exported_at"] - time.time()) < 60
        assert (verdict.whole, verdict.sealed, verdict.unsealed) == (True, 4, 3)
        assert verdict.head == header["head"] == json.loads(lines[-1])["hash"]
        with database.reading() as connection:
            assert audit.unsealed(connection) == 3

    def test_an_export_longer_than_a_page_is_whole(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(export, "PAGE", 7)
        for sealed in (7, 14, 20):
            write_entries(database, sealed - self.state(database)[1].sequence)
            seal_all(database)
            assert verification.verify(exported(database)) == verification.Verdict(
                sealed, self.state(database)[1].hash, 0
            )

    def test_an_empty_record_exports_a_header(self, database: Database) -> None:
        assert verification.verify(exported(database)) == verification.Verdict(0, verification.GENESIS, 0)

    def test_what_is_changed_in_the_database_shows_in_the_export(self, database: Database) -> None:
        write_entries(database, 5)
        seal_all(database)
        for tampering, problem in TAMPERING.items():
            with database.engine.begin() as connection:
                connection.exec_driver_sql(tampering)
                export.export(connection, out := io.StringIO())
                connection.rollback()
            verdict = verification.verify(out.getvalue().splitlines())
            assert (verdict.bad, verdict.problem) == (3, problem), tampering
        assert verification.verify(exported(database)).whole

    def test_without_a_head_nothing_is_sealed_or_exported(self, database: Database) -> None:
        with database.writing() as connection:
            connection.execute(audit_chain.delete())
        for use in (chain.append, lambda connection: export.export(connection, io.StringIO())):
            with pytest.raises(ChainNotPrepared, match="schema"), database.writing() as connection:
                use(connection)

    # Outbox

    def test_notices_are_numbered_after_their_commit_without_a_gap(self, database: Database) -> None:
        with database.writing() as connection:
            outbox.notice(connection, "secret_changed", {"credential": 3, "new": True}, 5)
            outbox.notice(connection, "paused", {})
            assert outbox.after(connection, 0, 10) == []
        with database.engine.begin() as connection:
            outbox.notice(connection, "never", {})
            connection.rollback()
        with database.writing() as connection:
            outbox.notice(connection, "resumed", {})
            numbered = outbox.number(connection)
            assert outbox.number(connection) == []
        assert [(n.sequence, n.kind, n.operation_id, n.payload) for n in numbered] == [
            (1, "secret_changed", 5, {"credential": 3, "new": True}),
            (2, "paused", None, {}),
            (3, "resumed", None, {}),
        ]
        with database.reading() as connection:
            assert outbox.after(connection, 1, 10) == numbered[1:]
            assert outbox.head(connection) == 3

    def test_notices_come_in_bounded_batches_the_oldest_first(self, database: Database) -> None:
        with database.writing() as connection:
            for number in range(5):
                outbox.notice(connection, "test", {"n": number})
            assert [n.sequence for n in outbox.number(connection, 3)] == [1, 2, 3]
            assert [n.sequence for n in outbox.number(connection, 3)] == [4, 5]
            assert [n.sequence for n in outbox.after(connection, 1, 2)] == [2, 3]

    def test_a_callback_is_a_delivery_of_its_own(self, database: Database) -> None:
        with database.writing() as connection:
            made = outbox.notice(connection, "test", {}, 5, ["https://a", "https://b"])
            waiting = connection.execute(select(delivery)).all()
        assert [(row.notice_id, row.url, row.state, row.tries) for row in waiting] == [
            (made, "https://a", "waiting", 0),
            (made, "https://b", "waiting", 0),
        ]
