"""Real accounts on a real sshd, changed by the real commands. /etc/shadow is the judge."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from pwd import getpwnam

import pytest

from engine.cli.exits import Exit
from tests.acceptance.engine import ADD, FROM_INPUT, RunningEngine, Site, at_once, running
from tests.peers.accounts import LocalAccounts
from tests.peers.ssh_drive import LINUX, key_pair, new_password
from tests.peers.sshd import SshServer
from tests.peers.superuser import superuser

SUDO = ("/usr/sbin/chpasswd", "/usr/bin/passwd", "/usr/sbin/usermod")
PROVEN = (Exit.OK, "succeeded", "ok")
NOLOGIN = "/usr/sbin/nologin"
LIMIT = 3
HOSTILE = [
    "Q7 $(touch x) `id` ; rm -rf ~ | & < >",
    "quotes ' \" '' \\' \\\\ end Q7",
    "  blanks before and after Q7  ",
    "# not a comment Q7 !! ^a^b *?[a-z]{b,c}",
    "a:b:c::d Q7 [#USERNAME#] {{ 7 * 7 }} %s %n",
    "Zażółć-gęślą-jaźń-пароль-密码-🔐 Q7",
    "-rf --help -- -",
    "New password: Retype new password:",
]


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, sshd: SshServer, accounts: LocalAccounts
) -> Iterator[Site]:
    with running(RunningEngine(tmp_path_factory.mktemp("real") / "data")) as engine:
        yield Site(engine, sshd, accounts)


@pytest.fixture(scope="module")
def box(site: Site) -> str:
    """A device for the tests that need nothing special of it."""
    return site.device()


@pytest.fixture(scope="module")
def sudoer(site: Site, box: str) -> str:
    """A credential of `box` that may set the passwords of others."""
    return site.own("adm", new_password(), box, sudo=SUDO)[1]


@pytest.fixture(scope="module")
def by_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SshServer, str]]:
    """An sshd that lets this machine's root in by a key that only this sshd knows, and the key."""
    pem, line = key_pair()
    folder = tmp_path_factory.mktemp("keys")
    (folder / "root").write_text(line)
    server = SshServer({"AuthorizedKeysFile": str(folder / "%u"), "StrictModes": "no"})
    yield server, pem
    server.stop()


def test_an_account_changes_its_own_password(site: Site, box: str) -> None:
    old = new_password()
    user, name = site.own("own", old, box)
    assert site.rotate(name).end == PROVEN
    assert site.vault_opens(name)
    assert not site.accounts.opens(user, old)
    newest, first = site.history(name)
    assert (newest["status"], newest["origin"], newest["proof"]) == ("current", "generated", "login")
    assert (first["status"], first["origin"]) == ("previous", "imported")


def test_root_changes_a_password_after_a_login_by_key(site: Site, by_key: tuple[SshServer, str]) -> None:
    server, pem = by_key
    root_before = site.accounts.shadow_hash("root")
    device = site.device(server)
    add = (*ADD, f"root@{device}", "--kind", "ssh_key", *FROM_INPUT)
    assert site.engine.ask(*add, "--enable", stdin=pem)["state"] == "managed", "its login proved the key"
    user = site.account("app", "whatever it was")
    # Nobody knows its password, so there is nothing to prove; who resets it needs none.
    done = site.engine.run(*ADD, f"{user}@{device}", "--auth", f"root@{device}", "--enable", "--json")
    assert (done.returncode, json.loads(done.stdout)["state"]) == (Exit.NOT_PROVEN, "unverified")
    assert site.rotate(f"{user}@{device}").end == PROVEN
    assert site.vault_opens(f"{user}@{device}")
    assert site.state(f"{user}@{device}") == "managed"
    assert site.credential(f"{user}@{device}")["template_used"] == "linux-by-root"
    assert site.accounts.shadow_hash("root") == root_before


def test_a_sudoer_changes_a_password(site: Site, box: str, sudoer: str) -> None:
    old = new_password()
    user, name = site.own("app", old, box, "--auth", sudoer)
    assert site.rotate(name).end == PROVEN
    assert site.vault_opens(name)
    assert not site.accounts.opens(user, old)
    assert site.credential(name)["template_used"] == "linux-by-sudoer"


