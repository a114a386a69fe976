"""`keyturn restored`."""

from __future__ import annotations

from tests.unit.cli.conftest import Keyturn

VIEW = {
    "restored": True,
    "credentials": [
        {"credential": "svc@web1", "state": "in_doubt", "reason": "the database was restored", "versions": 2}
    ],
}


def test_what_was_brought_back_is_shown_to_people_and_programs(keyturn: Keyturn) -> None:
    keyturn.engine.answer("GET /restored", VIEW)
    shown = keyturn("restored", "show").output
    assert "changes wait" in shown
    assert "svc@web1" in shown
    assert keyturn.json("restored", "show") == VIEW


def test_a_person_ends_the_mode(keyturn: Keyturn) -> None:
    keyturn.engine.answer("POST /restored/end", {"restored": False, "credentials": []})
    assert keyturn("restored", "end").output == "changes go on\n"
    assert keyturn.engine.calls == [("POST /restored/end", {})]
