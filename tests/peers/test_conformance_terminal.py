"""The executors that run the field's language, against the rules that every executor keeps."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from executors.conformance import RULES, Subject
from executors.contract import Connecting, Executor, Target
from executors.ssh import SshExecutor
from executors.telnet import TelnetExecutor
from executors.tk_expect import TkExpectExecutor
from tests.peers import telnetd as telnetd_peer
from tests.peers.accounts import LocalAccounts
from tests.peers.availability import require_peer
from tests.peers.ssh_drive import at, fresh, key_pair, new_password, password
from tests.peers.sshd import SshServer
from tests.peers.telnetd import TelnetServer
from tests.peers.terminal_drive import PASSWD, values

SHELL = 'expect "*$"' + PASSWD
BODIES: dict[str, tuple[Executor, str]] = {
    "ssh": (SshExecutor(), SHELL),
    "telnet": (TelnetExecutor(), SHELL),
    "tk_expect": (TkExpectExecutor(), "use ssh\n" + SHELL),
}


@pytest.fixture
def nobody_listens() -> Iterator[int]:
    """A port that is taken, so that no other test opens it, and that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture(scope="module")
def telnetd() -> Iterator[TelnetServer]:
    require_peer("telnetd", telnetd_peer.available(), telnetd_peer.HOW)
    server = TelnetServer()
    yield server
    server.stop()


@pytest.fixture(params=BODIES)
def subject(
    request: pytest.FixtureRequest, sshd: SshServer, accounts: LocalAccounts, nobody_listens: int
) -> Subject:
    executor, body = BODIES[request.param]
    old, new = new_password(), new_password()
    login = password(fresh(accounts, "conf", old), old)
    program = executor.parse(body)
    assert isinstance(program, Connecting)
    untrusted: Target | None = None
    if executor.name == "telnet":
        port = request.getfixturevalue("telnetd").port
        target = Target("web1", "127.0.0.1", port, read_timeout=15.0, cleartext=True)
    else:
        target = at(sshd)
        untrusted = replace(target, host_keys=(key_pair()[1].strip(),))
    return Subject(
        executor,
        replace(target, settings=program.settings),
        login,
        login,
        body,
        values(executor, body, login.username, old, new),
        silent=replace(target, port=nobody_listens),
        untrusted=untrusted,
        broken_bodies=[('expect "#"\nfly away\n', 2), ('[change]\nexec "[#NO_SUCH_TAG#]"\n', 2)],
    )


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_an_executor_of_the_fields_language_keeps_every_rule(
    rule: Callable[[Subject], None], subject: Subject
) -> None:
    rule(subject)