def test_an_account_without_rights_changes_a_password_by_su(site: Site, box: str) -> None:
    strong = new_password()
    with superuser(strong) as above:
        site.engine.ask(*ADD, f"{above}@{box}", *FROM_INPUT, stdin=strong)
        _, via = site.own("via", new_password(), box)
        _, name = site.own(
            "app",
            new_password(),
            box,
            *("--auth", via, "--become", f"{above}@{box}", "--template", "linux-by-su"),
        )
        above_before = site.accounts.shadow_hash(above)
        assert site.rotate(name).end == PROVEN
        assert site.vault_opens(name)
        assert site.accounts.shadow_hash(above) == above_before


def test_an_expired_password_is_proven_and_changed_during_the_login(site: Site, box: str) -> None:
    user, old = site.account("exp", None), new_password()
    site.accounts.set_password(user, old)
    site.accounts.expire(user)
    name = f"{user}@{box}"
    assert site.add(name, old)["state"] == "managed"
    [version] = site.history(name)
    assert version["proof"] == "restricted"
    assert site.rotate(name).end == PROVEN
    assert site.vault_opens(name)
    assert site.history(name)[0]["proof"] == "login"


def test_a_locked_account_is_left_locked_and_stops_its_credential(site: Site, box: str, sudoer: str) -> None:
    user, name = site.own("lck", new_password(), box, "--auth", sudoer)
    site.accounts.lock(user)
    before = site.accounts.shadow_hash(user)
    ended = site.rotate(name)
    assert ended.end == (Exit.TARGET_REFUSED, "failed", "account_disabled")
    assert site.accounts.shadow_hash(user) == before
    stopped = site.credential(name)
    assert stopped["state"] == "suspended"
    assert "locked" in stopped["reason"]
    assert "locked" in site.operation(ended.operation)["reason"]
    assert "suspended" in site.refused("credential", "rotate", name).detail


def test_a_nologin_account_is_proven_restricted(site: Site, box: str, sudoer: str) -> None:
    old = new_password()
    user = site.account("nolog", old)
    site.accounts.set_shell(user, NOLOGIN)
    name = f"{user}@{box}"
    site.add(name, old, "--auth", sudoer)
    assert site.rotate(name).end == PROVEN
    assert site.vault_opens(name)
    assert site.history(name)[0]["proof"] == "restricted"
    assert getpwnam(user).pw_shell == NOLOGIN


def test_a_wrong_old_password_is_tried_once_and_the_credential_drifts(site: Site, box: str) -> None:
    user, name = site.own("drift", new_password(), box)
    actual = new_password()
    site.accounts.set_password(user, actual)
    refusals = site.sshd.log_path.read_text().count(f"Failed password for {user}")
    ended = site.rotate(name)
    assert ended.end == (Exit.LOGIN_REFUSED, "failed", "bad_login")
    assert site.sshd.log_path.read_text().count(f"Failed password for {user}") == refusals + 1
    assert len(site.operation(ended.operation)["attempts"]) == 1
    assert site.state(name) == "drifted"
    assert "drifted" in site.refused("credential", "rotate", name).detail
    # Whoever knows the right one sets it, and all is well again.
    site.engine.ask("credential", "set", name, *FROM_INPUT, stdin=actual)
    assert site.engine.ask("credential", "enable", name)["state"] == "managed"
    assert site.rotate(name).end == PROVEN
    assert site.vault_opens(name)


def test_a_wrong_secret_is_not_enabled(site: Site, box: str) -> None:
    user = site.account("wrong", new_password())
    command = (*ADD, f"{user}@{box}", *FROM_INPUT, "--enable", "--json")
    done = site.engine.run(*command, stdin="not this one")
    assert done.returncode == Exit.LOGIN_REFUSED
    assert json.loads(done.stdout)["outcome"] == "bad_login"
    assert site.state(f"{user}@{box}") == "drifted"


