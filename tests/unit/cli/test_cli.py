"""What people type, what is sent to the engine, what is printed and how the command ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from engine.cli import exits
from engine.cli.client import Client, connect, endpoint
from engine.cli.errors import CommandFailed
from engine.cli.exits import Exit
from engine.cli.main import main
from engine.settings import Settings
from executors.contract import Outcome
from tests.unit.cli.conftest import Keyturn

DEVICE = {"id": 1, "name": "web1", "address": "192.0.2.7", "ports": {"ssh": 22}, "paused": False}
SVC = {"id": 7, "name": "svc@web1", "state": "unverified", "kind": "password", "current_version": None}
NAMED = "GET /credentials/named/svc%40web1"


def operation(state: str, outcome: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"id": 3, "state": state, "outcome": outcome, "needs_person": False, "reason": None, **fields}


# Devices


def test_a_device_is_added_by_the_form_that_others_rely_on(keyturn: Keyturn) -> None:
    keyturn.engine.answer("POST /devices", DEVICE)
    line = "ssh-ed25519 AAAA"
    ports, other = (
        ("--port", "ssh=22", "--port", "db=5432"),
        ("--zone", "north", "--limit", "2", "--type", "t"),
    )
    told = ("device", "add", "web1", "--address", "192.0.2.7", *ports, *other)
    result = keyturn(*told, "--jump", "gate@gw", "--host-key", line, "--host-key", "ssh-rsa BBBB")
    assert result.exit_code == 0, result.output
    sent = keyturn.engine.sent("POST /devices")
    assert sent["ports"] == {"ssh": 22, "db": 5432}
    assert list(sent["host_keys"]) == [line, "ssh-rsa BBBB"]
    assert (sent["zone"], sent["connection_limit"], sent["jump"], sent["type"]) == (
        "north",
        2,
        "gate@gw",
        "t",
    )


def test_the_zone_is_the_engines_own_unless_it_is_said(keyturn: Keyturn) -> None:
    keyturn.engine.answer("POST /devices", DEVICE)
    assert keyturn("device", "add", "web1", "--address", "::1", "--port", "ssh=22").exit_code == 0
    assert "zone" not in keyturn.engine.sent("POST /devices")


def test_a_device_is_allowed_weak_algorithms_at_once_or_later(keyturn: Keyturn) -> None:
    changed = {**DEVICE, "cleartext": False, "weak_algorithms": True}
    keyturn.engine.answer("POST /devices", changed)
    keyturn("device", "add", "web1", "--address", "::1", "--port", "ssh=22", "--weak-algorithms")
    assert keyturn.engine.sent("POST /devices")["weak_algorithms"] is True
    keyturn.engine.answer("POST /devices/web1/consent", changed)
    told = keyturn("device", "consent", "web1", "--weak-algorithms", "--no-cleartext")
    assert "web1 allows: weak_algorithms" in told.stdout
    sent = keyturn.engine.sent("POST /devices/web1/consent")
    assert sent == {"weak_algorithms": True, "cleartext": False}


@pytest.mark.parametrize("port", ["ssh", "=22", "ssh=", "ssh=x", "ssh=-1", "ssh=²"])
def test_a_port_that_is_not_service_and_number_is_a_usage_error(keyturn: Keyturn, port: str) -> None:
    assert keyturn("device", "add", "web1", "--address", "a", "--port", port).exit_code == Exit.USAGE


def test_json_may_be_said_before_or_after_the_command(keyturn: Keyturn) -> None:
    keyturn.engine.answer("GET /devices", [DEVICE])
    assert json.loads(keyturn("--json", "device", "list").stdout) == [DEVICE]
    assert keyturn.json("device", "list") == [DEVICE]


def test_what_a_target_said_cannot_style_the_terminal(keyturn: Keyturn) -> None:
    keyturn.engine.answer("GET /devices", [{**DEVICE, "name": "\x1b[31mred [bold]"}])
    shown = keyturn("device", "list").stdout
    assert "\x1b[31m" not in shown
    assert "[bold]" in shown


# Credentials


def test_a_credential_is_added_with_its_secret_from_a_file(keyturn: Keyturn, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"pa ss#*'\n")
    keyturn.engine.answer("POST /credentials", SVC)
    result = keyturn("credential", "add", "svc@web1", "--secret-file", "secret", "--auth", "root@web1",
                     "--parent", "svc@web0", "--link", "same", "--policy", "strong", "--template", "t",
                     "--identifier", "i", "--additional", "x")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert keyturn.engine.sent("POST /credentials") == {
        "name": "svc@web1", "secret": "pa ss#*'", "auth": "root@web1", "parent": "svc@web0", "link": "same",
        "policy": "strong", "template": "t", "identifier": "i", "additional": "x", "tags": (),
    }  # fmt: skip
    assert "pa ss" not in result.output


def test_a_secret_comes_from_standard_input_too(keyturn: Keyturn) -> None:
    keyturn.engine.answer(NAMED, SVC)
    keyturn.engine.answer("PUT /credentials/7/secret", {"id": 7, "version": 1, "state": "unverified"})
    assert keyturn("credential", "set", "svc@web1", "--secret-file", "-", stdin="päss\r\n").exit_code == 0
    assert keyturn.engine.sent("PUT /credentials/7/secret") == {"secret": "päss"}


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb", b"a\n\n", b"a\rb", b"\xff\xfe", b"x" * 70_000])
def test_what_no_secret_can_be_is_refused_before_the_engine_hears_of_it(
    keyturn: Keyturn, content: bytes
) -> None:
    result = keyturn("credential", "add", "svc@web1", "--secret-file", "-", stdin=content)
    assert result.exit_code == Exit.INPUT_REFUSED
    assert keyturn.engine.calls == []


def test_a_secret_file_that_is_not_there_is_refused_by_its_name(keyturn: Keyturn) -> None:
    result = keyturn("credential", "add", "svc@web1", "--secret-file", "nowhere")
    assert result.exit_code == Exit.INPUT_REFUSED
    assert "nowhere" in result.stderr


def test_there_is_no_option_that_takes_a_secret_itself(keyturn: Keyturn) -> None:
    for option in ("--secret", "--password"):
        assert keyturn("credential", "add", "svc@web1", option, "x").exit_code == Exit.USAGE


def test_enable_at_once_waits_for_the_proof(keyturn: Keyturn) -> None:
    keyturn.engine.answer("POST /credentials", SVC)
    keyturn.engine.answer("POST /credentials/7/enable", {"id": 7, "state": "unverified", "operation": 3})
    keyturn.engine.answer("GET /operations/3", operation("running"), operation("succeeded", "ok"))
    keyturn.engine.answer("GET /credentials/7", {**SVC, "state": "managed"})
    shown = keyturn.json("credential", "add", "svc@web1", "--secret-file", "-", "--enable", stdin="x1")
    assert (shown["state"], shown["operation"], shown["outcome"]) == ("managed", 3, "ok")


def test_enable_at_once_fails_where_the_secret_was_refused(keyturn: Keyturn) -> None:
    keyturn.engine.answer("POST /credentials", SVC)
    keyturn.engine.answer("POST /credentials/7/enable", {"id": 7, "state": "unverified", "operation": 3})
    keyturn.engine.answer("GET /operations/3", operation("failed", "bad_login"))
    result = keyturn("credential", "add", "svc@web1", "--secret-file", "-", "--enable", stdin="x1")
    assert result.exit_code == Exit.LOGIN_REFUSED


def test_enable_without_a_known_secret_says_that_nothing_is_proven(keyturn: Keyturn) -> None:
    keyturn.engine.answer(NAMED, SVC)
    keyturn.engine.answer("POST /credentials/7/enable", {"id": 7, "state": "unverified", "operation": None})
    keyturn.engine.answer("GET /credentials/7", SVC)
    assert keyturn("credential", "enable", "svc@web1").exit_code == Exit.NOT_PROVEN


def test_reveal_prints_what_others_rely_on(keyturn: Keyturn) -> None:
    keyturn.engine.answer(NAMED, SVC)
    keyturn.engine.answer("POST /credentials/7/reveal", {"secret": "s3", "version": 2, "state": "managed"})
    shown = keyturn.json("credential", "reveal", "svc@web1", "--reason", "repair")
    assert shown == {"secret": "s3", "version": 2, "state": "managed"}
    assert keyturn("credential", "reveal", "svc@web1", "--reason", "repair").stdout == "s3\n"
    assert keyturn("credential", "reveal", "svc@web1").exit_code == Exit.USAGE


def test_a_domain_account_with_a_service_is_one_name(keyturn: Keyturn) -> None:
    call = "GET /credentials/named/corp%5Cann%40corp.example%40db1%2Fsql2"
    keyturn.engine.answer(call, SVC)
    assert keyturn("credential", "show", r"corp\ann@corp.example@db1/sql2").exit_code == 0


# Waiting, and how it ends


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (operation("succeeded", "ok"), Exit.OK),
        (operation("succeeded", "not_saved"), Exit.NOT_SAVED),
        (operation("failed", "unreachable"), Exit.TARGET_UNREACHABLE),
        (operation("failed", "refused_by_policy"), Exit.TARGET_REFUSED),
        (operation("failed", "untrusted_host"), Exit.UNTRUSTED_HOST),
        (operation("failed", "unknown"), Exit.FAILED),
        (operation("failed", "ok"), Exit.FAILED),
        (operation("failed", None), Exit.FAILED),
        (operation("canceled"), Exit.CANCELED),
        (operation("expired"), Exit.CANCELED),
        (operation("in_doubt", "timeout", needs_person=True), Exit.IN_DOUBT),
    ],
)
def test_rotate_ends_with_the_code_of_its_outcome(
    keyturn: Keyturn, ending: dict[str, Any], code: Exit
) -> None:
    keyturn.engine.answer(NAMED, SVC)
    keyturn.engine.answer(
        "POST /credentials/7/rotate", {"operation": 3, "joined": False, "state": "scheduled"}
    )
    keyturn.engine.answer("GET /operations/3", operation("scheduled"), operation("in_doubt"), ending)
    shown = keyturn.json("credential", "rotate", "svc@web1", "--wait", code=code)
    assert shown == {"operation": 3, "state": ending["state"], "outcome": ending["outcome"]}


def test_rotate_stops_waiting_at_the_timeout_and_says_where_it_stands(keyturn: Keyturn) -> None:
    keyturn.engine.answer(NAMED, SVC)
    keyturn.engine.answer(
        "POST /credentials/7/rotate", {"operation": 3, "joined": False, "state": "scheduled"}
    )
    keyturn.engine.answer("GET /operations/3", operation("in_doubt", "timeout"))
    command = ("credential", "rotate", "svc@web1", "--wait", "--timeout", "0")
    assert keyturn.json(*command, code=Exit.WAIT_TIMEOUT)["state"] == "in_doubt"


def test_without_wait_the_operation_is_named_at_once(keyturn: Keyturn) -> None:
    keyturn.engine.answer(NAMED, SVC)
    asked = {"operation": 3, "joined": True, "state": "scheduled"}
    keyturn.engine.answer("POST /credentials/7/verify", asked)
    assert keyturn.json("credential", "verify", "svc@web1") == asked


def test_operations_are_listed_by_several_states_as_a_json_list(keyturn: Keyturn) -> None:
    keyturn.engine.answer("GET /operations", [operation("running")])
    listed = keyturn.json("operation", "list", "--state", "running", "--state", "in_doubt")
    assert listed == [operation("running")]
    assert keyturn.engine.sent("GET /operations")["state"] == ["running", "in_doubt"]
    assert keyturn("operation", "list", "--state", "asleep").exit_code == Exit.USAGE


def test_transcripts_are_asked_for_one_by_one_with_the_reason(keyturn: Keyturn) -> None:
    attempts = [
        {"id": 5, "number": 1, "has_transcript": True},
        {"id": 6, "number": 2, "has_transcript": False},
    ]
    keyturn.engine.answer("GET /operations/3", operation("failed", attempts=attempts, transitions=[]))
    keyturn.engine.answer("POST /operations/3/attempts/5/transcript", {"transcript": "> passwd"})
    result = keyturn("operation", "show", "3", "--transcripts", "why it failed")
    assert "> passwd" in result.stdout
    assert keyturn.engine.sent("POST /operations/3/attempts/5/transcript") == {"reason": "why it failed"}


def test_every_outcome_has_an_exit_code_and_every_code_a_meaning() -> None:
    assert set(exits.MEANING) == set(Exit)
    assert {exits.of_outcome(outcome.value) for outcome in Outcome} <= set(Exit)
    assert exits.of_outcome(Outcome.UNKNOWN) is Exit.FAILED
    assert [outcome for outcome in Outcome if exits.of_outcome(outcome) is Exit.OK] == [Outcome.OK]


def test_the_table_of_exit_codes_is_in_the_help(keyturn: Keyturn) -> None:
    for code, meaning in exits.MEANING.items():
        assert f"{code:>4}  {meaning}" in keyturn("--help").stdout


# What the engine refuses


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (404, "unknown_device", Exit.INPUT_REFUSED),
        (409, "in_doubt", Exit.IN_DOUBT),
        (409, "duplicate_credential", Exit.INPUT_REFUSED),
        (422, "bad_input", Exit.INPUT_REFUSED),
        (413, "too_large", Exit.INPUT_REFUSED),
        (401, "unauthenticated", Exit.NOT_PERMITTED),
        (403, "forbidden", Exit.NOT_PERMITTED),
        (503, "not_ready", Exit.NOT_READY),
        (507, "disk_full", Exit.NOT_READY),
    ],
)
def test_a_problem_of_the_engine_has_its_exit_code(status: int, code: str, expected: Exit) -> None:
    assert exits.of_status(status, code) is expected


def test_an_error_is_one_line_for_people_and_a_document_for_programs(keyturn: Keyturn) -> None:
    keyturn.engine.answer("GET /devices", CommandFailed(Exit.NOT_READY, "try again", "not_ready"))
    people = keyturn("device", "list")
    assert (people.exit_code, people.stdout, people.stderr) == (5, "", "error: try again\n")
    programs = keyturn("device", "list", "--json")
    assert programs.stdout == ""
    assert json.loads(programs.stderr)["error"] == {"code": "not_ready", "detail": "try again", "exit": 5}


# Finding the engine


def test_without_a_data_directory_the_way_to_say_it_is_told() -> None:
    with pytest.raises(CommandFailed) as failed:
        connect(None)
    assert failed.value.exit_code == Exit.NO_ENGINE
    assert "KEYTURN_DATA" in failed.value.message


def test_a_data_directory_without_a_running_engine_is_told(tmp_path: Path) -> None:
    assert endpoint(tmp_path) is None
    with pytest.raises(CommandFailed) as failed:
        connect(tmp_path)
    assert "keyturn up" in failed.value.message


@pytest.mark.parametrize("content", ["", "[]", "{}", "nonsense", "null"])
def test_a_damaged_endpoint_file_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "engine.json").write_text(content)
    with pytest.raises(CommandFailed) as failed:
        connect(tmp_path)
    assert failed.value.exit_code == Exit.NO_ENGINE


def test_a_token_that_is_missing_is_told(tmp_path: Path) -> None:
    (tmp_path / "engine.json").write_text('{"url": "http://127.0.0.1:1", "pid": 1}')
    with pytest.raises(CommandFailed) as failed:
        connect(tmp_path)
    assert failed.value.exit_code == Exit.NOT_PERMITTED


def answered(status: int, body: bytes) -> requests.Response:
    answer = requests.Response()
    answer.status_code, answer._content = status, body
    return answer


def test_a_problem_document_becomes_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = {"detail": "not so", "code": "bad_input", "errors": [{"field": "name", "problem": "too long"}]}
    answer = answered(422, json.dumps(problem).encode())
    monkeypatch.setattr(requests.Session, "request", lambda *_, **__: answer)
    with pytest.raises(CommandFailed) as failed:
        Client("http://x", "t").get("/devices")
    assert failed.value.message == "not so; name: too long"
    assert failed.value.code == "bad_input"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]"])
def test_an_answer_that_is_no_problem_document_still_ends_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(requests.Session, "request", lambda *_, **__: answered(502, body))
    with pytest.raises(CommandFailed) as failed:
        Client("http://x", "t").get("/devices")
    assert failed.value.exit_code == Exit.NOT_READY


def test_an_engine_that_does_not_answer_is_told_without_the_query(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise requests.ConnectionError("GET http://x/api?credential=canary")

    monkeypatch.setattr(requests.Session, "request", refused)
    with pytest.raises(CommandFailed) as failed:
        Client("http://x", "t").get("/operations", credential="canary")
    assert failed.value.exit_code == Exit.NO_ENGINE
    assert "canary" not in failed.value.message


# Profiles, policies, audit, up, doctor


def test_a_profile_comes_from_a_file_and_a_policy_too(keyturn: Keyturn, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("executor: ssh\nservice: ssh\ntemplates: {}\n")
    keyturn.engine.answer("POST /profiles", {"name": "mine"})
    keyturn.engine.answer("POST /policies", {"name": "strong"})
    assert keyturn("profile", "add", "mine", "p.yaml").exit_code == 0
    assert keyturn.engine.sent("POST /profiles")["name"] == "mine"
    assert keyturn("policy", "add", "strong", "-", stdin='{"settle_seconds": 5.0}').exit_code == 0
    assert keyturn.engine.sent("POST /policies") == {"name": "strong", "rules": {"settle_seconds": 5.0}}


@pytest.mark.parametrize("content", ["[1, 2]", "a: [", "5", "", "1: x", "!!python/object:os.system {}"])
def test_a_file_that_is_no_object_is_refused(keyturn: Keyturn, content: str) -> None:
    assert keyturn("policy", "add", "strong", "-", stdin=content).exit_code == Exit.INPUT_REFUSED
    assert keyturn.engine.calls == []


def exported() -> list[str]:
    from engine.record.verification import FORMAT, GENESIS, canonical, digest

    header = {"format": FORMAT, "incarnation": "a", "exported_at": 1.0, "sealed": 0, "head": GENESIS}
    header["unsealed"] = 0
    return [canonical({**header, "hash": digest(header)})]


def test_the_audit_is_verified_from_the_engine_and_offline(keyturn: Keyturn, tmp_path: Path) -> None:
    keyturn.engine.answer("GET /audit/export", exported())
    assert keyturn.json("audit", "verify")["whole"] is True
    assert keyturn("audit", "export", "--out", "a.jsonl").exit_code == 0
    keyturn.engine.answers.clear()
    assert keyturn("audit", "verify", "a.jsonl").exit_code == 0
    (tmp_path / "a.jsonl").write_text((tmp_path / "a.jsonl").read_text().replace('"a"', '"b"'))
    assert keyturn.json("audit", "verify", "a.jsonl", code=Exit.AUDIT_BROKEN)["bad"] == 0
    assert keyturn("audit", "export", "--out", "a.jsonl").exit_code != 0


def test_up_takes_the_data_directory_and_the_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from click.testing import CliRunner

    started: list[Settings] = []
    monkeypatch.setattr("engine.processes.embedded.run", started.append)
    result = CliRunner().invoke(main, ["up", "--data", str(tmp_path / "new"), "--listen", "127.0.0.1:0"])
    assert result.exit_code == 0, result.output
    assert (started[0].data, started[0].listen) == (tmp_path / "new", "127.0.0.1:0")
    assert CliRunner().invoke(main, ["up"]).exit_code == Exit.INPUT_REFUSED


@pytest.mark.parametrize(
    "listen", ["127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999", ":1", "192.0.2.1:1"]
)
def test_up_listens_on_loopback_addresses_only(keyturn: Keyturn, tmp_path: Path, listen: str) -> None:
    result = keyturn("up", "--data", str(tmp_path / "new"), "--listen", listen)
    assert result.exit_code == Exit.INPUT_REFUSED
    assert not (tmp_path / "new").exists()


def findings(keyturn: Keyturn, data: Path, code: int) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for row in keyturn.json("doctor", "--data", str(data), code=code):
        told.setdefault(f"{row['check']} {row['result']}", []).append(row["detail"])
    return told


def test_doctor_names_what_is_open_missing_and_not_separate(keyturn: Keyturn, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "keys").mkdir(parents=True, mode=0o755)
    (data / "journal").mkdir(mode=0o700)
    data.chmod(0o700)
    (data / "admin.token").write_text("kt_x")
    (data / "admin.token").chmod(0o644)
    told = findings(keyturn, data, Exit.FAILED)
    assert any("admin.token is open to others (0644): chmod 0400" in each for each in told["modes bad"])
    assert "default.key is missing" in told["zone key bad"][0]
    assert "no database yet" in told["schema bad"][0]
    assert "own volume" in told["journal note"][0]
    assert "nothing separates them" in told["separation note"][0]


def test_doctor_refuses_a_place_that_is_no_data_directory(keyturn: Keyturn, tmp_path: Path) -> None:
    assert keyturn("doctor", "--data", str(tmp_path / "none")).exit_code == Exit.INPUT_REFUSED
