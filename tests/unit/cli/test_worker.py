"""`keyturn worker list` and `drain`; settings with which no process starts, each refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.cli.errors import CommandFailed
from engine.cli.exits import Exit
from tests.unit.cli.conftest import Keyturn

DATABASE = "postgresql+psycopg://kt@192.0.2.1/kt"


def worker(name: str, zone: str = "left", stopped: float | None = None, **fields: Any) -> dict[str, Any]:
    moments = {"started": 1.0, "beat": 2.0, "stopped": stopped}
    return {"name": name, "zone": zone, "busy": 0, "threads": 8, "draining": False, **moments, **fields}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.cli.worker.LOOK", 0.0)


def drained(keyturn: Keyturn) -> list[str]:
    return [call for call, _ in keyturn.engine.calls if call.startswith("POST")]


def test_the_list_holds_those_at_work_and_with_all_those_that_have_gone(keyturn: Keyturn) -> None:
    keyturn.engine.answer("GET /workers", [worker("one"), worker("two", stopped=3.0)])
    assert [row["name"] for row in keyturn.json("worker", "list")] == ["one"]
    assert [row["name"] for row in keyturn.json("worker", "list", "--all")] == ["one", "two"]
    shown = keyturn("worker", "list").stdout
    assert "one" in shown
    assert "left" in shown
    assert "two" not in shown


def test_one_worker_is_drained_by_its_name(keyturn: Keyturn) -> None:
    keyturn.engine.answer("POST /workers/host-1-abc/drain", worker("host-1-abc", draining=True))
    assert keyturn.json("worker", "drain", "host-1-abc") == {"draining": ["host-1-abc"]}


def test_a_name_that_is_no_path_segment_is_quoted(keyturn: Keyturn) -> None:
    keyturn.engine.answer("POST /workers/a%2F..%2Fb/drain", worker("a/../b"))
    assert keyturn("worker", "drain", "a/../b").exit_code == 0


def test_all_of_a_zone_are_drained_and_no_others(keyturn: Keyturn) -> None:
    there = [worker("one"), worker("two"), worker("three", "right"), worker("gone", stopped=3.0)]
    keyturn.engine.answer("GET /workers", there)
    for name in ("one", "two"):
        keyturn.engine.answer(f"POST /workers/{name}/drain", {})
    assert keyturn.json("worker", "drain", "--zone", "left") == {"draining": ["one", "two"]}
    assert drained(keyturn) == ["POST /workers/one/drain", "POST /workers/two/drain"]


def test_a_zone_without_workers_is_no_success(keyturn: Keyturn) -> None:
    keyturn.engine.answer("GET /workers", [worker("one")])
    told = keyturn("worker", "drain", "--zone", "lefft", "--wait")
    assert told.exit_code == Exit.INPUT_REFUSED
    assert "no worker of zone lefft is at work" in told.output
    assert drained(keyturn) == []


def test_an_unknown_worker_is_told_in_the_engine_s_words(keyturn: Keyturn) -> None:
    refused = CommandFailed(Exit.INPUT_REFUSED, "there is no worker 'x' at work", "unknown_worker")
    keyturn.engine.answer("POST /workers/x/drain", refused)
    assert keyturn("worker", "drain", "x").exit_code == Exit.INPUT_REFUSED


@pytest.mark.parametrize("arguments", [(), ("one", "--zone", "left")])
def test_a_drain_needs_a_name_or_a_zone_and_not_both(keyturn: Keyturn, arguments: tuple[str, ...]) -> None:
    assert keyturn("worker", "drain", *arguments).exit_code == Exit.USAGE
    assert drained(keyturn) == []


def test_waiting_ends_when_it_has_stopped(keyturn: Keyturn) -> None:
    keyturn.engine.answer("POST /workers/one/drain", {})
    at_work, gone = [worker("one", busy=1)], [worker("one", stopped=3.0)]
    keyturn.engine.answer("GET /workers", at_work, at_work, gone)
    told = keyturn("worker", "drain", "one", "--wait")
    assert (told.exit_code, told.stdout) == (0, "one stopped\n")


def test_waiting_has_an_end_that_scripts_can_tell(keyturn: Keyturn) -> None:
    keyturn.engine.answer("POST /workers/one/drain", {})
    keyturn.engine.answer("GET /workers", [worker("one", busy=1)])
    told = keyturn("worker", "drain", "one", "--wait", "--timeout", "0")
    assert told.exit_code == Exit.WAIT_TIMEOUT
    assert "one still works on something" in told.output


# What no process starts with


def refused(keyturn: Keyturn, role: str, *arguments: str) -> str:
    """The only sentence. Standard output stays empty; so it does with --json."""
    plain = keyturn("--data", "data", role, *arguments)
    assert plain.exit_code == Exit.INPUT_REFUSED, plain.output
    assert plain.stdout == ""
    machine = keyturn("--data", "data", role, *arguments, "--json")
    error = json.loads(machine.stderr)["error"]
    assert (error["code"], error["exit"]) == ("bad_settings", Exit.INPUT_REFUSED)
    assert f"error: {error['detail']}\n" == plain.stderr
    return str(error["detail"])


@pytest.mark.parametrize("role", ["api", "worker"])
def test_processes_of_their_own_need_a_database_of_its_own(keyturn: Keyturn, role: str) -> None:
    assert "SQLite is for one process" in refused(keyturn, role)
    assert not Path("data").exists()


@pytest.mark.parametrize("role", ["api", "worker", "up", "migrate"])
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("DATABASE", "postgresql+psycopg://kt:canary-4711@db/kt", "leave the password out"),
        ("DATABASE", "hello canary-4711", "this is no URL"),
        ("DATABASE", "postgresql+psycopg://kt@db:canary-4711/kt", "this is no URL"),
        ("DATABASE", "mysql://canary-4711@db/kt", "its scheme is none of"),
        ("DATABASE", "sqlite:////canary-4711", "its scheme is none of"),
        ("BROKER", "redis://kt:canary-4711@db/0", "leave the password out"),
        ("BROKER", "redis://kt:canary-4711", "this is no URL"),
        ("BROKER", "http://canary-4711/0", "its scheme is none of"),
        ("THREADS", "canary-4711", "threads: "),
        ("CALLBACK_HOSTS", "canary-4711", "callback_hosts"),
        ("TLS_KEY", "/canary-4711", "tls_key: name its certificate"),
        ("REACHABLE_TARGETS", "canary-4711", "reachable_targets: "),
    ],
)
def test_a_setting_that_cannot_be_is_named_and_its_value_never_shown(
    keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch, role: str, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"KEYTURN_{name}", value)
    detail = refused(keyturn, role)
    assert told in detail
    assert "canary" not in detail
    assert "Value error" not in detail


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"zone = [", "keyturn.toml is not TOML"),
        (b'zone = "\xff"', "keyturn.toml is not written in UTF-8"),
        (b"colour = 1", "colour: "),
        (b"zone = 5", "zone: "),
        (b"lease = 10.0\ndeadline = 20.0", "a lease must outlive the child"),
    ],
)
def test_a_settings_file_that_cannot_be_read_is_told_of(keyturn: Keyturn, content: bytes, told: str) -> None:
    Path("data").mkdir()
    Path("data/keyturn.toml").write_bytes(content)
    assert refused(keyturn, "worker").startswith(told)


def test_a_settings_file_that_is_a_directory_is_told_of(keyturn: Keyturn) -> None:
    Path("data/keyturn.toml").mkdir(parents=True)
    for role in ("api", "worker", "up"):
        assert keyturn("--data", "data", role).exit_code != 0


@pytest.mark.parametrize("listen", ["0.0.0.0:8470", "[::]:8470", "192.0.2.1:8470", "db.example:8470"])
def test_the_api_does_not_listen_to_others_in_plain_text(
    keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch, listen: str
) -> None:
    monkeypatch.setenv("KEYTURN_DATABASE", DATABASE)
    assert "answers hold secrets" in refused(keyturn, "api", "--listen", listen)


def test_the_embedded_engine_listens_to_this_machine_alone(
    keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYTURN_TLS_CERTIFICATE", "/c.pem")
    assert "no loopback address" in refused(keyturn, "up", "--listen", "0.0.0.0:1")


@pytest.mark.parametrize("name", ["DATABASE", "BROKER"])
def test_the_embedded_engine_is_not_started_on_a_database_or_broker_of_others(
    keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"KEYTURN_{name}", DATABASE if name == "DATABASE" else "redis://192.0.2.1/0")
    told = keyturn("--data", "data", "up")
    assert told.exit_code == Exit.NOT_READY
    assert "`keyturn worker --zone ZONE`" in told.stderr
    assert not Path("data").exists()


@pytest.mark.parametrize("content", [None, b"\xffcanary-4711\n"])
def test_a_password_file_that_is_missing_or_no_text_is_told_of_in_one_sentence(
    keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    monkeypatch.setenv("KEYTURN_DATABASE", DATABASE)
    monkeypatch.setenv("KEYTURN_DATABASE_PASSWORD_FILE", "password")
    if content is not None:
        Path("password").write_bytes(content)
    told = keyturn("--data", "data", "migrate")
    assert told.exit_code == Exit.NOT_READY
    assert "password" in told.stderr
    assert "Traceback" not in told.stderr
    assert "canary" not in told.output
    assert told.exception is None or isinstance(told.exception, SystemExit)
