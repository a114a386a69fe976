"""Whole engines, started by their own commands: distributed with two workers beside embedded, fake targets.

    python -m bench.distributed [--changes N]

All changes are asked for while everything is paused, so that what is measured is the work and not the asking.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import URL, func, select, update

from bench import meter
from bench.figures import table
from bench.ground import Login
from bench.rig import Rig
from engine.operations.models import operation
from engine.store.database import Database
from engine.store.models import engine_state
from engine.vault.journal import JournalWriter
from executors.fake.target import Behaviour, FakeTarget
from tests.acceptance.cluster import Cluster, running
from tests.acceptance.engine import RunningEngine
from tests.acceptance.engine import running as running_alone
from tests.peers.postgres import PostgresServer
from tests.peers.redis import RedisServer

WORKERS = 2
CHANGES = 600
WARM = 40  # changes before anything is measured
PATIENCE = 600.0  # seconds
POLL = 0.05  # seconds
SETTINGS = {"tick": "1", "lease": "300", "deadline": "240"}  # as they are shipped

Figures = dict[str, float]


class Outside(Rig):
    """Registers and asks in the database of an engine that others run."""

    def __init__(self, folder: Path, database: Database) -> None:
        folder.mkdir(mode=0o700)
        self.folder = folder
        self.database = database
        self.journal = JournalWriter(folder)
        self._credentials = {}

    def accounts(self, count: int) -> list[str]:
        """Each on a target of its own: one SQLite file would be waited for by all."""
        names = [f"account{number}" for number in range(count)]
        for name in names:
            target = FakeTarget.create(self.folder / f"{name}.target")
            target.set(name, "first", Behaviour())
            self.device(f"box-{name}", str(target.path), {"fake": 1})
            self.account(Login(name, "first"), f"box-{name}")
        return names

    @contextmanager
    def paused(self) -> Iterator[None]:
        self._pause(True)
        yield
        self._pause(False)

    def _pause(self, value: bool) -> None:
        with self.database.writing() as connection:
            connection.execute(update(engine_state).values(paused=value))

    def await_ends(self, asked: Sequence[int]) -> None:
        """Raises NotProven."""
        left = select(func.count()).where(operation.c.id.in_(asked), operation.c.finished.is_(None))
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with self.database.reading() as connection:
                if connection.execute(left).scalar_one() == 0:
                    break
            time.sleep(POLL)
        self.check(asked)


def measure(changes: int) -> dict[str, Figures]:
    with tempfile.TemporaryDirectory(prefix="keyturn-bench-") as directory:
        return {
            "embedded": _embedded(Path(directory) / "embedded", changes),
            "distributed": _distributed(Path(directory) / "distributed", changes),
        }


def _embedded(folder: Path, changes: int) -> Figures:
    folder.mkdir(mode=0o700)
    with running_alone(RunningEngine(folder / "data", **SETTINGS)) as engine:
        url = URL.create("sqlite", database=str(folder / "data" / "keyturn.sqlite"))
        return _measured(folder, url, changes, {"engine": [engine.process.pid]})


def _distributed(folder: Path, changes: int) -> Figures:
    with ExitStack() as stack:
        postgres = PostgresServer(fsync=True)
        stack.callback(postgres.remove)
        redis = RedisServer()
        stack.callback(redis.remove)
        cluster = Cluster(folder, postgres, redis, {"default": WORKERS}, **SETTINGS)
        stack.enter_context(running(cluster))
        parts = {
            "engine": [worker.process.pid for worker in cluster.workers],
            "API": [cluster.api.process.pid],
            "PostgreSQL": [postgres.pid],
            "Redis": [redis.pid],
        }
        return _measured(folder, cluster.database_url, changes, parts)


def _measured(folder: Path, url: URL, changes: int, parts: Mapping[str, Sequence[int]]) -> Figures:
    """Changes a second, and CPU milliseconds a change by part; `children` are the engine's fork servers."""
    database = Database(url)
    outside = Outside(folder / "outside", database)
    names = outside.accounts(changes)
    outside.await_ends([outside.ask(name) for name in names[:WARM]])
    with outside.paused():
        asked = [outside.ask(name) for name in names]
        whole = {**parts, "children": [pid for each in parts["engine"] for pid in _fork_servers(each)]}
        before = {name: sum(map(meter.tree, pids)) for name, pids in whole.items()}
        began = time.monotonic()
    outside.await_ends(asked)
    wall = time.monotonic() - began
    spent = {name: (sum(map(meter.tree, pids)) - before[name]) / changes for name, pids in whole.items()}
    spent["engine"] -= spent["children"]
    outside.journal.close()
    database.dispose()
    return {
        "changes": changes,
        "per_second": changes / wall,
        **{f"{name}_ms": ms for name, ms in spent.items()},
    }


def _fork_servers(pid: int) -> list[int]:
    wanted = b"engine.work.forkserver"
    return [child for child in meter.children(pid) if wanted in Path(f"/proc/{child}/cmdline").read_bytes()]


def distributed_table(figures: Mapping[str, Figures]) -> str:
    columns = ("per_second", "engine_ms", "children_ms", "API_ms", "PostgreSQL_ms", "Redis_ms")
    head = ["", "changes/s", *(f"{name.removesuffix('_ms')} ms" for name in columns[1:])]
    lines = [
        [name, *(f"{one[column]:.1f}" if column in one else "-" for column in columns)]
        for name, one in figures.items()
    ]
    return table(head, lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.distributed", description=__doc__)
    parser.add_argument("--changes", type=int, default=CHANGES)
    figures = measure(parser.parse_args().changes)
    print(distributed_table(figures))
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
