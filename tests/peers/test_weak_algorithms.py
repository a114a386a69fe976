"""A device that speaks SHA-1 and CBC only: with its consent it works like any other, without it not at all.

The device is asyncssh's own server, restricted; one of the jump hosts is OpenSSH.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest

from executors.contract import (
    Failure,
    Hop,
    Login,
    Outcome,
    ProofPlan,
    Secret,
    Section,
    Target,
    Transcript,
    Verdict,
)
from executors.emulated.account import Account, Rules
from executors.emulated.catalogue import PLATFORMS
from executors.emulated.device import Device
from executors.emulated.ssh import SshDevice
from executors.emulated.telnet import TelnetDevice
from executors.emulated.trouble import Drop, Point
from executors.ssh import SshExecutor
from executors.telnet import TelnetExecutor
from executors.tk_expect import TkExpectExecutor
from tests.peers import ssh_drive
from tests.peers.accounts import LocalAccounts
from tests.peers.ssh_drive import at, authorize, fresh, new_password, password
from tests.peers.sshd import SshServer
from tests.peers.terminal_drive import PASSWD, Done, change
from tests.peers.test_field_language import IOS, TK_SMALL

SSH, TELNET, TK = SshExecutor(), TelnetExecutor(), TkExpectExecutor()
OLD, NEW = "Old-pass1", "New-pass2 \"'$x%#"
ANOTHER = "Another-pass3"

# The test's server is in this process, and shares its warnings.
pytestmark = pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")


def old_device(platform: str, *accounts: Account, **settings: object) -> Device:
    given = accounts or (Account("ann", OLD),)
    return Device(PLATFORMS[platform], given, **settings)  # type: ignore[arg-type]


@pytest.fixture
def linux() -> Iterator[SshDevice]:
    with SshDevice(old_device("debian", Account("ann", OLD, privilege=1)), old=True) as served:
        yield served


def of(served: SshDevice, *, weak: bool = True) -> Target:
    return Target(
        "old1", served.address, served.port, (served.host_key,), read_timeout=15.0, weak_algorithms=weak
    )


def turned(done: Done) -> None:
    assert done.report.outcome is Outcome.OK, done.report.message
    assert (done.new.verdict, done.old.verdict) == (Verdict.OPENS, Verdict.REFUSED)


def refusal(target: Target, secret: str = OLD) -> Failure:
    with pytest.raises(Failure) as caught:
        SSH.connect(target, Login("ann", Secret(secret)), Transcript([Secret(secret)]))
    return caught.value


# A change


def test_a_native_template_changes_the_password(linux: SshDevice) -> None:
    report = ssh_drive.change(
        of(linux),
        password("ann", OLD),
        "linux-own-password",
        CURRENT_PASSWORD=OLD,
        NEW_PASSWORD=NEW,
    )
    assert report.outcome is Outcome.OK, report.message
    assert ssh_drive.verdict(of(linux), "ann", NEW) is Verdict.OPENS
    assert ssh_drive.verdict(of(linux), "ann", OLD) is Verdict.REFUSED


def test_a_template_of_the_fields_language_changes_the_password(linux: SshDevice) -> None:
    turned(change(SSH, 'expect "*$"' + PASSWD, of(linux), "ann", OLD, NEW))


def test_a_script_that_logs_in_by_itself_changes_the_password(linux: SshDevice) -> None:
    turned(change(TK, TK_SMALL, of(linux), "ann", OLD, NEW))


def test_an_old_routers_password_is_changed() -> None:
    device = old_device("ios")
    with SshDevice(device, old=True) as served:
        turned(change(SSH, IOS, of(served), "ann", OLD, ANOTHER))
    assert device.opens("ann", ANOTHER)


def test_a_server_that_asks_questions_is_answered() -> None:
    with SshDevice(old_device("ios"), old=True, keyboard_interactive=True) as served:
        turned(change(SSH, IOS, of(served), "ann", OLD, ANOTHER))


def test_a_connection_lost_in_the_middle_is_no_success() -> None:
    device = old_device("ios", troubles={Point.AFTER_CHANGE: [Drop()]})
    with SshDevice(device, old=True) as served:
        done = change(SSH, IOS, of(served), "ann", OLD, ANOTHER)
    assert done.report.outcome is Outcome.UNREACHABLE
    assert done.new.verdict is Verdict.OPENS


# Consent and trust


def test_without_the_consent_nothing_is_sent_and_the_message_says_what_to_do(linux: SshDevice) -> None:
    failure = refusal(of(linux, weak=False))
    assert failure.outcome is Outcome.UNTRUSTED_HOST
    assert "keyturn device consent old1 --weak-algorithms" in failure.message
    proof = SSH.prove(of(linux, weak=False), password("ann", OLD), ProofPlan(), Transcript())
    assert proof.verdict is Verdict.UNKNOWN
    assert "--weak-algorithms" in proof.detail


def test_a_server_that_only_signs_with_sha1_is_weak_and_not_another_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("executors.emulated.ssh.OLD", {})  # all else is up to date
    with SshDevice(old_device("debian"), old=True) as served, SshDevice(old_device("debian")) as other:
        assert "--weak-algorithms" in refusal(of(served, weak=False)).message
        elsewhere = refusal(replace(of(served, weak=False), host_keys=(other.host_key,)))
        assert "keyturn device trust old1" in elsewhere.message
        transcript = Transcript([Secret(OLD)])
        SSH.connect(of(served), password("ann", OLD), transcript).close()
    assert "old1 shows ssh-rsa" in transcript.text()
    assert "agreed on curve25519-sha256" in transcript.text()


@pytest.mark.parametrize("pinned", [False, True])
def test_the_host_key_is_pinned_as_everywhere(linux: SshDevice, pinned: bool) -> None:
    device = old_device("debian")
    with SshDevice(device, old=True) as other:
        keys = (other.host_key,) if pinned else ()
        failure = refusal(replace(of(linux), host_keys=keys))
    assert failure.outcome is Outcome.UNTRUSTED_HOST
    assert "keyturn device trust old1" in failure.message
    assert device.received == []


def test_what_was_agreed_on_is_in_the_transcript(linux: SshDevice) -> None:
    transcript = Transcript([Secret(OLD)])
    SSH.connect(of(linux), password("ann", OLD), transcript).close()
    assert "old1: agreed on diffie-hellman-group14-sha1, aes128-cbc, hmac-sha1" in transcript.text()


def test_with_the_consent_a_newer_server_is_still_spoken_to_in_the_best_way(
    sshd: SshServer, accounts: LocalAccounts
) -> None:
    secret = new_password()
    user = fresh(accounts, "wk", secret)
    transcript = Transcript([Secret(secret)])
    SSH.connect(replace(at(sshd), weak_algorithms=True), password(user, secret), transcript).close()
    said = transcript.text()
    assert "agreed on curve25519-sha256, aes128-gcm@openssh.com" in said
    assert "sha1" not in said


# Logins


def test_a_wrong_password_is_refused_and_a_locked_account_stays_closed() -> None:
    device = old_device("debian", rules=Rules(tries=2))
    with SshDevice(device, old=True) as served:
        for secret in (ANOTHER, ANOTHER, OLD):
            assert ssh_drive.verdict(of(served), "ann", secret) is Verdict.REFUSED
            assert refusal(of(served), ANOTHER).outcome is Outcome.BAD_LOGIN


def test_a_key_logs_in(sshd: SshServer, accounts: LocalAccounts) -> None:
    user = fresh(accounts, "wkey")
    login = ssh_drive.key(user, authorize(user))
    target = replace(at(sshd), weak_algorithms=True)
    assert ssh_drive.prove(target, login).verdict is Verdict.OPENS


def test_nobody_listening_and_somebody_else_listening_are_unreachable(linux: SshDevice) -> None:
    target = of(linux)
    with TelnetDevice(old_device("ios")) as other:
        assert refusal(replace(target, port=other.port, connect_timeout=3.0)).outcome is Outcome.UNREACHABLE
    assert refusal(replace(target, port=other.port)).outcome is Outcome.UNREACHABLE


def test_a_closed_connection_fails_typed(linux: SshDevice) -> None:
    connection = SSH.connect(of(linux), password("ann", OLD), Transcript())
    connection.close()
    connection.close()
    with pytest.raises(Failure):
        connection.run(SSH.parse("run true\n"), Section.CHANGE, {})


# Jump hosts


def test_an_old_device_is_reached_through_a_jump_host(
    linux: SshDevice, sshd: SshServer, accounts: LocalAccounts
) -> None:
    secret = new_password()
    hop = Hop(at(sshd), password(fresh(accounts, "whop", secret), secret))
    turned(change(SSH, 'expect "*$"' + PASSWD, replace(of(linux), jump=hop), "ann", OLD, NEW))
    stranger = Hop(replace(at(sshd), host_keys=()), hop.login)
    assert refusal(replace(of(linux), jump=stranger), NEW).outcome is Outcome.UNTRUSTED_HOST
    careless = replace(of(linux), jump=hop, host_keys=(), accept_any_host_key=True)
    assert "loopback" in refusal(careless, NEW).message


def test_telnet_goes_through_a_jump_host_with_the_consent(sshd: SshServer, accounts: LocalAccounts) -> None:
    secret = new_password()
    hop = Hop(replace(at(sshd), weak_algorithms=True), password(fresh(accounts, "wtel", secret), secret))
    device = old_device("ios")
    with TelnetDevice(device) as served:
        target = Target("old1", served.address, served.port, read_timeout=15.0, jump=hop, cleartext=True)
        turned(change(TELNET, IOS, target, "ann", OLD, ANOTHER))
    assert device.opens("ann", ANOTHER)


def test_a_safe_device_behind_a_jump_host_with_the_consent_needs_none_itself(
    linux: SshDevice, sshd: SshServer, accounts: LocalAccounts
) -> None:
    secret = new_password()
    user = fresh(accounts, "wsafe", secret)
    hop = Hop(replace(at(sshd), weak_algorithms=True), password(user, secret))
    assert ssh_drive.verdict(replace(at(sshd), jump=hop), user, secret) is Verdict.OPENS
    assert refusal(replace(of(linux, weak=False), jump=hop)).outcome is Outcome.UNREACHABLE


def test_nothing_of_asyncssh_is_logged(linux: SshDevice, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert ssh_drive.verdict(of(linux), "ann", OLD) is Verdict.OPENS
    assert not [each for each in caplog.records if each.name.startswith("asyncssh")]
