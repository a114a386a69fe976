"""A worker that is told to end, by a drain or by SIGTERM, ends what it has begun; another one goes on."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.cli.exits import Exit
from tests.acceptance import cluster as clusters
from tests.acceptance.cluster import Cluster, Worker
from tests.acceptance.fakes import Fakes
from tests.demo.engine import KEYTURN, PATIENCE, POLL, clean_environment
from tests.peers.postgres import PostgresServer
from tests.peers.redis import RedisServer
from tests.targets.box import Box, NewAccount

USER = "svc"


@dataclass
class Slow:
    """A target that keeps its answer back while a file exists, and its one account."""

    box: Box
    hold: Path
    credential: int


@dataclass
class Site:
    cluster: Cluster
    fakes: Fakes
    slow: Slow

    def holder(self, operation: int) -> Worker:
        """The worker that works on it."""
        statement = "SELECT worker FROM attempt WHERE operation_id = %(which)s ORDER BY id DESC LIMIT 1"
        [(name,)] = self.cluster.query(statement, which=operation)
        return next(each for each in self.cluster.workers if each.name == name)

    @contextmanager
    def at_work(self) -> Iterator[tuple[int, Worker]]:
        """A change that was made on the target, whose answer is not there; it comes when the block ends."""
        self.slow.hold.touch()
        try:
            answer = self.fakes.ask("POST", f"/credentials/{self.slow.credential}/rotate")
            asked = int(answer["operation"])
            api = self.cluster.api
            api.wait_until(lambda: self.slow.box.withholds(USER), "nothing was sent")
            yield asked, self.holder(asked)
        finally:
            self.slow.hold.unlink()

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that goes on while the test does."""
        return subprocess.Popen(
            [KEYTURN, *arguments],
            env=clean_environment(KEYTURN_DATA=str(self.cluster.api.data)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def again(self, worker: Worker) -> None:
        worker.launch()
        worker.wait_until(worker.is_ready, "the worker did not come back")


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer, redis: RedisServer
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("drain")
    box = Box([NewAccount(USER, "first-of-svc-0815")], folder / "hold")
    try:
        with clusters.running(Cluster(folder / "cluster", postgres, redis)) as made:
            fakes = Fakes.among(made.api, folder)
            yield Site(made, fakes, _slow(fakes, box, folder / "hold"))
    finally:
        box.stop()


def _slow(fakes: Fakes, box: Box, hold: Path) -> Slow:
    where = {"address": box.address, "ports": {"ssh": box.port}, "host_keys": [box.host_key]}
    fakes.ask("POST", "/devices", {"name": "slow", **where})
    made = fakes.ask("POST", "/credentials", {"name": f"{USER}@slow", "secret": box.held(USER)[0]})["id"]
    enabled = fakes.ask("POST", f"/credentials/{made}/enable")["operation"]
    assert fakes.ended(enabled)["state"] == "succeeded"
    return Slow(box, hold, int(made))


def _proven_by(site: Site, operation: int, name: str) -> None:
    """It ended well, and nobody else had to take it over."""
    shown = site.fakes.ended(operation)
    assert (shown["state"], shown["outcome"]) == ("succeeded", "ok"), shown
    statement = "SELECT worker FROM attempt WHERE operation_id = %(which)s"
    assert site.cluster.query(statement, which=operation) == [(name,)]
    secret = site.fakes.ask("POST", f"/credentials/{site.slow.credential}/reveal", {"reason": "compared"})
    assert site.slow.box.holds(USER, secret["secret"])


def _drains(site: Site, name: str) -> bool:
    return any(each["name"] == name and each["draining"] for each in site.fakes.ask("GET", "/workers"))


def test_a_drain_waits_for_what_was_begun_and_another_worker_goes_on(site: Site) -> None:
    with site.at_work() as (asked, worker):
        name = worker.name
        command = site.command("worker", "drain", name, "--wait")
        site.cluster.api.wait_until(lambda: _drains(site, name), "the drain was not asked for")
        other = site.fakes.account()
        for _ in range(3):
            site.fakes.change(other)
        statement = "SELECT count(*) FROM attempt WHERE worker = %(name)s AND finished IS NULL"
        assert site.cluster.query(statement, name=name) == [(1,)], "it took nothing more"
        assert command.poll() is None
        assert worker.process.poll() is None
    output, _ = command.communicate(timeout=PATIENCE)
    assert (command.returncode, output) == (0, f"{name} stopped\n")
    assert worker.process.wait(PATIENCE) == 0
    _proven_by(site, asked, name)
    site.again(worker)


def test_sigterm_ends_what_was_begun_too(site: Site) -> None:
    with site.at_work() as (asked, worker):
        name = worker.name
        worker.process.send_signal(signal.SIGTERM)
        other = site.fakes.account()
        site.fakes.change(other)
        assert worker.process.poll() is None
    assert worker.process.wait(PATIENCE) == 0
    _proven_by(site, asked, name)
    stopped = site.cluster.query("SELECT stopped IS NOT NULL FROM worker WHERE name = %(name)s", name=name)
    assert stopped == [(True,)]
    site.again(worker)


def test_a_worker_that_was_killed_goes_on_where_it_was_as_soon_as_it_is_back(site: Site) -> None:
    with site.at_work() as (asked, worker):
        name = worker.name
        worker.kill()
    site.again(worker)
    shown = site.fakes.ended(asked)
    assert shown["state"] == "succeeded", shown
    held = site.slow.box.held(USER)
    assert (
        held[-1]
        == site.fakes.ask("POST", f"/credentials/{site.slow.credential}/reveal", {"reason": "compared"})[
            "secret"
        ]
    )
    kinds = site.cluster.query("SELECT payload FROM outbox WHERE kind = 'worker.stopped' ORDER BY id")
    assert any(payload["worker"] == name for (payload,) in kinds), "its successor says that it is gone"


def test_a_second_start_on_a_directory_in_use_is_refused_and_disturbs_nothing(site: Site) -> None:
    first = site.cluster.workers[0]
    name, before = first.name, len(first.log())
    second = Worker(first.data, "--zone", "default", **site.cluster.settings)
    second.launch()
    assert second.process.wait(PATIENCE) == Exit.NOT_READY
    told = first.log()[before:]  # both write there
    assert "is in use by another engine" in told
    assert "Traceback" not in told
    assert first.name == name
    assert first.process.poll() is None
    site.fakes.change(site.fakes.account())


def test_when_all_of_the_zone_are_drained_work_waits_and_readiness_says_so(site: Site) -> None:
    told = site.command("worker", "drain", "--zone", "default", "--wait")
    output, _ = told.communicate(timeout=PATIENCE)
    assert told.returncode == 0, output
    assert [worker.process.wait(PATIENCE) for worker in site.cluster.workers] == [0, 0]
    assert site.cluster.api.status("/readyz") == 503
    asked = int(site.fakes.ask("POST", f"/credentials/{site.slow.credential}/rotate")["operation"])
    time.sleep(10 * POLL)
    assert site.fakes.operation(asked)["state"] == "scheduled"
    for worker in site.cluster.workers:
        site.again(worker)
    assert site.fakes.ended(asked)["state"] == "succeeded"
