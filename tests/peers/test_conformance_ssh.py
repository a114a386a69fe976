"""The ssh executor against the rules that every executor keeps, on a real sshd."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from engine.templating.header import parse_file
from executors.conformance import RULES, Subject
from executors.contract import Secret, Value, ValueKind
from tests.peers.accounts import LocalAccounts
from tests.peers.ssh_drive import LINUX, SSH, at, fresh, key_pair, new_password, password
from tests.peers.sshd import SshServer


@pytest.fixture
def nobody_listens() -> Iterator[int]:
    """A port that is taken, so that no other test opens it, and that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture(params=[False, True], ids=["paramiko", "asyncssh"])
def subject(
    request: pytest.FixtureRequest, sshd: SshServer, accounts: LocalAccounts, nobody_listens: int
) -> Subject:
    """The consent to weak algorithms chooses the library; the server is the same."""
    old = new_password()
    login = password(fresh(accounts, "conf", old), old)
    file = parse_file((LINUX / "linux-own-password.template").read_bytes(), "linux-own-password")
    target = replace(at(sshd), weak_algorithms=request.param)
    _, foreign_key = key_pair()
    return Subject(
        SSH,
        target,
        login,
        login,
        file.body,
        {
            "CURRENT_PASSWORD": Value(ValueKind.SECRET, Secret(old)),
            "NEW_PASSWORD": Value(ValueKind.SECRET, Secret(new_password())),
        },
        silent=replace(target, port=nobody_listens),
        untrusted=replace(target, host_keys=(foreign_key.strip(),)),
        broken_bodies=[("[change]\nfly away\n", 2), ("[nowhere]\n", 1)],
    )


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_the_ssh_executor_keeps_every_rule(rule: Callable[[Subject], None], subject: Subject) -> None:
    rule(subject)
