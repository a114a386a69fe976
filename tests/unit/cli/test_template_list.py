"""`keyturn template list` says what each template was tried on, and which content it is."""

from __future__ import annotations

from engine.templating.library import shipped
from tests.unit.cli.conftest import Keyturn

SHIPPED = {file.name: file for file in shipped()}


def test_without_an_engine_it_shows_what_comes_with_the_release(keyturn: Keyturn) -> None:
    listed = {each["name"]: each for each in keyturn.json("template", "list")}
    assert listed.keys() == SHIPPED.keys()
    assert {name: each["sha256"] for name, each in listed.items()} == {
        name: file.sha256 for name, file in SHIPPED.items()
    }
    assert listed["linux-own-password"]["tier"] == "proven"
    assert listed["cisco-ios-by-administrator"]["tier"] == "emulated"
    assert listed["fake-own-password"]["tier"] is None


def test_the_table_has_the_tier_and_the_beginning_of_the_digest(keyturn: Keyturn) -> None:
    rows = keyturn("template", "list").output.splitlines()
    own = next(row.split() for row in rows if row.startswith("linux-own-password "))
    assert own == ["linux-own-password", "1", "proven", "change_secret", SHIPPED[own[0]].sha256[:12]]
