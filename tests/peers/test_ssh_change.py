"""The shipped Linux templates against the real passwd, chpasswd, sudo and su; /etc/shadow is the judge."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from pwd import getpwnam

import pytest

from executors.contract import Login, Outcome, ProofKind, ProofPlan, Report, Target, Verdict
from tests.peers.accounts import LocalAccounts
from tests.peers.ssh_drive import (
    at,
    authorize,
    change,
    fresh,
    key,
    key_pair,
    new_password,
    password,
    prove,
    status,
    verdict,
)
from tests.peers.sshd import SshServer
from tests.peers.superuser import superuser as second_root

SUDO = ("/usr/sbin/chpasswd", "/usr/bin/passwd", "/usr/sbin/usermod")
HOSTILE = [
    "$(touch /tmp/x) `id` ; rm -rf ~",
    "quotes ' \" '' \\' \\\\ end",
    "  blanks before and after  ",
    "# not a comment",
    "*?[a-z]{b,c} ~ ! !! ^a^b",
    "a:b:c::d",
    "[#USERNAME#] {{ 7 * 7 }} %s %n",
    "Zażółć-gęślą-jaźń-пароль-密码-🔐",
    "-rf --help -- -",
    "New password: Retype new password:",
]


@pytest.fixture
def superuser() -> Iterator[Login]:
    secret = new_password()
    with second_root(secret) as name:
        yield password(name, secret)


def own(sshd: SshServer, user: str, old: str, new: str) -> Report:
    values = {"CURRENT_PASSWORD": old, "NEW_PASSWORD": new}
    return change(at(sshd), password(user, old), "linux-own-password", **values)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[tuple[Target, Login]]:
    """A login as this machine's root by a key that only one sshd knows; root's own files stay as they are."""
    pem, line = key_pair()
    (tmp_path / "root.keys").write_text(line)
    server = SshServer({"AuthorizedKeysFile": str(tmp_path / "%u.keys"), "StrictModes": "no"})
    yield at(server), key("root", pem)
    server.stop()


def test_an_account_changes_its_own_password(sshd: SshServer, accounts: LocalAccounts) -> None:
    old, new = new_password(), new_password()
    user = fresh(accounts, "own", old)
    report = own(sshd, user, old, new)
    assert (report.outcome, report.message) == (Outcome.OK, "")
    assert accounts.opens(user, new)
    assert verdict(at(sshd), user, new) is Verdict.OPENS
    assert verdict(at(sshd), user, old) is Verdict.REFUSED


def test_an_expired_password_is_changed_in_the_dialogue_that_sshd_forces(
    sshd: SshServer, accounts: LocalAccounts
) -> None:
    old, new = new_password(), new_password()
    user = fresh(accounts, "exp", old, expired=True)
    seen = prove(at(sshd), password(user, old))
    assert seen.verdict is Verdict.RESTRICTED
    assert "Password change required" in seen.detail
    assert status(at(sshd), password(user, old), "linux-own-password").facts == {"status": "expired"}
    assert own(sshd, user, old, new).outcome is Outcome.OK
    assert accounts.opens(user, new)
    assert verdict(at(sshd), user, new) is Verdict.OPENS


def test_the_own_status_holds_identity_and_state(sshd: SshServer, accounts: LocalAccounts) -> None:
    secret = new_password()
    user = fresh(accounts, "stat", secret)
    facts = status(at(sshd), password(user, secret), "linux-own-password").facts
    assert facts == {"identity": str(getpwnam(user).pw_uid), "status": "usable"}


def test_a_wrong_current_password_is_a_bad_login_and_changes_nothing(
    sshd: SshServer, accounts: LocalAccounts
) -> None:
    old, new = new_password(), new_password()
    user = fresh(accounts, "wrong", old)
    values = {"CURRENT_PASSWORD": "not-it", "NEW_PASSWORD": new}
    report = change(at(sshd), password(user, old), "linux-own-password", **values)
    assert report.outcome is Outcome.BAD_LOGIN
    assert accounts.opens(user, old)


def test_a_password_that_is_too_short_is_refused_by_policy(sshd: SshServer, accounts: LocalAccounts) -> None:
    old = new_password()
    user = fresh(accounts, "short", old)
    report = own(sshd, user, old, "a7")
    assert report.outcome is Outcome.REFUSED_BY_POLICY
    assert "longer password" in report.message
    assert accounts.opens(user, old)


def test_the_same_password_again_is_too_soon(sshd: SshServer, accounts: LocalAccounts) -> None:
    old = new_password()
    user = fresh(accounts, "same", old)
    assert own(sshd, user, old, old).outcome is Outcome.TOO_SOON


def test_a_change_before_the_minimum_age_is_too_soon(sshd: SshServer, accounts: LocalAccounts) -> None:
    old = new_password()
    user = fresh(accounts, "age", old)
    subprocess.run(["chage", "-m", "3", user], check=True)
    assert own(sshd, user, old, new_password()).outcome is Outcome.TOO_SOON
    assert accounts.opens(user, old)


@pytest.mark.parametrize("new", [f"Q7{text}z{len(text)}" for text in HOSTILE])
def test_a_hostile_password_is_set_by_passwd_exactly(
    sshd: SshServer, accounts: LocalAccounts, new: str
) -> None:
    old = new_password()
    user = fresh(accounts, "host", old)
    assert own(sshd, user, old, new).outcome is Outcome.OK
    assert accounts.opens(user, new)
    assert verdict(at(sshd), user, new) is Verdict.OPENS


def test_root_sets_every_hostile_password_exactly(
    root: tuple[Target, Login], accounts: LocalAccounts
) -> None:
    user = fresh(accounts, "app", new_password())
    for new in HOSTILE:
        report = change(*root, "linux-by-root", USERNAME=user, NEW_PASSWORD=new)
        assert (report.outcome, report.message) == (Outcome.OK, "")
        assert accounts.opens(user, new)


def test_root_is_told_that_an_account_is_missing(root: tuple[Target, Login]) -> None:
    values = {"USERNAME": "kt-nobody-here", "NEW_PASSWORD": new_password()}
    target, login = root
    assert status(target, login, "linux-by-root", **values).outcome is Outcome.ACCOUNT_MISSING
    assert change(target, login, "linux-by-root", **values).outcome is not Outcome.OK


def test_a_locked_account_and_one_without_password_are_reported(
    root: tuple[Target, Login], accounts: LocalAccounts
) -> None:
    locked, bare = fresh(accounts, "locked", new_password()), fresh(accounts, "bare")
    subprocess.run(["passwd", "-d", bare], check=True, capture_output=True)
    accounts.lock(locked)
    before = accounts.shadow_hash(locked)
    assert status(*root, "linux-status", USERNAME=locked).facts["status"] == "locked"
    assert status(*root, "linux-status", USERNAME=bare).facts["status"] == "no_password"
    assert accounts.shadow_hash(locked) == before


def test_root_locks_an_account_for_password_and_key_and_opens_it_again(
    root: tuple[Target, Login], sshd: SshServer, accounts: LocalAccounts
) -> None:
    secret = new_password()
    user = fresh(accounts, "lock", secret)
    pem = authorize(user)
    assert change(*root, "linux-lock-by-root", USERNAME=user).outcome is Outcome.OK
    assert verdict(at(sshd), user, secret) is not Verdict.OPENS
    assert prove(at(sshd), key(user, pem)).verdict is not Verdict.OPENS
    assert change(*root, "linux-unlock-by-root", USERNAME=user).outcome is Outcome.OK
    assert verdict(at(sshd), user, secret) is Verdict.OPENS
    assert prove(at(sshd), key(user, pem)).verdict is Verdict.OPENS


def test_a_sudoer_sets_every_hostile_password_exactly(sshd: SshServer, accounts: LocalAccounts) -> None:
    admin_secret = "sudo's own: $pa ss\\"
    admin = fresh(accounts, "adm", admin_secret, sudo=SUDO)
    user = fresh(accounts, "app", new_password())
    for new in HOSTILE:
        values = {"USERNAME": user, "NEW_PASSWORD": new, "AUTH_PASSWORD": admin_secret}
        assert status(at(sshd), password(admin, admin_secret), "linux-by-sudoer", **values).facts == {
            "identity": str(getpwnam(user).pw_uid),
            "status": "usable",
        }
        report = change(at(sshd), password(admin, admin_secret), "linux-by-sudoer", **values)
        assert (report.outcome, report.message) == (Outcome.OK, "")
        assert accounts.opens(user, new)


def test_a_sudoer_locks_and_unlocks(sshd: SshServer, accounts: LocalAccounts) -> None:
    admin_secret, secret = new_password(), new_password()
    admin = fresh(accounts, "adm", admin_secret, sudo=SUDO)
    user = fresh(accounts, "app", secret)
    values = {"USERNAME": user, "AUTH_PASSWORD": admin_secret}
    login = password(admin, admin_secret)
    assert change(at(sshd), login, "linux-lock-by-sudoer", **values).outcome is Outcome.OK
    assert status(at(sshd), login, "linux-lock-by-sudoer", **values).facts["status"] == "locked"
    assert verdict(at(sshd), user, secret) is not Verdict.OPENS
    assert change(at(sshd), login, "linux-unlock-by-sudoer", **values).outcome is Outcome.OK
    assert verdict(at(sshd), user, secret) is Verdict.OPENS


def test_a_wrong_sudo_password_is_a_bad_login_in_the_status_already(
    sshd: SshServer, accounts: LocalAccounts
) -> None:
    admin_secret, secret = new_password(), new_password()
    admin = fresh(accounts, "adm", admin_secret, sudo=SUDO)
    user = fresh(accounts, "app", secret)
    values = {"USERNAME": user, "NEW_PASSWORD": new_password(), "AUTH_PASSWORD": "not-it"}
    assert (
        status(at(sshd), password(admin, admin_secret), "linux-by-sudoer", **values).outcome
        is Outcome.BAD_LOGIN
    )
    assert (
        change(at(sshd), password(admin, admin_secret), "linux-by-sudoer", **values).outcome
        is Outcome.BAD_LOGIN
    )
    assert accounts.opens(user, secret)


def test_an_account_without_sudo_is_denied(sshd: SshServer, accounts: LocalAccounts) -> None:
    admin_secret = new_password()
    admin = fresh(accounts, "adm", admin_secret)
    user = fresh(accounts, "app", new_password())
    values = {"USERNAME": user, "NEW_PASSWORD": new_password(), "AUTH_PASSWORD": admin_secret}
    report = change(at(sshd), password(admin, admin_secret), "linux-by-sudoer", **values)
    assert report.outcome is Outcome.PERMISSION_DENIED


def test_where_sudo_asks_for_no_password_its_line_never_reaches_chpasswd(
    sshd: SshServer, accounts: LocalAccounts
) -> None:
    secret = new_password()
    admin = fresh(accounts, "adm", secret, sudo=["NOPASSWD: /usr/sbin/chpasswd, /usr/bin/passwd"])
    user, other = fresh(accounts, "app", secret), fresh(accounts, "oth", secret)
    values = {"USERNAME": user, "AUTH_PASSWORD": f"{other}:surprise"}
    for new in HOSTILE:
        report = change(at(sshd), password(admin, secret), "linux-by-sudoer", **values, NEW_PASSWORD=new)
        assert (report.outcome, report.message) == (Outcome.OK, "")
        assert accounts.opens(user, new)
    assert accounts.opens(other, secret)


def test_where_sudo_asks_for_one_command_only_nothing_is_changed(
    sshd: SshServer, accounts: LocalAccounts
) -> None:
    secret = new_password()
    admin = fresh(accounts, "adm", secret, sudo=["NOPASSWD: /usr/bin/passwd", "/usr/sbin/chpasswd"])
    user = fresh(accounts, "app", secret)
    values = {"USERNAME": user, "NEW_PASSWORD": new_password(), "AUTH_PASSWORD": secret}
    report = change(at(sshd), password(admin, secret), "linux-by-sudoer", **values)
    assert report.outcome is Outcome.PERMISSION_DENIED
    assert accounts.opens(user, secret)


def test_an_account_without_rights_sets_hostile_passwords_by_su(
    sshd: SshServer, accounts: LocalAccounts, superuser: Login
) -> None:
    starter = new_password()
    via, user = fresh(accounts, "via", starter), fresh(accounts, "app", new_password())
    values = {
        "USERNAME": user,
        "BECOME_USER": superuser.username,
        "BECOME_PASSWORD": superuser.secret.reveal(),
    }
    for new in HOSTILE:
        report = change(at(sshd), password(via, starter), "linux-by-su", **values, NEW_PASSWORD=new)
        assert (report.outcome, report.message) == (Outcome.OK, "")
        assert accounts.opens(user, new)
    facts = status(at(sshd), password(via, starter), "linux-by-su", **values).facts
    assert facts == {"identity": str(getpwnam(user).pw_uid), "status": "usable"}


def test_a_wrong_password_of_su_is_a_bad_login(
    sshd: SshServer, accounts: LocalAccounts, superuser: Login
) -> None:
    starter, secret = new_password(), new_password()
    via, user = fresh(accounts, "via", starter), fresh(accounts, "app", secret)
    values = {"USERNAME": user, "BECOME_USER": superuser.username, "BECOME_PASSWORD": "not-it"}
    report = change(at(sshd), password(via, starter), "linux-by-su", **values, NEW_PASSWORD=new_password())
    assert report.outcome is Outcome.BAD_LOGIN
    assert accounts.opens(user, secret)


def test_su_proves_a_secret_from_another_account(sshd: SshServer, accounts: LocalAccounts) -> None:
    starter, secret = new_password(), new_password()
    via, user = fresh(accounts, "via", starter), fresh(accounts, "app", secret)
    plan = ProofPlan(ProofKind.SU, password(via, starter))
    assert prove(at(sshd), password(user, secret), plan).verdict is Verdict.OPENS
    assert prove(at(sshd), password(user, "not-it"), plan).verdict is Verdict.REFUSED
    accounts.set_shell(user, "/usr/sbin/nologin")
    assert prove(at(sshd), password(user, secret), plan).verdict is Verdict.RESTRICTED
    accounts.set_shell(user, "/bin/bash")
    accounts.expire(user)
    assert prove(at(sshd), password(user, secret), plan).verdict is Verdict.RESTRICTED
    broken = ProofPlan(ProofKind.SU, password(via, "not-it"))
    assert prove(at(sshd), password(user, secret), broken).verdict is Verdict.UNKNOWN
