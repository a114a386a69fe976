"""The command as people type it, against a running engine: every line is a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.cli.exits import Exit
from executors.fake.target import FakeTarget
from tests.peers.accounts import LocalAccounts
from tests.peers.sshd import SshServer

KEYTURN = Path(sys.executable).with_name("keyturn")
TEMPLATES = Path(__file__).parents[2] / "templates"
PATIENCE = 60.0  # seconds


@dataclass
class Engine:
    """`keyturn up` on an empty directory."""

    data: Path
    process: subprocess.Popen[bytes]

    def __call__(self, *arguments: str, stdin: str = "", code: int = 0) -> Any:
        """What the command prints with --json."""
        done = self.run(*arguments, "--json", stdin=stdin)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return json.loads(done.stdout) if done.stdout else json.loads(done.stderr)["error"]

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "KEYTURN_DATA": str(self.data)}
        command = [str(KEYTURN), *arguments]
        return subprocess.run(
            command, input=stdin, capture_output=True, check=False, text=True, env=environment, timeout=120
        )

    def url(self) -> str:
        return str(json.loads((self.data / "engine.json").read_text())["url"])


def start(data: Path) -> Engine:
    log = (data.parent / "engine.log").open("ab")
    command = [str(KEYTURN), "up", "--data", str(data), "--listen", "127.0.0.1:0"]
    engine = Engine(data, subprocess.Popen(command, stdout=log, stderr=log))
    log.close()
    until = time.monotonic() + PATIENCE
    while not ready(engine):
        assert engine.process.poll() is None, (data.parent / "engine.log").read_text()
        assert time.monotonic() < until, "the engine did not become ready"
        time.sleep(0.1)
    return engine


def ready(engine: Engine) -> bool:
    try:
        with urllib.request.urlopen(f"{engine.url()}/readyz", timeout=5) as answer:  # noqa: S310 - our own loopback
            return bool(answer.status == 200)
    except (OSError, ValueError, urllib.error.URLError):
        return False


def stop(engine: Engine) -> int:
    engine.process.send_signal(signal.SIGTERM)
    return engine.process.wait(PATIENCE)


@pytest.fixture(scope="module")
def keyturn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = start(tmp_path_factory.mktemp("up") / "data")
    yield engine
    assert stop(engine) == 0


@pytest.fixture(scope="module")
def box(keyturn: Engine, tmp_path_factory: pytest.TempPathFactory) -> FakeTarget:
    """A fake target, registered as `box`."""
    path = tmp_path_factory.mktemp("target") / "box"
    made = FakeTarget.create(path)
    keyturn("device", "add", "box", "--address", str(path), "--port", "fake=1")
    return made


def test_a_credential_is_proven_changed_and_revealed(keyturn: Engine, box: FakeTarget) -> None:
    box.set("svc", "old-Secret1")
    added = keyturn("credential", "add", "svc@box", "--secret-file", "-", "--enable", stdin="old-Secret1\n")
    assert added["state"] == "managed"
    rotated = keyturn("credential", "rotate", "svc@box", "--wait")
    assert rotated == {"operation": rotated["operation"], "state": "succeeded", "outcome": "ok"}
    shown = keyturn("credential", "reveal", "svc@box", "--reason", "test")
    assert (shown["version"], shown["state"]) == (2, "managed")
    assert box.opens("svc", shown["secret"])
    assert not box.opens("svc", "old-Secret1")
    assert keyturn("operation", "list", "--state", "running") == []
    assert keyturn("operation", "wait", str(rotated["operation"])) == rotated
    history = keyturn("credential", "history", "svc@box")
    assert [(each["number"], each["status"]) for each in history] == [(2, "current"), (1, "previous")]
    attempts = keyturn("operation", "show", str(rotated["operation"]), "--transcripts", "test")["attempts"]
    assert shown["secret"] not in json.dumps(attempts)
    assert "transcript" in attempts[0]


def test_enable_at_once_fails_where_the_secret_is_wrong(keyturn: Engine, box: FakeTarget) -> None:
    box.set("other", "right-Secret1")
    command = ("credential", "add", "other@box", "--secret-file", "-", "--enable")
    assert keyturn(*command, stdin="wrong-Secret1", code=Exit.LOGIN_REFUSED)["state"] == "failed"
    assert box.opens("other", "right-Secret1")


def test_a_retired_credential_is_left_alone(keyturn: Engine, box: FakeTarget) -> None:
    keyturn("credential", "add", "gone@box")
    assert keyturn("credential", "suspend", "gone@box", "--reason", "x")["state"] == "suspended"
    assert keyturn("credential", "resume", "gone@box")["state"] == "unverified"
    assert keyturn("credential", "retire", "gone@box")["state"] == "retired"
    assert keyturn("credential", "rotate", "gone@box", code=Exit.INPUT_REFUSED)["code"] == "wrong_state"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("device show nowhere", "unknown_device"),
        ("credential add svc@nowhere", "unknown_device"),
        ("credential add krbtgt@box", "never_touched"),
        ("credential add own@box --parent own@box --link own", "parent_cycle"),
        ("credential add a-name-without-a-device", "bad_input"),
        ("credential show nobody@box", "unknown_credential"),
        ("operation show 999999", "unknown_operation"),
        ("template show no-such-template", "unknown_template"),
        ("device add box --address 192.0.2.1 --port ssh=22", "duplicate_device"),
        ("device add odd --address 192.0.2.1 --port ssh=0", "bad_input"),
    ],
)
def test_bad_input_is_refused_with_its_code(
    keyturn: Engine, box: FakeTarget, command: str, code: str
) -> None:
    assert keyturn(*command.split(), code=Exit.INPUT_REFUSED)["code"] == code


def test_a_secret_with_a_newline_is_refused(keyturn: Engine, box: FakeTarget) -> None:
    command = ("credential", "add", "line@box", "--secret-file", "-")
    assert keyturn(*command, stdin="two\nlines", code=Exit.INPUT_REFUSED)["code"] == "bad_secret"


def test_the_audit_is_whole_from_the_engine_and_offline(keyturn: Engine, tmp_path: Path) -> None:
    assert keyturn("audit", "verify")["whole"] is True
    export = tmp_path / "audit.jsonl"
    assert keyturn.run("audit", "export", "--out", str(export)).returncode == 0
    lines = export.read_text().splitlines(keepends=True)
    assert keyturn("audit", "verify", str(export))["sealed"] == len(lines) - 1
    export.write_text("".join([*lines[:3], lines[3].replace('"actor":"', '"actor":"x'), *lines[4:]]))
    assert keyturn("audit", "verify", str(export), code=Exit.AUDIT_BROKEN)["bad"] == 3


def test_doctor_finds_nothing_bad_and_says_that_nothing_is_separate(keyturn: Engine) -> None:
    findings = {each["check"]: each for each in keyturn("doctor")}
    assert findings["engine"]["result"] == "good"
    assert findings["separation"]["result"] == "note"
    assert "own volume" in findings["journal"]["detail"]


def test_a_second_engine_on_the_directory_is_refused(keyturn: Engine) -> None:
    done = keyturn.run("up", "--listen", "127.0.0.1:0")
    assert done.returncode == Exit.NOT_READY
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_directory_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    import sqlite3

    engine = start(tmp_path / "data")
    stop(engine)
    with sqlite3.connect(tmp_path / "data" / "keyturn.sqlite") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.execute("UPDATE engine_state SET supports = '9999'")
    database.close()
    done = engine.run("up", "--listen", "127.0.0.1:0")
    assert done.returncode == Exit.NOT_READY
    assert "newer" in done.stderr
    assert "Traceback" not in done.stderr
    assert engine.run("device", "list").returncode == Exit.NO_ENGINE


# The author's workbench, on a real sshd


def by_hand(sshd: SshServer, folder: Path, login: str, *more: str, template: str) -> tuple[int, Any]:
    file = TEMPLATES / "linux" / f"{template}.template"
    where = (
        "--executor",
        "ssh",
        "--address",
        sshd.host,
        "--port",
        str(sshd.port),
        "--host-key",
        sshd.host_key_line,
    )
    who = ("--login", login, "--login-secret-file", "old", "--secret-tag", "NEW_PASSWORD=new")
    command = [str(KEYTURN), "template", "run", str(file), *where, *who, *more, "--json"]
    done = subprocess.run(command, capture_output=True, check=False, text=True, cwd=folder, timeout=120)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "old").write_text("Kt-old-7Fq!x\n")
    (tmp_path / "new").write_text("Kt-new 'q\"$#*9Zx\n")
    return tmp_path


def test_a_template_changes_a_real_account_by_hand(
    sshd: SshServer, accounts: LocalAccounts, folder: Path
) -> None:
    name = accounts.add("adhoc", "Kt-old-7Fq!x")
    code, dry = by_hand(sshd, folder, name, "--dry-run", template="linux-own-password")
    assert code == Exit.OK, dry
    assert dry["plan"]
    assert accounts.opens(name, "Kt-old-7Fq!x")
    code, shown = by_hand(sshd, folder, name, template="linux-own-password")
    assert (code, shown["outcome"], shown["proof"]) == (Exit.OK, "ok", "opens"), shown
    assert accounts.opens(name, "Kt-new 'q\"$#*9Zx")
    assert "9Zx" not in json.dumps(shown)


def test_an_unpinned_host_is_not_logged_in_to(sshd: SshServer, accounts: LocalAccounts, folder: Path) -> None:
    name = accounts.add("unpinned", "Kt-old-7Fq!x")
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr"
    file = TEMPLATES / "linux" / "linux-own-password.template"
    command = [
        str(KEYTURN),
        "template",
        "run",
        str(file),
        "--executor",
        "ssh",
        "--address",
        sshd.host,
        "--json",
    ]
    who = [
        "--port",
        str(sshd.port),
        "--login",
        name,
        "--login-secret-file",
        "old",
        "--secret-tag",
        "NEW_PASSWORD=new",
    ]
    done = subprocess.run(
        [*command, *who, "--host-key", other],
        capture_output=True,
        check=False,
        text=True,
        cwd=folder,
        timeout=120,
    )
    assert done.returncode == Exit.UNTRUSTED_HOST, done.stdout
    assert accounts.opens(name, "Kt-old-7Fq!x")


def test_an_address_that_the_engine_manages_is_refused(
    keyturn: Engine, sshd: SshServer, accounts: LocalAccounts, folder: Path
) -> None:
    name = accounts.add("managed", "Kt-old-7Fq!x")
    keyturn("device", "add", "here", "--address", "localhost", "--port", "ssh=9")
    file = TEMPLATES / "linux" / "linux-own-password.template"
    refused = keyturn(
        "template", "run", str(file), "--executor", "ssh", "--address", sshd.host, "--port", str(sshd.port),
        "--login", name, "--login-secret-file", str(folder / "old"), "--accept-any-host-key",
        "--secret-tag", f"NEW_PASSWORD={folder / 'new'}", code=Exit.INPUT_REFUSED,
    )  # fmt: skip
    assert refused["code"] == "managed_address"
    assert accounts.opens(name, "Kt-old-7Fq!x")


def test_a_locked_account_is_left_locked_by_hand_too(
    sshd: SshServer, accounts: LocalAccounts, folder: Path
) -> None:
    clerk = accounts.add("clerk", "Kt-old-7Fq!x", sudo=("/usr/sbin/chpasswd", "/usr/bin/passwd"))
    locked = accounts.add("locked", "Kt-was-7Fq!x")
    accounts.lock(locked)
    before = accounts.shadow_hash(locked)
    code, shown = by_hand(sshd, folder, clerk, "--tag", f"USERNAME={locked}", template="linux-by-sudoer")
    assert (code, shown["outcome"]) == (Exit.TARGET_REFUSED, "account_disabled"), shown
    assert accounts.shadow_hash(locked) == before
    accounts.unlock(locked)
    code, shown = by_hand(sshd, folder, clerk, "--tag", f"USERNAME={locked}", template="linux-by-sudoer")
    assert (code, shown["outcome"], shown["proof"]) == (Exit.OK, "ok", "opens"), shown
