"""`keyturn template retire`."""

from __future__ import annotations

from tests.unit.cli.conftest import Keyturn

GONE = {"name": "our/old one", "version": 3, "executor": "ssh", "action": "change_secret"}


def test_it_says_what_is_out_of_use_and_what_is_kept(keyturn: Keyturn) -> None:
    keyturn.engine.answer("POST /templates/our/old%20one/retire", GONE)
    told = keyturn("template", "retire", "our/old one")
    assert told.exit_code == 0, told.output
    assert told.stdout == "our/old one is out of use; its versions up to 3 are kept\n"
    assert keyturn.json("template", "retire", "our/old one") == GONE
