"""Templates in the field's language change real passwords: the new secret opens, the old one does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from executors.contract import Executor, Hop, Outcome, Target, Verdict
from executors.emulated.account import Account
from executors.emulated.catalogue import PLATFORMS
from executors.emulated.device import Device
from executors.emulated.telnet import TelnetDevice
from executors.ssh import SshExecutor
from executors.telnet import TelnetExecutor
from executors.tk_expect import TkExpectExecutor
from tests.peers import frr as frr_peer
from tests.peers import telnetd as telnetd_peer
from tests.peers.accounts import LocalAccounts
from tests.peers.availability import require_peer
from tests.peers.frr import FrrVty
from tests.peers.ssh_drive import at, fresh, new_password, password
from tests.peers.sshd import SshServer
from tests.peers.telnetd import TelnetServer
from tests.peers.terminal_drive import PASSWD, Done, change

SSH, TELNET, TK = SshExecutor(), TelnetExecutor(), TkExpectExecutor()
SHELL = 'expect "*$"' + PASSWD
HOSTILE = "Nr-\"x* 9%k[#]\\'Qz$HOME`"

TCL = r"""use ssh script
set timeout 15
expect {
  "yes/no" { send "yes\r"; exp_continue }
  "assword: " { send -- "[#AUTH_PASSWORD#]\r" }
  timeout { exit 1 }
}
expect "$ "
send "LC_ALL=C passwd\r"
expect "Current password:"
send -- "[#CURRENT_PASSWORD#]\r"
expect "New password:"
send -- "[#NEW_PASSWORD#]\r"
expect "Retype new password:"
send -- "[#NEW_PASSWORD#]\r"
expect {
  "updated successfully" { exit 0 }
  timeout { exit 2 }
  eof { exit 3 }
}
"""
BY_SCRIPT = 'expect "*ogin:"\nexec "[#USERNAME#]"\nexpect "*ssword:"\nexec "[#CURRENT_PASSWORD#]"\n' + SHELL
TK_SMALL = 'use ssh\nset-prompt "$ "\nexpect "*ssword: "\nexec "[#AUTH_PASSWORD#]"\n' + SHELL
VTY = """
expect ">"
exec "enable"
expect "Password:"
exec "Old-En-1"
expect "#"
exec "configure terminal"
expect "(config)#"
exec "password [#NEW_PASSWORD#]"
no-expect "% "
expect "(config)#"
exec "end"
expect "#"
exec "write memory"
expect "Configuration saved"
end
"""
IOS = """
expect "*#"
exec "configure terminal"
expect "*(config)#"
exec "username [#USERNAME#] secret [#NEW_PASSWORD#]"
no-expect "% "
expect "*(config)#"
exec "end"
expect "*#"
exec "write memory"
expect "[OK]"
"""


@pytest.fixture(scope="module")
def telnetd() -> Iterator[TelnetServer]:
    require_peer("telnetd", telnetd_peer.available(), telnetd_peer.HOW)
    server = TelnetServer()
    yield server
    server.stop()


@pytest.fixture
def vty() -> Iterator[FrrVty]:
    require_peer("frr", frr_peer.available(), frr_peer.HOW)
    router = FrrVty("Old-Vty", "Old-En-1")
    yield router
    router.stop()


def clear(port: int) -> Target:
    return Target("web1", "127.0.0.1", port, read_timeout=15.0, cleartext=True)


def turned(done: Done) -> None:
    assert done.report.outcome is Outcome.OK, done.report.message
    assert (done.new.verdict, done.old.verdict) == (Verdict.OPENS, Verdict.REFUSED)


@pytest.mark.parametrize(
    ("executor", "body", "new"),
    [
        (SSH, SHELL, HOSTILE),
        (TK, "use ssh\n" + SHELL, HOSTILE),
        (TK, TK_SMALL, HOSTILE),
        (TK, TCL, HOSTILE),
    ],
    ids=["ssh", "tk-expect", "tk-expect, its own login", "tk-expect in Tcl"],
)
def test_over_openssh_a_template_changes_a_password(
    sshd: SshServer, accounts: LocalAccounts, executor: Executor, body: str, new: str
) -> None:
    old = new_password()
    turned(change(executor, body, at(sshd), fresh(accounts, "fl", old), old, new))


@pytest.mark.parametrize(
    ("executor", "body"),
    [(TELNET, SHELL), (TELNET, BY_SCRIPT), (TK, "use telnet\n" + SHELL)],
    ids=["telnet", "telnet, the script logs in", "tk-expect"],
)
def test_over_telnetd_a_template_changes_a_password(
    telnetd: TelnetServer, accounts: LocalAccounts, executor: Executor, body: str
) -> None:
    old = new_password()
    turned(change(executor, body, clear(telnetd.port), fresh(accounts, "tn", old), old, HOSTILE))


def test_over_the_vty_of_a_router_a_template_changes_its_password(vty: FrrVty) -> None:
    turned(change(TELNET, VTY, clear(vty.port), "anybody", "Old-Vty", "Nr-7x*Qz"))
    assert "password Nr-7x*Qz" in vty.config.read_text()


def test_a_device_behind_telnet_changes_and_saves_its_password() -> None:
    device = Device(PLATFORMS["ios"], [Account("admin", "Old-pass1")])
    with TelnetDevice(device) as served:
        turned(change(TELNET, IOS, clear(served.port), "admin", "Old-pass1", "New-pass2"))


@pytest.mark.parametrize("executor", [SSH, TELNET], ids=["ssh", "telnet"])
def test_a_new_password_that_is_refused_leaves_the_old_one(
    sshd: SshServer, telnetd: TelnetServer, accounts: LocalAccounts, executor: Executor
) -> None:
    old = new_password()
    target = at(sshd) if executor is SSH else clear(telnetd.port)
    body = 'set-read-timeout 3\nexpect "*$"' + PASSWD
    done = change(executor, body, target, fresh(accounts, "no", old), old, "ab1")
    assert done.report.outcome is Outcome.SCRIPT_MISMATCH
    assert (done.new.verdict, done.old.verdict) == (Verdict.REFUSED, Verdict.OPENS)


@pytest.mark.parametrize("executor", [SSH, TELNET], ids=["ssh", "telnet"])
@pytest.mark.parametrize("state", ["expired", "nologin"])
def test_an_account_that_may_not_work_is_restricted_not_open(
    sshd: SshServer, telnetd: TelnetServer, accounts: LocalAccounts, executor: Executor, state: str
) -> None:
    old = new_password()
    target = at(sshd) if executor is SSH else clear(telnetd.port)
    shell = "/usr/sbin/nologin" if state == "nologin" else "/bin/bash"
    user = fresh(accounts, "re", old, expired=state == "expired", shell=shell)
    done = change(executor, SHELL, target, user, old, HOSTILE)
    assert done.report.outcome is not Outcome.OK
    assert done.old.verdict is Verdict.RESTRICTED
    assert accounts.opens(user, old)


def test_a_wrong_password_of_the_script_fails_the_job_and_changes_nothing(
    sshd: SshServer, accounts: LocalAccounts
) -> None:
    old = new_password()
    user = fresh(accounts, "wr", old)
    done = change(TK, TK_SMALL, at(sshd), user, "not it 7Q", HOSTILE)
    assert done.report.outcome is Outcome.BAD_LOGIN
    assert accounts.opens(user, old)


def test_telnet_goes_through_a_jump_host(
    sshd: SshServer, telnetd: TelnetServer, accounts: LocalAccounts
) -> None:
    old = new_password()
    hop = Hop(at(sshd), password(fresh(accounts, "hop", old), old))
    target = replace(clear(telnetd.port), jump=hop)
    turned(change(TELNET, SHELL, target, fresh(accounts, "far", old), old, HOSTILE))


def test_telnet_goes_nowhere_without_consent(telnetd: TelnetServer, accounts: LocalAccounts) -> None:
    old = new_password()
    target = replace(clear(telnetd.port), cleartext=False)
    done = change(TELNET, SHELL, target, fresh(accounts, "cl", old), old, HOSTILE)
    assert done.report.outcome is Outcome.UNTRUSTED_HOST
    assert "cleartext" in done.report.message
    assert (done.new.verdict, done.old.verdict) == (Verdict.UNKNOWN, Verdict.UNKNOWN)