def test_passwords_that_the_target_finds_too_short_are_replaced_twice_and_then_given_up(
    site: Site, box: str
) -> None:
    """passwd(1) of Linux-PAM wants six characters at the least from whoever is not root."""
    short = site.policy(generator={"length": 5, "min_symbol": 0})
    old = new_password()
    user, name = site.own("short", old, box, "--policy", short)
    ended = site.rotate(name)
    assert ended.end == (Exit.TARGET_REFUSED, "failed", "refused_by_policy")
    assert site.accounts.opens(user, old)
    assert site.revealed(name) == old
    assert site.state(name) == "managed"
    statuses = [version["status"] for version in site.history(name)]
    assert statuses == ["unused", "unused", "unused", "current"]


def test_a_change_before_the_minimum_age_waits_and_loses_nothing(site: Site, box: str) -> None:
    impatient = site.policy(retry={"attempts": 1})
    old = new_password()
    user, name = site.own("age", old, box, "--policy", impatient)
    subprocess.run(["chage", "-m", "5", user], check=True)
    ended = site.rotate(name)
    assert ended.end == (Exit.TARGET_REFUSED, "failed", "too_soon")
    assert site.accounts.opens(user, old)
    assert site.revealed(name) == old
    subprocess.run(["chage", "-m", "0", user], check=True)
    assert site.rotate(name).end == PROVEN
    assert site.vault_opens(name)


def test_ten_accounts_are_changed_at_once_through_one_sudoer_within_the_connection_limit(site: Site) -> None:
    device = site.device(None, "--limit", str(LIMIT))
    _, admin = site.own("adm", new_password(), device, sudo=SUDO)
    names = [f"{site.account('many', 'whatever it was')}@{device}" for _ in range(10)]
    at_once(lambda name: site.engine.run(*ADD, name, "--auth", admin, "--enable"), names)
    assert [ended.end for ended in at_once(site.rotate, names)] == [PROVEN] * 10
    assert all(at_once(site.vault_opens, names))
    done = site.operations(device=device)
    spans = [(each["started"], each["finished"]) for each in done if each["action"] == "change_secret"]
    assert len(spans) == 10
    assert 1 < max(sum(start <= moment < end for start, end in spans) for moment, _ in spans) <= LIMIT


def test_a_changed_host_key_stops_everything_until_a_person_trusts_it(site: Site) -> None:
    _, other = key_pair()
    device = site.device()
    old = new_password()
    user, name = site.own("host", old, device)
    site.engine.ask("device", "trust", device, "--host-key", other.strip())
    ended = site.rotate(name)
    assert ended.end == (Exit.UNTRUSTED_HOST, "failed", "untrusted_host")
    assert site.accounts.opens(user, old)
    stopped = site.credential(name)
    assert stopped["state"] == "suspended"
    assert "device trust" in stopped["reason"]
    site.engine.ask("device", "trust", device, "--host-key", site.sshd.host_key_line)
    assert site.engine.ask("credential", "resume", name)["state"] == "unverified"
    assert site.engine.ask("credential", "enable", name)["state"] == "managed"
    assert site.rotate(name).end == PROVEN
    assert site.vault_opens(name)


def test_an_account_behind_a_jump_host_is_changed(site: Site, box: str) -> None:
    _, jump = site.own("jump", new_password(), box)
    inner = site.device(None, "--jump", jump)
    _, name = site.own("inner", new_password(), inner)
    connections = site.sshd.log_path.read_text().count(f"Accepted password for {jump.partition('@')[0]}")
    assert site.rotate(name).end == PROVEN
    assert site.vault_opens(name)
    log = site.sshd.log_path.read_text()
    assert log.count(f"Accepted password for {jump.partition('@')[0]}") > connections


