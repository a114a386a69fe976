"""Two processes that want the same at the same moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, delete, text

from engine.catalog import lifecycle
from engine.catalog.credentials import get_credential, list_credentials
from engine.catalog.errors import DuplicateCredential, ParentCycle, WrongState
from engine.catalog.links import Link, set_parent
from engine.catalog.states import CredentialState
from engine.store.database import Database
from engine.store.metadata import metadata
from tests.unit.scene import ACTOR, given_credential, given_device, zone

BLOCKED = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


@pytest.fixture
def shop(on_postgresql: Database) -> Iterator[Database]:
    with on_postgresql.writing() as connection:
        zone(connection)
        given_device(connection, "web1")
    yield on_postgresql
    with on_postgresql.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))


def second(
    shop: Database, first: Callable[[Connection], object], then: Callable[[Connection], object]
) -> None:
    """`then` begins while `first` is not committed, and waits for it; raises what `then` raises."""

    def rival() -> None:
        with shop.writing() as connection:
            then(connection)

    with ThreadPoolExecutor(1) as pool:
        with shop.writing() as connection:
            first(connection)
            waiting: Future[None] = pool.submit(rival)
            while not (waiting.done() or connection.execute(BLOCKED).scalar_one()):
                pass
            assert not waiting.done()
        waiting.result()


def test_of_two_registrations_of_an_account_the_later_is_refused_naming_the_earlier(shop: Database) -> None:
    with pytest.raises(DuplicateCredential, match="registered already as root@web1"):
        second(
            shop,
            lambda connection: given_credential(connection, "root@web1"),
            lambda connection: given_credential(connection, "root@web1"),
        )
    with shop.reading() as connection:
        assert len(list_credentials(connection)) == 1


def test_two_links_made_at_once_cannot_close_a_circle(shop: Database) -> None:
    with shop.writing() as connection:
        a, b = (given_credential(connection, f"{name}@web1").id for name in "ab")
    with pytest.raises(ParentCycle):
        second(
            shop,
            lambda connection: set_parent(connection, a, b, Link.OWN),
            lambda connection: set_parent(connection, b, a, Link.OWN),
        )


def test_of_two_changes_of_state_the_later_is_refused_and_told_how_it_stands(shop: Database) -> None:
    with shop.writing() as connection:
        made = given_credential(connection, "root@web1").id
    with pytest.raises(WrongState, match="root@web1 is retired and cannot become suspended"):
        second(
            shop,
            lambda connection: lifecycle.retire(connection, ACTOR, made),
            lambda connection: lifecycle.suspend(connection, ACTOR, made, "audit"),
        )
    with shop.reading() as connection:
        assert get_credential(connection, made).state is CredentialState.RETIRED
