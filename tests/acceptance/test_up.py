"""`keyturn up` as a process: what it makes, whom it refuses, how it ends, and how it comes back."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.demo.engine import Engine, descendants, wait_for_end


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One engine for the tests that only look at it."""
    engine = Engine(tmp_path_factory.mktemp("up") / "data")
    engine.start()
    yield engine
    engine.end()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine that has not been started."""
    made = Engine(tmp_path / "data")
    yield made
    made.end()


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        (".", 0o700),
        ("keys", 0o700),
        ("keys/default.key", 0o400),
        ("admin.token", 0o400),
        ("journal", 0o700),
        ("keyturn.sqlite", 0o600),
    ],
)
def test_the_first_start_makes_everything_private(running: Engine, name: str, mode: int) -> None:
    assert (running.data / name).stat().st_mode & 0o7777 == mode


def test_nothing_in_the_data_directory_but_the_public_key_is_open_to_others(running: Engine) -> None:
    made = [path for path in (running.data, *running.data.rglob("*")) if path.suffix != ".pub"]
    assert [path.name for path in made if path.stat().st_mode & 0o077] == []


def test_a_running_engine_says_that_it_is_ready(running: Engine) -> None:
    assert running.status("/readyz") == 200


def test_commands_find_the_engine_by_keyturn_data(running: Engine) -> None:
    assert running.ask("device", "list") == []


def test_commands_find_the_engine_by_the_data_option(running: Engine) -> None:
    assert running.ask("--data", running.data, "credential", "list") == []


def test_a_second_engine_on_the_same_directory_is_refused_in_one_sentence(running: Engine) -> None:
    second = running.run("up", "--data", running.data, "--listen", "127.0.0.1:0")
    assert second.returncode not in (0, 2)
    assert f"error: {running.data} is in use by another engine" in second.stderr
    assert "Traceback" not in second.stderr
    assert running.status("/readyz") == 200


def test_sigterm_ends_the_engine_and_leaves_no_process(engine: Engine) -> None:
    engine.start()
    children = descendants(engine.process.pid)
    assert children
    assert engine.stop() == 0
    assert wait_for_end(children) == []
    assert engine.run("device", "list").returncode == 4
    assert "Traceback" not in engine.log()


def test_after_a_kill_the_next_start_works_at_once(engine: Engine) -> None:
    engine.start()
    first, children = engine.process.pid, descendants(engine.process.pid)
    engine.kill()
    engine.start()
    assert engine.process.pid != first
    assert wait_for_end(children) == []
    assert engine.ask("device", "list") == []


def test_a_start_waits_for_the_children_of_a_killed_engine(engine: Engine) -> None:
    """A child that still works could change a password that the next engine takes for unchanged."""
    engine.start()
    [child, *_] = descendants(engine.process.pid)
    os.kill(child, signal.SIGSTOP)
    try:
        engine.kill()
        engine.launch()
        engine.wait_until(lambda: _has_open(engine.process.pid, engine.data / "lock"), "it never asked")
        with (engine.data / "lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.kill(child, signal.SIGCONT)
    engine.wait_until(engine.is_ready, "it did not start")
    assert wait_for_end([child]) == []


def _has_open(pid: int, path: Path) -> bool:
    """proc(5), /proc/PID/fd."""
    found: list[Path] = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(descriptor.readlink())
    return path in found


def test_a_data_directory_of_a_newer_version_is_refused_and_left_alone(engine: Engine) -> None:
    engine.start()
    engine.stop()
    database = engine.data / "keyturn.sqlite"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("UPDATE engine_state SET supports = '9999'")
    before = _schema(database)
    refused = engine.run("up", "--data", engine.data, "--listen", "127.0.0.1:0")
    assert refused.returncode not in (0, 2)
    assert "error: " in refused.stderr
    assert "newer" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert _schema(database) == before


def _schema(database: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        applied = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        return applied + connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def test_the_engine_listens_on_ipv6_loopback(engine: Engine) -> None:
    engine.start("[::1]:0")
    assert urlsplit(engine.url).hostname == "::1"
    assert engine.status("/readyz") == 200
    assert engine.ask("device", "list") == []


@pytest.mark.parametrize("listen", ["127.0.0.1", "127.0.0.1:http", "127.0.0.1:70000", "here and there:1"])
def test_an_address_that_cannot_be_listened_on_is_refused_in_one_sentence(
    engine: Engine, listen: str
) -> None:
    refused = engine.run("up", "--data", engine.data, "--listen", listen)
    assert refused.returncode == 3
    assert "error: " in refused.stderr
    assert "Traceback" not in refused.stderr
