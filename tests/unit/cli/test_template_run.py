"""`keyturn template run` against a fake target: real template, real executor, no engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from engine.cli.exits import Exit
from engine.cli.frame import Shared
from engine.cli.guard import is_loopback, places
from engine.cli.main import main
from executors.fake.target import FakeTarget
from tests.unit.cli.conftest import FakeEngine

OLD, NEW = "old-Secret1", "new-Secret2"
HEADER = """---
name: own
executor: fake
action: change_secret
version: 1
summary: Sets the password.
tags:
  USERNAME: username
  NEW_PASSWORD: secret
---
"""


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTarget:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.template").write_text(HEADER + "[change]\nset [#NEW_PASSWORD#]\n[persist]\nsave\n")
    (tmp_path / "old").write_text(OLD + "\n")
    (tmp_path / "new").write_text(NEW)
    made = FakeTarget.create(tmp_path / "box")
    made.set("svc", OLD)
    return made


def run(*more: str, file: str = "own.template", shared: Shared | None = None) -> Result:
    where = ("--executor", "fake", "--address", str(Path("box").absolute()), "--port", "1")
    login = ("--login", "svc", "--login-secret-file", "old")
    return CliRunner().invoke(main, ["template", "run", file, *where, *login, *more], obj=shared or Shared())


def ran(*more: str, code: Exit = Exit.OK, file: str = "own.template") -> Any:
    result = run("--secret-tag", "NEW_PASSWORD=new", *more, "--json", file=file)
    assert result.exit_code == code, result.output
    assert NEW not in result.output
    assert OLD not in result.output
    return json.loads(result.stdout)


def test_a_template_changes_proves_and_saves(box: FakeTarget) -> None:
    shown = ran()
    assert (shown["outcome"], shown["proof"]) == ("ok", "opens")
    assert [step["section"] for step in shown["steps"]] == ["change", "persist"]
    assert "proof of svc: opens" in shown["transcript"]
    assert box.opens("svc", NEW)


def test_a_dry_run_logs_in_shows_the_plan_and_changes_nothing(box: FakeTarget) -> None:
    shown = ran("--dry-run")
    assert any("set ********" in line for line in shown["plan"])
    assert (shown["outcome"], shown["proof"]) == ("ok", None)
    assert box.opens("svc", OLD)
    assert box.requests("svc") == ()


def test_a_wrong_login_ends_with_its_own_code(box: FakeTarget) -> None:
    Path("old").write_text("wrong-Secret3")
    assert ran(code=Exit.LOGIN_REFUSED)["outcome"] == "bad_login"
    assert box.opens("svc", OLD)


def test_a_target_that_is_away_is_unreachable(box: FakeTarget) -> None:
    Path("box").unlink()
    assert ran(code=Exit.TARGET_UNREACHABLE)["outcome"] == "unreachable"


def test_a_template_that_does_not_parse_is_told_with_line_and_reason(box: FakeTarget) -> None:
    Path("bad.template").write_text(HEADER + "[change]\nset [#NEW_PASSWORD#]\nfly away\n")
    shown = ran(code=Exit.TEMPLATE, file="bad.template")
    assert shown["outcome"] == "bad_template"
    assert "line 13" in shown["message"]
    assert box.requests("svc") == ()


def test_a_tag_without_a_value_is_refused_before_the_login(box: FakeTarget) -> None:
    result = run()
    assert result.exit_code == Exit.INPUT_REFUSED
    assert "NEW_PASSWORD" in result.stderr
    assert box.failed_logins("svc") == 0


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--tag", f"NEW_PASSWORD={NEW}"), Exit.INPUT_REFUSED),
        (("--secret-tag", "USERNAME=new"), Exit.INPUT_REFUSED),
        (("--tag", "NO_SUCH=1"), Exit.INPUT_REFUSED),
        (("--tag", "DOMAIN"), Exit.USAGE),
        (("--tag", "DOMAIN=a", "--tag", "domain=b"), Exit.USAGE),
        (("--secret-tag", "NEW_PASSWORD=nowhere"), Exit.INPUT_REFUSED),
        (("--secret-tag", "NEW_PASSWORD=new", "--tag", "USERNAME=krbtgt"), Exit.INPUT_REFUSED),
        (("--secret-tag", "NEW_PASSWORD=new", "--tag", "PORT=x"), Exit.INPUT_REFUSED),
        (("--secret-tag", "NEW_PASSWORD=-", "--secret-tag", "CURRENT_PASSWORD=-"), Exit.INPUT_REFUSED),
        (("--secret-tag", "NEW_PASSWORD=new", "--accept-any-host-key"), Exit.INPUT_REFUSED),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_touched(
    box: FakeTarget, more: tuple[str, ...], code: Exit
) -> None:
    assert run(*more).exit_code == code
    assert box.requests("svc") == ()


def test_an_executor_that_is_not_installed_is_told(box: FakeTarget) -> None:
    Path("own.template").write_text("anything")
    result = CliRunner().invoke(
        main,
        ["template", "run", "own.template", "--executor", "carrier-pigeon", "--address", "a", "--port", "1",
         "--login", "svc", "--login-secret-file", "old"],
    )  # fmt: skip
    assert result.exit_code == Exit.INPUT_REFUSED
    assert "carrier-pigeon" in result.stderr


def test_an_address_that_the_running_engine_manages_is_refused(box: FakeTarget, tmp_path: Path) -> None:
    (tmp_path / "engine.json").write_text('{"url": "http://127.0.0.1:1", "pid": 1}')
    engine = FakeEngine()
    engine.answer("GET /devices", [{"name": "box", "address": str(Path("box").absolute())}])
    shared = Shared(data=tmp_path, connect=lambda _: engine)
    result = run("--secret-tag", "NEW_PASSWORD=new", shared=shared)
    assert result.exit_code == Exit.INPUT_REFUSED
    assert "device box" in result.stderr
    assert box.opens("svc", OLD)


def test_all_names_of_this_machine_are_one_place() -> None:
    for name in ("127.0.0.1", "127.0.0.9", "::1", "::ffff:127.0.0.1", "0.0.0.0"):  # noqa: S104 - data
        assert places(name) & places("localhost"), name
    assert not places("192.0.2.7") & places("192.0.2.8")
    assert places("192.0.2.7") & places("::ffff:192.0.2.7")


def test_only_loopback_addresses_are_loopback() -> None:
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("192.0.2.7")
    assert not is_loopback("0.0.0.0")  # noqa: S104 - data
    assert not is_loopback("no such host")
