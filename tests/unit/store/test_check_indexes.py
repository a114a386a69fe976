"""The check of migrations sees what it is there to see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, ForeignKey, Index, Integer, MetaData, UniqueConstraint, text

from engine.store import migrations
from engine.store.database import Database
from engine.store.metadata import metadata
from engine.store.upgrade import upgrade
from tests import check_indexes
from tests.check_indexes import check, differences, load_models
from tests.peers import postgres


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    load_models()
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('migrated')}/keyturn.sqlite")
    upgrade(database)
    yield database
    database.dispose()


def declared(mutate: Callable[[MetaData], object], tmp_path: Path) -> Database:
    """A database of the declared tables after one change."""
    changed = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.sorted_tables:
        table.to_metadata(changed)
    mutate(changed)
    database = Database(f"sqlite:///{tmp_path}/declared.sqlite")
    with database.writing() as connection:
        changed.create_all(connection)
    return database


def index(tables: MetaData, name: str) -> Index:
    return next(found for table in tables.tables.values() for found in table.indexes if found.name == name)


def replace(tables: MetaData, name: str, where: str, *, unique: bool = True) -> None:
    old = index(tables, name)
    assert old.table is not None
    old.table.indexes.remove(old)
    columns = [old.table.c[column.name] for column in old.columns]
    Index(name, *columns, unique=unique, sqlite_where=text(where))


LIVE = "uq_operation_live"
MUTATIONS: dict[str, Callable[[MetaData], object]] = {
    "a changed WHERE": lambda tables: replace(tables, LIVE, "state IN ('running')"),
    "a WHERE with one letter changed": lambda tables: replace(
        tables, LIVE, "state IN ('running', 'in-doubt')"
    ),
    "an index no longer unique": lambda tables: replace(
        tables, LIVE, "state IN ('running', 'in_doubt')", unique=False
    ),
    "an index gone": lambda tables: tables.tables["operation"].indexes.remove(index(tables, LIVE)),
    "another index": lambda tables: Index("ix_new", tables.tables["operation"].c.state),
    "another column": lambda tables: tables.tables["zone"].append_column(Column("new", Integer)),
    "a column that may be null": lambda tables: setattr(tables.tables["zone"].c.created, "nullable", True),
    "another type": lambda tables: setattr(tables.tables["zone"].c.created, "type", Integer()),
    "another table": lambda tables: tables.tables["zone"].to_metadata(tables, name="zone2"),
    "another unique constraint": lambda tables: tables.tables["device"].append_constraint(
        UniqueConstraint("site", "address")
    ),
    "another reference": lambda tables: tables.tables["token"].append_column(
        Column("zone_id", Integer, ForeignKey("zone.id"))
    ),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_the_check_sees(mutation: str, migrated: Database, tmp_path: Path) -> None:
    created = declared(MUTATIONS[mutation], tmp_path)
    assert differences(migrated, created) != []
    created.dispose()


def test_the_diff_shows_both_conditions(migrated: Database, tmp_path: Path) -> None:
    created = declared(MUTATIONS["a changed WHERE"], tmp_path)
    old, new = (line for line in differences(migrated, created) if LIVE in line)
    assert old.startswith("-index")
    assert old.endswith("WHERE state IN ('running', 'in_doubt')")
    assert new.startswith("+index")
    assert new.endswith("WHERE state IN ('running')")
    created.dispose()


def test_the_migrations_build_what_the_tables_declare(tmp_path: Path) -> None:
    load_models()
    names = iter(("migrated", "created"))
    assert check(lambda: f"sqlite:///{tmp_path}/{next(names)}.sqlite")


def test_the_command_fails_when_one_dialect_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_indexes, "_check_sqlite", lambda: True)
    monkeypatch.setattr(check_indexes, "_check_postgresql", lambda: False)
    assert check_indexes.main() == 1


@pytest.mark.parametrize(("ci", "agrees"), [("true", False), ("", True)])
def test_without_postgresql_the_command_says_so_and_fails_in_continuous_integration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ci: str, agrees: bool
) -> None:
    monkeypatch.setattr(postgres, "available", lambda: False)
    monkeypatch.setenv("CI", ci)
    assert check_indexes._check_postgresql() is agrees
    assert "postgresql: not compared" in capsys.readouterr().out


def test_no_tables_refer_to_each_other_in_a_circle() -> None:
    load_models()
    # a circle is a warning, and warnings are errors here
    assert len(metadata.sorted_tables) == len(metadata.tables)


def test_a_migration_never_asks_the_tables_of_today() -> None:
    scripts = [*(Path(migrations.__path__[0]) / "versions").glob("v*.py")]
    assert scripts
    for script in scripts:
        assert "create_all" not in script.read_text()
        assert "import engine" not in script.read_text()
        assert "from engine" not in script.read_text()
