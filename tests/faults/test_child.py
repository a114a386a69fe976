"""The executor child dies or hangs after the target did what it was asked: a probe finds out."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.work.conductor import nothing
from engine.work.forkserver.client import Child
from executors.fake.target import FakeTarget
from tests.faults.judge import judge
from tests.faults.kills import DATABASE, workspace
from tests.faults.process import Forked, Parts, Process, forked, prepare
from tests.faults.scenarios import CHANGE, Scenario, own, reset


@pytest.fixture
def base() -> Iterator[Path]:
    made = workspace()
    yield made
    shutil.rmtree(made)


class Killing(Forked):
    """Kills the first child once the target was changed, and before it can say so."""

    armed = True

    def fork(self) -> Child:
        child = super().fork()
        if self.armed:
            self.armed = False
            threading.Thread(target=self._watch, args=(child,), daemon=True).start()
        return child

    def _watch(self, child: Child) -> None:
        while not FakeTarget(Path("target")).requests("alice"):
            time.sleep(0.01)
        child.kill()


@pytest.mark.parametrize("build", [own(delay_after=1.0), reset(delay_after=1.0)], ids=["by itself", "reset"])
def test_a_child_killed_after_the_change_leaves_a_doubt_that_a_probe_settles(
    base: Path, build: object
) -> None:
    scenario = Scenario("killed", build, (CHANGE,))  # type: ignore[arg-type]
    settled(base, scenario, Parts(children=Killing))


def test_a_child_that_hangs_after_the_change_is_ended_by_its_deadline(base: Path) -> None:
    scenario = Scenario("hangs", own(delay_after=60.0), (CHANGE,))
    settled(base, scenario, replace(Parts(), lease=12.0, margin=1.0, deadline=4.0))


def settled(base: Path, scenario: Scenario, parts: Parts) -> None:
    """Run it: one change request, and the operation ends by proof."""
    directory = base / "one"
    prepare(directory, scenario, DATABASE)

    def work() -> None:
        os.chdir(directory)
        DATABASE.engine.dispose(close=False)
        Process(scenario, DATABASE, parts, nothing).run()

    assert os.waitpid(forked(work, directory / "errors"), 0)[1] == 0, (directory / "errors").read_text()
    verdict = judge(directory)
    assert (verdict.lost, verdict.wrong) == ([], [])
    target = FakeTarget(directory / "target")
    assert len(target.requests("alice")) == 1
    assert len(target.history("alice")) == 2
