"""What the record refuses to keep, and that the refusal does not repeat it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from engine.record import audit, outbox
from engine.record.errors import NotRecordable
from engine.store.database import Database
from engine.store.upgrade import upgrade
from executors.contract.secret import Secret

CANARY = "CANARY-7f3a"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder: Path = tmp_path_factory.mktemp("audit")
    database = Database(f"sqlite:///{folder}/keyturn.sqlite")
    upgrade(database)
    yield database
    database.dispose()


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.writing() as connection:
        yield connection


def refuse(connection: Connection, **values: Any) -> str:
    entry: dict[str, Any] = {"actor": "ann", "action": "test", "object": "root@db1", **values}
    with pytest.raises(NotRecordable) as caught:
        audit.write(connection, **entry)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert audit.unsealed(connection) == 0
    return str(caught.value)


UNKEEPABLE: list[tuple[object, str]] = [
    (Secret(CANARY), "is a Secret"),
    (CANARY.encode(), "is a bytes"),
    ([CANARY], "is a list"),
    ({"password": CANARY}, "is a dict"),
    (Path(CANARY), "Path"),
    (f"{CANARY}\0", "NUL"),
    (f"{CANARY}\ud800", "surrogate"),
]


@pytest.mark.parametrize(("value", "why"), UNKEEPABLE)
@pytest.mark.parametrize("field", ["actor", "action", "object", "outcome"])
def test_a_field_holds_text_only(connection: Connection, field: str, value: object, why: str) -> None:
    message = refuse(connection, **{field: value})
    assert message.startswith(field)
    assert why in message


@pytest.mark.parametrize(("value", "why"), UNKEEPABLE)
def test_details_hold_scalars_only(connection: Connection, value: object, why: str) -> None:
    message = refuse(connection, details={"fine": 1, "wrong": value})
    assert message.startswith("details['wrong']")
    assert why in message


@pytest.mark.parametrize("name", [7, None, b"x", "\0", "\ud800"])
def test_names_in_details_are_text(connection: Connection, name: object) -> None:
    assert refuse(connection, details={name: "x"}).startswith("a name in details")


@pytest.mark.parametrize(
    "number", [float("nan"), float("inf"), float("-inf"), 2**63, -(2**64), pytest.param(10**5000, id="huge")]
)
def test_numbers_are_finite_and_fit_64_bits(connection: Connection, number: float) -> None:
    assert "number" in refuse(connection, details={"number": number})


@pytest.mark.parametrize("field", ["actor", "action", "object"])
def test_who_what_and_where_are_always_said(connection: Connection, field: str) -> None:
    assert refuse(connection, **{field: None}).startswith(f"{field} is a NoneType")


@pytest.mark.parametrize(
    ("field", "longest"), [("actor", 255), ("action", 64), ("object", 512), ("outcome", 32)]
)
def test_a_text_longer_than_its_column_is_refused(connection: Connection, field: str, longest: int) -> None:
    message = refuse(connection, **{field: (CANARY * 60)[: longest + 1]})
    assert message == f"{field} is longer than {longest} characters; shorten it"
    entry: dict[str, Any] = {"actor": "ann", "action": "test", "object": "root@db1", field: "é" * longest}
    with connection.begin_nested() as savepoint:
        assert audit.write(connection, **entry) > 0
        savepoint.rollback()


def test_details_are_bounded(connection: Connection) -> None:
    assert "16384 bytes" in refuse(connection, details={"text": CANARY * 1500})
    assert "16384 bytes" in refuse(connection, details={"text": "é" * 3000})


@pytest.mark.parametrize(("value", "why"), UNKEEPABLE)
def test_a_notice_is_as_strict(connection: Connection, value: Any, why: str) -> None:
    calls: list[tuple[Any, ...]] = [("test", {"wrong": value}), (value, {}), ("test", {}, None, [value])]
    for arguments in calls:
        with pytest.raises(NotRecordable, match=why) as caught:
            outbox.notice(connection, *arguments)
        assert CANARY not in str(caught.value)
    assert outbox.number(connection) == []


def test_a_notice_needs_a_kind_that_fits(connection: Connection) -> None:
    for kind in ("k" * 65, None):
        with pytest.raises(NotRecordable, match="kind is"):
            outbox.notice(connection, kind, {})  # type: ignore[arg-type]
