"""What every test shares: a clean environment, no sockets in tests/unit, and the real servers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_socket
from hypothesis import settings

from tests.peers import postgres as postgres_peer
from tests.peers import rabbitmq as rabbitmq_peer
from tests.peers import redis as redis_peer
from tests.peers import sshd as sshd_peer
from tests.peers.accounts import LocalAccounts
from tests.peers.availability import asked, remember, require_peer, strict, summary
from tests.peers.postgres import PostgresServer
from tests.peers.rabbitmq import RabbitServer
from tests.peers.redis import RedisServer
from tests.peers.sshd import SshServer

# Settings of the developer's own installation must not reach a test.
for _name in [name for name in os.environ if name.startswith("KEYTURN_")]:
    del os.environ[_name]

settings.register_profile("keyturn", deadline=None)  # how long an example takes proves nothing
settings.load_profile("keyturn")


@pytest.fixture(scope="session")
def sshd() -> Iterator[SshServer]:
    """The real OpenSSH server."""
    require_peer("sshd", sshd_peer.available(), sshd_peer.HOW)
    server = SshServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def accounts() -> Iterator[LocalAccounts]:
    """Real local accounts for `sshd`."""
    require_peer("sshd", sshd_peer.available(), sshd_peer.HOW)
    made = LocalAccounts()
    yield made
    made.remove_all()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL; ask it for a database of your own."""
    require_peer("postgresql", postgres_peer.available(), postgres_peer.HOW)
    server = PostgresServer()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """A real Redis. Queues of different engines have different names; whoever flushes it takes its own."""
    require_peer("redis", redis_peer.available(), redis_peer.HOW)
    server = RedisServer()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitServer]:
    """A real RabbitMQ, which takes many seconds to start."""
    require_peer("rabbitmq", rabbitmq_peer.available(), rabbitmq_peer.HOW)
    server = RabbitServer()
    yield server
    server.remove()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/unit/" in item.path.as_posix():
            item.add_marker(pytest.mark.disable_socket)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """After the fixtures: whoever patched a function of `socket` has just put the blocked one back."""
    pytest_socket.enable_socket()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(summary(len(terminalreporter.stats.get("skipped", []))))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["peers"] = asked()  # of this process; the one that reports asked for none itself
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter is not None and reporter.stats.get("skipped")
    if strict() and skipped and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """One of pytest-xdist's processes has ended."""
    remember(getattr(node, "workeroutput", {}).get("peers", {}))
