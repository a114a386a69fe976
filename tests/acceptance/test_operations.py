"""The life of operations through the real commands: joined, waited for, canceled, retried, killed."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.cli.exits import Exit
from tests.acceptance.engine import ADD, FROM_INPUT, RunningEngine, Site, running
from tests.demo.engine import descendants, wait_for_end
from tests.peers import workdir
from tests.peers.accounts import LocalAccounts
from tests.peers.ssh_drive import new_password
from tests.peers.sshd import SshServer
from tests.targets.box import Box, NewAccount

PROVEN = (Exit.OK, "succeeded", "ok")
AN_HOUR = 3600.0
KILLS = 5
LONGEST_CHANGE = 1.5  # seconds; a kill comes at any moment of it
UNTIL_TRUTH = 60  # seconds that a change may take to end after a restart


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, sshd: SshServer, accounts: LocalAccounts
) -> Iterator[Site]:
    data = tmp_path_factory.mktemp("operations") / "data"
    with running(RunningEngine(data, callback_hosts='["tickets.example"]')) as engine:
        yield Site(engine, sshd, accounts)


@pytest.fixture(scope="module")
def box(site: Site) -> str:
    return site.device()


def later(site: Site, name: str, **more: Any) -> int:
    """A change that is due in an hour."""
    body = {"credential": name, "action": "change_secret", "due": time.time() + AN_HOUR}
    answer = site.engine.api("POST", "/operations", json=body | more)
    assert answer.status_code == 202, answer.text
    return int(answer.json()["operation"])


def versions(site: Site, name: str) -> list[str]:
    """Newest first."""
    return [each["status"] for each in site.history(name)]


def finished(site: Site, operation: int) -> tuple[int, str, str | None]:
    return site.wait("operation", "wait", str(operation), "--timeout", "50").end


# Asking


def test_a_request_joins_the_one_that_waits_and_makes_it_due(site: Site, box: str) -> None:
    _, name = site.own("join", new_password(), box)
    waiting = later(site, name)
    asked = site.engine.ask("credential", "rotate", name)
    assert (asked["operation"], asked["joined"]) == (waiting, True)
    assert finished(site, waiting) == PROVEN
    assert versions(site, name) == ["current", "previous"]
    assert site.vault_opens(name)


def test_a_request_waits_behind_the_one_that_runs(site: Site, tmp_path: Path) -> None:
    with target(tmp_path) as (held, hold):
        name = registered(site, held)
        hold.touch()
        first = site.engine.ask("credential", "rotate", name)
        sent(site, held)
        second = site.engine.ask("credential", "rotate", name)
        assert not second["joined"]
        assert second["operation"] != first["operation"]
        [running_now] = site.engine.ask("operation", "list", "--state", "running", "--credential", name)
        assert running_now["id"] == first["operation"]
        assert site.revealed(name) == held.held(ACCOUNT)[0]  # while changing: the last proven one
        hold.unlink()
        assert finished(site, first["operation"]) == PROVEN
        assert finished(site, second["operation"]) == PROVEN
        assert site.revealed(name) == held.held(ACCOUNT)[-1]
        assert len(held.held(ACCOUNT)) == 3


def test_the_same_key_is_answered_with_the_same_operation_for_ever(site: Site, box: str) -> None:
    _, name = site.own("idem", new_password(), box)
    _, other = site.own("idem", new_password(), box)
    body = {"credential": name, "action": "change_secret"}
    key = {"Idempotency-Key": f"once-{name}"}
    first, again = (site.engine.api("POST", "/operations", json=body, headers=key).json() for _ in range(2))
    assert (first["operation"], first["joined"]) == (again["operation"], False)
    assert again["joined"]
    assert finished(site, first["operation"]) == PROVEN
    late = site.engine.api("POST", "/operations", json=body, headers=key).json()
    assert (late["operation"], late["state"]) == (first["operation"], "succeeded")
    assert versions(site, name) == ["current", "previous"]
    reused = site.engine.api("POST", "/operations", json=body | {"credential": other}, headers=key)
    assert (reused.status_code, reused.json()["code"]) == (409, "idempotency_key_reused")


def test_the_requester_s_callback_hears_of_the_request_and_of_its_end(site: Site, box: str) -> None:
    _, name = site.own("call", new_password(), box)
    address = "https://tickets.example/hook?ticket=7"
    body = {"credential": name, "action": "change_secret", "callback": address}
    operation = site.engine.api("POST", "/operations", json=body).json()["operation"]
    assert finished(site, operation) == PROVEN
    with closing(sqlite3.connect(site.engine.data / "keyturn.sqlite")) as database:
        rows = database.execute(
            "SELECT kind, payload FROM outbox JOIN delivery ON notice_id = outbox.id "
            "WHERE operation_id = ? AND url = ? ORDER BY outbox.id",
            (operation, address),
        ).fetchall()
    kinds = [kind for kind, _ in rows]
    assert (kinds[0], kinds[-1]) == ("operation.accepted", "operation.succeeded")
    assert json.loads(rows[-1][1])["state"] == "succeeded"


# Looking


def test_an_operation_shows_its_attempts_and_its_redacted_transcript(site: Site, box: str) -> None:
    old = new_password()
    user, name = site.own("show", old, box)
    ended = site.rotate(name)
    shown = site.engine.ask("operation", "show", str(ended.operation), "--transcripts", "the test reads it")
    [attempt] = shown["attempts"]
    assert (attempt["outcome"], attempt["proof"], attempt["login"]) == ("ok", "login", name)
    assert [each["after"] for each in shown["transitions"]] == ["scheduled", "running", "succeeded"]
    assert user in attempt["transcript"]
    assert "New password:" in attempt["transcript"]
    for secret in (old, site.revealed(name)):
        assert secret not in json.dumps(shown)
    for_people = site.engine.run("operation", "show", str(ended.operation))
    assert "succeeded" in for_people.stdout
    exported = site.engine.run("audit", "export")
    assert '"transcript.read"' in exported.stdout
    assert old not in exported.stdout


def test_waiting_ends_at_its_timeout_and_the_operation_goes_on(site: Site) -> None:
    device = site.device()
    _, name = site.own("slow", new_password(), device)
    site.engine.ask("device", "pause", device, "--reason", "a test")
    ended = site.rotate(name, timeout=1)
    assert (ended.exit, ended.state) == (Exit.WAIT_TIMEOUT, "scheduled")
    site.engine.ask("device", "resume", device)
    assert finished(site, ended.operation) == PROVEN
    assert site.vault_opens(name)


def test_a_paused_device_is_left_alone_however_many_ask(site: Site) -> None:
    device = site.device()
    old = new_password()
    user, name = site.own("pause", old, device)
    site.engine.ask("device", "pause", device, "--reason", "maintenance")
    asked = [site.engine.ask("credential", "rotate", name) for _ in range(3)]
    assert len({each["operation"] for each in asked}) == 1
    assert [each["joined"] for each in asked] == [False, True, True]
    time.sleep(1)  # several ticks
    assert site.operation(asked[0]["operation"])["attempts"] == []
    assert versions(site, name) == ["current"]
    assert site.accounts.opens(user, old)
    site.engine.ask("device", "resume", device)
    assert finished(site, asked[0]["operation"]) == PROVEN
    assert versions(site, name) == ["current", "previous"]


def test_an_operation_that_was_not_begun_in_time_expires(site: Site, box: str) -> None:
    _, name = site.own("late", new_password(), box)
    operation = later(site, name, expires=time.time() + 0.5)
    assert finished(site, operation) == (Exit.CANCELED, "expired", None)
    assert versions(site, name) == ["current"]


def test_a_target_that_does_not_answer_has_an_exit_code_of_its_own(site: Site) -> None:
    impatient = site.policy(retry={"attempts": 1})
    where = ("--address", "127.0.0.1", "--port", f"ssh={workdir.free_port()}")
    site.engine.ask("device", "add", "silent", *where, "--host-key", site.sshd.host_key_line)
    command = (*ADD, "app@silent", *FROM_INPUT, "--policy", impatient, "--enable", "--json")
    done = site.engine.run(*command, stdin=new_password())
    assert done.returncode == Exit.TARGET_UNREACHABLE
    assert json.loads(done.stdout)["outcome"] == "unreachable"
    assert site.state("app@silent") == "unverified"


def test_an_unknown_operation_is_refused(site: Site) -> None:
    for verb in ("show", "wait", "cancel", "retry"):
        said = site.refused("operation", verb, "999999")
        assert (said.exit, said.code) == (Exit.INPUT_REFUSED, "unknown_operation")


# A person's word


def test_what_is_canceled_before_it_began_touches_nothing(site: Site, box: str) -> None:
    old = new_password()
    user, name = site.own("canc", old, box)
    operation = later(site, name)
    assert site.engine.ask("operation", "cancel", str(operation))["state"] == "canceled"
    assert finished(site, operation) == (Exit.CANCELED, "canceled", None)
    assert site.accounts.opens(user, old)
    assert versions(site, name) == ["current"]
    assert site.refused("operation", "cancel", str(operation)).code == "wrong_state"
    assert site.rotate(name).end == PROVEN


def test_what_is_canceled_after_it_was_sent_ends_by_proof(site: Site, tmp_path: Path) -> None:
    with target(tmp_path) as (held, hold):
        name = registered(site, held)
        hold.touch()
        operation = site.engine.ask("credential", "rotate", name)["operation"]
        sent(site, held)
        canceled = site.engine.ask("operation", "cancel", str(operation))
        assert (canceled["state"], canceled["cancel_requested"]) == ("running", True)
        hold.unlink()
        assert finished(site, operation) == PROVEN
        assert site.revealed(name) == held.held(ACCOUNT)[-1]


def test_what_failed_is_asked_for_again_and_what_succeeded_is_not(site: Site, box: str) -> None:
    user, name = site.own("again", new_password(), box)
    site.accounts.set_password(user, actual := new_password())
    failed = site.rotate(name)
    assert failed.end == (Exit.LOGIN_REFUSED, "failed", "bad_login")
    site.engine.ask("credential", "set", name, *FROM_INPUT, stdin=actual)
    site.engine.ask("credential", "enable", name)
    retried = site.engine.ask("operation", "retry", str(failed.operation))
    assert retried["operation"] != failed.operation
    assert finished(site, retried["operation"]) == PROVEN
    assert site.vault_opens(name)
    assert site.refused("operation", "retry", str(retried["operation"])).code == "wrong_state"


# A kill


def test_after_a_kill_at_any_moment_the_truth_is_found(
    tmp_path: Path, sshd: SshServer, accounts: LocalAccounts
) -> None:
    """The moments are drawn anew in each run; the seed is in the failure's message."""
    seed = random.SystemRandom().randrange(2**32)
    choose = random.Random(seed)
    engine = RunningEngine(tmp_path / "data")
    with running(engine):
        site = Site(engine, sshd, accounts)
        device = site.device()
        names = [site.own("kill", new_password(), device)[1] for _ in range(KILLS)]
        for name in names:
            operation = engine.ask("credential", "rotate", name)["operation"]
            moment = choose.uniform(0, LONGEST_CHANGE)
            time.sleep(moment)
            children = descendants(engine.process.pid)
            engine.kill()
            assert wait_for_end(children) == []
            engine.start()
            ended = site.wait("operation", "wait", str(operation), "--timeout", str(UNTIL_TRUTH - 5))
            told = f"seed {seed}, killed after {moment:.3f} s: {site.operation(operation)}"
            assert ended.end == PROVEN, told
            assert site.vault_opens(name), told
        assert all(site.vault_opens(name) for name in names)
        assert engine.run("audit", "verify").returncode == Exit.OK


# A target that keeps its answer back

ACCOUNT = "deploy"


@contextmanager
def target(folder: Path) -> Iterator[tuple[Box, Path]]:
    """A disposable SSH target, and the file that makes it keep back what it answers to a change."""
    held = Box([NewAccount(ACCOUNT, new_password())], folder / "hold")
    try:
        yield held, folder / "hold"
    finally:
        held.stop()


def registered(site: Site, held: Box) -> str:
    device = f"held{held.port}"
    where = ("--address", held.address, "--port", f"ssh={held.port}", "--host-key", held.host_key)
    site.engine.ask("device", "add", device, *where)
    site.add(f"{ACCOUNT}@{device}", held.held(ACCOUNT)[0])
    return f"{ACCOUNT}@{device}"


def sent(site: Site, held: Box) -> None:
    """Wait until the target has made the change, and says nothing of it."""
    site.engine.wait_until(lambda: held.withholds(ACCOUNT), "nothing was sent")
