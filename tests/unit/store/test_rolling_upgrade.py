"""An old release beside a newer schema: it goes on, or is told to stop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from engine.store.database import Database
from engine.store.upgrade import SchemaTooNew, SchemaTooOld, check_schema, upgrade
from tests.migrations import HEAD, LATER, OWN, later_release, narrowing, upgrade_to
from tests.unit.operations.room import Room


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path}/rolling.sqlite")
    yield made
    made.dispose()


@pytest.fixture
def room(empty: Database, tmp_path: Path) -> Iterator[Room]:
    upgrade(empty)
    made = Room(empty, tmp_path)
    yield made
    made.journal.close()


def expanded(room: Room, tmp_path: Path, supports: str) -> None:
    with later_release(tmp_path / "later", supports):
        upgrade(room.database)
    room.database.dispose()  # as a process that connects anew


def test_a_worker_goes_on_while_a_later_release_expands_the_schema(room: Room, tmp_path: Path) -> None:
    room.admin()
    ann, bob = room.account("ann"), room.account("bob", auth="boss@box")
    claimed = room.claim(room.ask(ann).operation_id)
    expanded(room, tmp_path, HEAD)
    check_schema(room.database)
    room.ledger().renew(claimed)
    assert room.change(bob) == "succeeded"
    room.leases_end()
    room.due_now()
    assert room.work(claimed.operation_id) == "succeeded"
    assert room.opens("ann", ann)
    room.device("another")
    room.account("carol", on="another")
    with room.database.reading() as connection:
        assert "later" in inspect(connection).get_table_names()
        weights = connection.execute(text("SELECT DISTINCT weight FROM operation")).scalars().all()
    assert weights == [1]


def test_its_own_upgrade_leaves_the_later_schema_as_it_is(room: Room, tmp_path: Path) -> None:
    expanded(room, tmp_path, HEAD)
    upgrade(room.database)
    with room.database.reading() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == LATER
        assert connection.execute(text("SELECT supports FROM engine_state")).scalar_one() == HEAD
    with later_release(tmp_path / "again", HEAD):
        check_schema(room.database)


def test_a_later_schema_that_only_later_releases_understand_is_refused(room: Room, tmp_path: Path) -> None:
    check_schema(room.database)
    expanded(room, tmp_path, LATER)
    with pytest.raises(SchemaTooNew, match=LATER):
        check_schema(room.database)
    with pytest.raises(SchemaTooNew):
        upgrade(room.database)
    with room.database.reading() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == LATER


def test_a_later_release_does_not_work_on_this_schema_before_it_has_migrated(
    room: Room, tmp_path: Path
) -> None:
    with later_release(tmp_path / "later", HEAD), pytest.raises(SchemaTooOld, match="keyturn migrate"):
        check_schema(room.database)


def test_the_first_releases_schema_is_too_old_until_it_is_migrated(empty: Database) -> None:
    upgrade_to(empty, "0001")
    with pytest.raises(SchemaTooOld):
        check_schema(empty)
    upgrade(empty)
    check_schema(empty)


# Migrations


def test_every_migration_after_the_second_only_expands_or_says_that_it_does_not() -> None:
    later = [path for path in OWN.glob("v*.py") if path.name >= "v0003"]
    found = {path.name: narrowing(path.read_text()) for path in later}
    assert {name: what for name, what in found.items() if what} == {}


REVISION = 'revision = "0004"\nsupports = "{}"\n'


@pytest.mark.parametrize(
    "step",
    [
        'op.drop_column("device", "later")',
        'op.drop_table("later")',
        'op.drop_index("ix_later", table_name="later")',
        'op.alter_column("device", "later", nullable=False)',
        'op.rename_table("later", "sooner")',
        'op.execute("DELETE FROM device")',
        'op.batch_alter_table("device")',
        'op.create_unique_constraint("uq_later", "device", ["later"])',
        'op.create_index("ix_later", "device", ["later"], unique=True)',
        'op.add_column("device", sa.Column("later", sa.Integer(), nullable=False))',
        'op.add_column("device", sa.Column("later", sa.Integer()))',
        'op.add_column("device", column)',
    ],
)
def test_what_an_older_release_would_stumble_over_is_found(step: str) -> None:
    assert len(narrowing(REVISION.format("0003") + step)) == 1
    assert narrowing(REVISION.format("0004") + step) == []


@pytest.mark.parametrize(
    "step",
    [
        'op.create_table("later", sa.Column("id", sa.Integer(), nullable=False))',
        'op.add_column("device", sa.Column("later", sa.Integer(), nullable=True))',
        'op.add_column("device", sa.Column("later", sa.Integer(), server_default="0", nullable=False))',
        'op.create_index("ix_later", "device", ["later"], unique=False)',
        'op.create_index(op.f("ix_later"), "device", ["later"])',
        'op.create_table("later")\nop.create_index("uq_later", "later", ["id"], unique=True)',
    ],
)
def test_what_an_older_release_does_not_notice_is_let_through(step: str) -> None:
    assert narrowing(REVISION.format("0003") + step) == []
