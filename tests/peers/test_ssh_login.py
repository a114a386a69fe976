"""Logging in and proving against the real sshd: what each refusal says about the secret."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest

from executors.contract import (
    Failure,
    Hop,
    Login,
    Outcome,
    ProofKind,
    ProofPlan,
    Secret,
    Section,
    Target,
    Transcript,
    Verdict,
)
from tests.peers.accounts import LocalAccounts
from tests.peers.ssh_drive import (
    SSH,
    at,
    authorize,
    fresh,
    key,
    key_pair,
    new_password,
    password,
    prove,
    verdict,
)
from tests.peers.sshd import SshServer

Serve = Callable[[Mapping[str, str]], SshServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """More servers, with options of their own."""
    servers: list[SshServer] = []

    def start(options: Mapping[str, str]) -> SshServer:
        servers.append(SshServer(options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def refusal(target: Target, login: Login) -> Failure:
    """How connecting failed."""
    with pytest.raises(Failure) as caught:
        SSH.connect(target, login, Transcript([login.secret]))
    assert login.secret.reveal() not in caught.value.message
    return caught.value


def test_a_key_opens_its_account(sshd: SshServer, accounts: LocalAccounts) -> None:
    user = fresh(accounts, "key")
    pem = authorize(user)
    assert prove(at(sshd), key(user, pem)).verdict is Verdict.OPENS
    assert prove(at(sshd), key(user, key_pair()[0])).verdict is Verdict.REFUSED


def test_a_key_that_cannot_be_read_is_not_tried(sshd: SshServer) -> None:
    assert prove(at(sshd), key("somebody", "not a key")).verdict is Verdict.UNKNOWN
    assert refusal(at(sshd), key("somebody", "not a key")).outcome is Outcome.BAD_LOGIN


def test_a_wrong_password_is_a_bad_login(sshd: SshServer, accounts: LocalAccounts) -> None:
    user = fresh(accounts, "bad", new_password())
    assert refusal(at(sshd), password(user, "not-it")).outcome is Outcome.BAD_LOGIN
    assert verdict(at(sshd), user, "not-it") is Verdict.REFUSED


def test_a_password_answers_a_server_that_only_asks_questions(serve: Serve, accounts: LocalAccounts) -> None:
    server = serve({"PasswordAuthentication": "no"})
    secret = new_password()
    user = fresh(accounts, "kbd", secret)
    assert verdict(at(server), user, secret) is Verdict.OPENS
    assert verdict(at(server), user, "not-it") is Verdict.REFUSED


def test_a_question_for_a_new_password_says_that_the_secret_is_right(
    serve: Serve, accounts: LocalAccounts
) -> None:
    server = serve({"PasswordAuthentication": "no"})
    secret = new_password()
    user = fresh(accounts, "kbd", secret, expired=True)
    assert verdict(at(server), user, secret) is Verdict.RESTRICTED
    assert refusal(at(server), password(user, secret)).outcome is Outcome.ACCOUNT_DISABLED
    assert accounts.opens(user, secret)


def test_a_server_without_passwords_says_nothing_about_one(serve: Serve, accounts: LocalAccounts) -> None:
    server = serve({"PasswordAuthentication": "no", "KbdInteractiveAuthentication": "no"})
    secret = new_password()
    user = fresh(accounts, "nopw", secret)
    assert verdict(at(server), user, secret) is Verdict.UNKNOWN
    assert refusal(at(server), password(user, secret)).outcome is Outcome.PERMISSION_DENIED


def test_a_second_factor_after_the_right_password_is_a_proof(serve: Serve, accounts: LocalAccounts) -> None:
    server = serve({"AuthenticationMethods": "password,publickey"})
    secret = new_password()
    user = fresh(accounts, "mfa", secret)
    assert verdict(at(server), user, secret) is Verdict.RESTRICTED
    assert verdict(at(server), user, "not-it") is Verdict.REFUSED


def test_an_account_without_a_shell_is_restricted(sshd: SshServer, accounts: LocalAccounts) -> None:
    secret = new_password()
    user = fresh(accounts, "nol", secret)
    accounts.set_shell(user, "/usr/sbin/nologin")
    seen = prove(at(sshd), password(user, secret))
    assert seen.verdict is Verdict.RESTRICTED
    assert "not available" in seen.detail


def test_a_disabled_account_does_not_open(sshd: SshServer, accounts: LocalAccounts) -> None:
    secret = new_password()
    user = fresh(accounts, "dis", secret)
    accounts.disable(user)
    assert verdict(at(sshd), user, secret) is Verdict.RESTRICTED
    assert verdict(at(sshd), user, "not-it") is Verdict.REFUSED
    assert refusal(at(sshd), password(user, secret)).outcome is Outcome.ACCOUNT_DISABLED


def test_too_many_tries_are_told_from_a_wrong_password(serve: Serve, accounts: LocalAccounts) -> None:
    server = serve({"MaxAuthTries": "1"})
    user = fresh(accounts, "many", new_password())
    assert verdict(at(server), user, "not-it") is Verdict.LOCKED
    assert refusal(at(server), password(user, "not-it")).outcome is Outcome.LOCKED_OUT


def test_a_changed_host_key_is_named_before_anybody_logs_in(sshd: SshServer) -> None:
    other = key_pair()[1].strip()
    failure = refusal(replace(at(sshd), host_keys=(other,)), password("somebody", "secret-word"))
    assert failure.outcome is Outcome.UNTRUSTED_HOST
    assert "SHA256:" in failure.message
    assert "keyturn device trust web1" in failure.message
    assert "somebody" not in sshd.log_path.read_text()


def test_an_unknown_host_key_is_not_trusted(sshd: SshServer) -> None:
    target = replace(at(sshd), host_keys=())
    assert refusal(target, password("somebody", "no password of anybody")).outcome is Outcome.UNTRUSTED_HOST
    assert prove(target, password("somebody", "secret-word")).verdict is Verdict.UNKNOWN


def test_a_server_without_a_key_of_the_pinned_type_is_not_trusted(sshd: SshServer) -> None:
    rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ"
    target = replace(at(sshd), host_keys=(rsa + "=" * (-len(rsa.split()[1]) % 4),))
    assert refusal(target, password("somebody", "no password of anybody")).outcome is Outcome.UNTRUSTED_HOST


@pytest.mark.parametrize("line", ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-dss AAAA"])
def test_a_pinned_key_that_cannot_be_used_is_not_trusted(sshd: SshServer, line: str) -> None:
    target = replace(at(sshd), host_keys=(line,))
    assert refusal(target, password("somebody", "no password of anybody")).outcome is Outcome.UNTRUSTED_HOST


def test_any_host_key_is_accepted_from_this_machine_only(sshd: SshServer, accounts: LocalAccounts) -> None:
    secret = new_password()
    user = fresh(accounts, "any", secret)
    careless = replace(at(sshd), host_keys=(), accept_any_host_key=True)
    assert verdict(careless, user, secret) is Verdict.OPENS
    through = replace(careless, jump=Hop(at(sshd), password(user, secret)))
    assert refusal(through, password(user, secret)).outcome is Outcome.UNTRUSTED_HOST


def test_an_address_of_ip_version_6_is_reached(sshd: SshServer, accounts: LocalAccounts) -> None:
    secret = new_password()
    user = fresh(accounts, "six", secret)
    expected = Verdict.OPENS if sshd.ipv6 else Verdict.UNKNOWN
    assert verdict(at(sshd, "::1"), user, secret) is expected


def test_a_jump_host_is_logged_in_to_first(serve: Serve, sshd: SshServer, accounts: LocalAccounts) -> None:
    jump_secret, secret = new_password(), new_password()
    jumper, user = fresh(accounts, "jump", jump_secret), fresh(accounts, "behind", secret)
    hop = at(serve({}))
    target = replace(at(sshd), jump=Hop(hop, password(jumper, jump_secret)))
    assert verdict(target, user, secret) is Verdict.OPENS
    assert verdict(target, user, "not-it") is Verdict.REFUSED


def test_what_the_jump_host_refuses_says_nothing_about_the_secret(
    serve: Serve, sshd: SshServer, accounts: LocalAccounts
) -> None:
    secret = new_password()
    user = fresh(accounts, "behind", secret)
    hop = at(serve({"AllowTcpForwarding": "no"}))
    wrong = replace(at(sshd), jump=Hop(hop, password(user, "not-it")))
    assert verdict(wrong, user, secret) is Verdict.UNKNOWN
    assert refusal(wrong, password(user, secret)).outcome is Outcome.BAD_LOGIN
    closed = replace(at(sshd), jump=Hop(hop, password(user, secret)))
    assert refusal(closed, password(user, secret)).outcome is Outcome.UNREACHABLE
    unknown = replace(at(sshd), jump=Hop(replace(hop, host_keys=()), password(user, secret)))
    assert refusal(unknown, password(user, secret)).outcome is Outcome.UNTRUSTED_HOST


def test_a_server_with_too_many_logins_at_once_is_unreachable(serve: Serve) -> None:
    server = serve({"MaxStartups": "1"})
    with contextlib.ExitStack() as waiting:
        for _ in range(3):
            waiting.enter_context(socket.create_connection((server.host, server.port), timeout=5))
        failure = refusal(at(server), password("somebody", "secret-word"))
    assert failure.outcome is Outcome.UNREACHABLE


def test_a_closed_port_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    target = Target("web1", "127.0.0.1", port, accept_any_host_key=True)
    assert refusal(target, password("somebody", "secret-word")).outcome is Outcome.UNREACHABLE
    assert prove(target, password("somebody", "secret-word")).verdict is Verdict.UNKNOWN


def test_a_server_that_never_greets_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        target = Target("web1", "127.0.0.1", port, accept_any_host_key=True, connect_timeout=0.5)
        assert refusal(target, password("somebody", "secret-word")).outcome is Outcome.UNREACHABLE


def test_no_proof_is_asked_for_where_the_plan_says_none() -> None:
    target = Target("web1", "127.0.0.1", 1)
    seen = prove(target, password("somebody", "secret-word"), ProofPlan(ProofKind.NONE))
    assert (seen.verdict, seen.kind) == (Verdict.UNKNOWN, ProofKind.NONE)


def test_a_connection_closed_twice_is_closed(sshd: SshServer, accounts: LocalAccounts) -> None:
    secret = new_password()
    connection = SSH.connect(at(sshd), password(fresh(accounts, "twice", secret), secret), Transcript())
    connection.close()
    connection.close()


def test_a_server_that_dies_during_a_command_is_a_failure(serve: Serve, accounts: LocalAccounts) -> None:
    server = SshServer({})
    try:
        secret = new_password()
        user = fresh(accounts, "die", secret)
        connection = SSH.connect(at(server), password(user, secret), Transcript([Secret(secret)]))
    finally:
        server.stop()
    with pytest.raises(Failure) as caught:
        connection.run(SSH.parse("run true"), Section.CHANGE, {})
    connection.close()
    assert caught.value.outcome is Outcome.UNREACHABLE


def test_a_command_that_stays_silent_is_a_timeout(sshd: SshServer, accounts: LocalAccounts) -> None:
    secret = new_password()
    user = fresh(accounts, "slow", secret)
    connection = SSH.connect(at(sshd), password(user, secret), Transcript())
    body = 'dialogue cat\n  expect "never"\n  timeout 0.5'
    report = connection.run(SSH.parse(body), Section.CHANGE, {})
    connection.close()
    assert report.outcome is Outcome.TIMEOUT


def test_endless_output_is_bounded(sshd: SshServer, accounts: LocalAccounts) -> None:
    secret = new_password()
    user = fresh(accounts, "loud", secret)
    connection = SSH.connect(at(sshd), password(user, secret), Transcript())
    report = connection.run(SSH.parse("run head -c 3000000 /dev/zero"), Section.CHANGE, {})
    report = connection.run(SSH.parse("run seq 400000"), Section.CHANGE, {})
    connection.close()
    assert (report.outcome, "256 KiB" in report.message) == (Outcome.SCRIPT_MISMATCH, True)


def test_a_shell_on_a_terminal_is_answered_prompt_by_prompt(sshd: SshServer, accounts: LocalAccounts) -> None:
    secret = new_password()
    user = fresh(accounts, "shell", secret)
    connection = SSH.connect(at(sshd), password(user, secret), Transcript())
    body = 'shell\n  answer "$ " echo si""ng\n  answer "$ " exit\n  expect "sing"'
    report = connection.run(SSH.parse(body), Section.CHANGE, {})
    connection.close()
    assert (report.outcome, report.message) == (Outcome.OK, "")