def test_both_kinds_of_child_follow_their_parent(site: Site, box: str) -> None:
    shared, apart = new_password(), new_password()
    _, parent = site.own("par", shared, box)
    _, same = site.own("same", shared, box, "--parent", parent, "--link", "same")
    _, own = site.own("kid", apart, box, "--parent", parent, "--link", "own")
    assert "parent" in site.refused("credential", "rotate", same).detail
    ended = site.rotate(parent)
    assert ended.end == PROVEN
    children = _children(site, box, ended.operation)
    assert {each["credential"] for each in children} == {same, own}
    for each in children:
        assert site.wait("operation", "wait", str(each["id"]), "--timeout", "50").end == PROVEN
    assert all(site.vault_opens(name) for name in (parent, same, own))
    assert site.revealed(same) == site.revealed(parent) != shared
    assert site.revealed(own) not in (site.revealed(parent), apart)


def _children(site: Site, box: str, parent: int) -> list[dict[str, object]]:
    """The next tick asks for them."""
    found: list[dict[str, object]] = []

    def there() -> bool:
        found[:] = [
            each
            for each in site.operations(device=box, after=parent)
            if each["parent_operation_id"] == parent
        ]
        return len(found) == 2

    site.engine.wait_until(there, "the children were not asked to follow")
    return found


def test_hostile_secrets_that_were_imported_are_proven_and_changed(site: Site, box: str) -> None:
    users = {site.account("host", old): old for old in HOSTILE}
    names = [f"{user}@{box}" for user in users]
    at_once(lambda user: site.add(f"{user}@{box}", users[user]), list(users))
    assert {ended.end for ended in at_once(site.rotate, names)} == {PROVEN}
    assert all(at_once(site.vault_opens, names))
    assert not any(site.accounts.opens(user, old) for user, old in users.items())


@pytest.fixture(scope="module")
def workbench(site: Site) -> str:
    """An account that `template run` changes, without asking an engine."""
    return site.account("bench", new_password())


def template_run(
    site: Site, folder: Path, user: str, current: str, new: str
) -> subprocess.CompletedProcess[str]:
    (folder / "current").write_text(current)
    (folder / "new").write_text(new)
    where = ("--executor", "ssh", "--address", site.sshd.host, "--port", str(site.sshd.port))
    secrets = (
        "--login-secret-file",
        str(folder / "current"),
        "--secret-tag",
        f"NEW_PASSWORD={folder / 'new'}",
    )
    elsewhere = RunningEngine(folder / "no engine here")
    return elsewhere.run(
        *("template", "run", LINUX / "linux-own-password.template", *where, "--login", user, *secrets),
        *("--host-key", site.sshd.host_key_line, "--json"),
    )


@pytest.mark.parametrize("new", HOSTILE)
def test_template_run_sets_a_hostile_password_exactly(
    site: Site, workbench: str, tmp_path: Path, new: str
) -> None:
    old = new_password()
    site.accounts.set_password(workbench, old)
    done = template_run(site, tmp_path, workbench, old, new)
    assert done.returncode == Exit.OK, done.stdout + done.stderr
    shown = json.loads(done.stdout)
    assert (shown["outcome"], shown["proof"]) == ("ok", "opens")
    assert site.accounts.opens(workbench, new)
    assert new not in done.stdout + done.stderr


def test_template_run_says_that_the_target_knows_the_password_already(
    site: Site, workbench: str, tmp_path: Path
) -> None:
    old = new_password()
    site.accounts.set_password(workbench, old)
    done = template_run(site, tmp_path, workbench, old, old)
    assert done.returncode == Exit.TARGET_REFUSED
    assert json.loads(done.stdout)["outcome"] == "too_soon"
    assert site.accounts.opens(workbench, old)


@pytest.mark.parametrize("new", ["has\x07a bell Q7", "right\u202eto left Q7", "two\nlines Q7"])
def test_template_run_refuses_what_no_prompt_takes_before_anything_is_touched(
    site: Site, workbench: str, tmp_path: Path, new: str
) -> None:
    old = new_password()
    site.accounts.set_password(workbench, old)
    logins = site.sshd.log_path.read_text().count(workbench)
    done = template_run(site, tmp_path, workbench, old, new)
    assert done.returncode == Exit.INPUT_REFUSED
    assert "Q7" not in done.stderr
    assert site.sshd.log_path.read_text().count(workbench) == logins
    assert site.accounts.opens(workbench, old)
