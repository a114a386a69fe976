"""`keyturn receiver`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Keyturn

KEY = "whsec_" + "A" * 44
SHOWN = {
    "name": "hook",
    "kind": "webhook",
    "zone": "default",
    "url": "https://hook.example/in",
    "format": "cloudevents",
    "kinds": ["operation.*"],
    "options": {},
    "enabled": True,
    "waiting": 3,
    "dead": 2,
    "error": "it answered 500",
    "due": 1.0,
    "created": 1.0,
}
DEAD = [{"id": 9, "sequence": 4, "kind": "operation.failed", "at": 1.0, "tries": 12, "error": "gone"}]


def test_a_made_key_is_printed_once(keyturn: Keyturn) -> None:
    keyturn.engine.answer("POST /receivers", {"receiver": SHOWN, "secret": KEY})
    said = keyturn("receiver", "add", "hook", "https://hook.example/in").output
    assert KEY in said.splitlines()
    assert "not shown again" in said
    assert keyturn.engine.sent("POST /receivers") == {
        "name": "hook",
        "url": "https://hook.example/in",
        "kind": "webhook",
        "options": {},
        "from_start": False,
    }


def test_a_key_comes_by_standard_input_and_is_not_printed(keyturn: Keyturn) -> None:
    keyturn.engine.answer("POST /receivers", {"receiver": SHOWN, "secret": None})
    done = keyturn("receiver", "add", "hook", "https://hook.example/", "--secret-file", "-", stdin=KEY + "\n")
    assert done.output == "receiver hook added\n"
    assert keyturn.engine.sent("POST /receivers")["secret"] == KEY


def test_everything_that_can_be_said_of_a_syslog_receiver_is_sent(keyturn: Keyturn, tmp_path: Path) -> None:
    keyturn.engine.answer("POST /receivers", {"receiver": SHOWN, "secret": None})
    Path("ca.pem").write_text("the certificate")
    options = ("--ca", "ca.pem", "--facility", "0", "--max-bytes", "2048", "--format", "cef")
    wanted = ("--zone", "dmz", "--notices", "operation.*", "--notices", "audit.checkpoint", "--from-start")
    assert keyturn("receiver", "add", "siem", "tls://siem.example:6514", *options, *wanted).exit_code == 0
    assert keyturn.engine.sent("POST /receivers") == {
        "name": "siem",
        "url": "tls://siem.example:6514",
        "kind": "syslog",
        "zone": "dmz",
        "format": "cef",
        "kinds": ["operation.*", "audit.checkpoint"],
        "options": {"ca": "the certificate", "facility": 0, "max_bytes": 2048},
        "from_start": True,
    }


def test_cleartext_is_an_option_of_the_receiver(keyturn: Keyturn) -> None:
    keyturn.engine.answer("POST /receivers", {"receiver": SHOWN, "secret": None})
    keyturn("receiver", "add", "hook", "http://hook.example/", "--cleartext")
    assert keyturn.engine.sent("POST /receivers")["options"] == {"cleartext": True}


def test_receivers_are_shown(keyturn: Keyturn) -> None:
    keyturn.engine.answer("GET /receivers", [SHOWN])
    keyturn.engine.answer("GET /receivers/hook", SHOWN)
    assert "hook" in keyturn("receiver", "list").output
    assert "it answered 500" in keyturn("receiver", "show", "hook").output
    assert keyturn.json("receiver", "show", "hook") == SHOWN


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("enable", "receiver a/b is enabled"),
        ("disable", "receiver a/b is disabled"),
        ("remove", "receiver a/b removed"),
    ],
)
def test_it_is_turned_and_removed(keyturn: Keyturn, command: str, said: str) -> None:
    keyturn.engine.answer(f"POST /receivers/a%2Fb/{command}", {"name": "a/b"})
    assert keyturn("receiver", command, "a/b").output == said + "\n"


def test_dead_deliveries_are_listed_and_tried_again(keyturn: Keyturn) -> None:
    keyturn.engine.answer("GET /receivers/hook/deliveries", DEAD)
    keyturn.engine.answer("POST /receivers/hook/redeliver", {"deliveries": 1})
    assert "gone" in keyturn("receiver", "dead", "hook").output
    assert keyturn.json("receiver", "dead", "hook") == DEAD
    assert keyturn("receiver", "redeliver", "hook").output == "1 deliveries are tried again\n"
    keyturn("receiver", "redeliver", "hook", "--delivery", "9")
    assert keyturn.engine.calls[-1] == ("POST /receivers/hook/redeliver", {"delivery": 9})


def test_callbacks_have_a_list_of_their_own(keyturn: Keyturn) -> None:
    keyturn.engine.answer("GET /deliveries/dead", [DEAD[0] | {"url": "https://tickets.example/7"}])
    keyturn.engine.answer("POST /deliveries/redeliver", {"deliveries": 2})
    assert keyturn.json("receiver", "dead", "--callbacks")[0]["url"] == "https://tickets.example/7"
    assert keyturn("receiver", "redeliver", "--callbacks").exit_code == 0


@pytest.mark.parametrize("arguments", [(), ("hook", "--callbacks")])
def test_whose_list_it_is_must_be_said(keyturn: Keyturn, arguments: tuple[str, ...]) -> None:
    for command in ("dead", "redeliver"):
        assert keyturn("receiver", command, *arguments).exit_code == 2
    assert keyturn.engine.calls == []
