"""A worker is paused past its lease, another finishes, the first goes on: it writes nothing any more."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.operations.errors import LeaseLost
from engine.operations.ledger import Ledger
from engine.work.conductor import nothing
from executors.fake.target import FakeTarget
from tests.faults.ablations import BY_PAUSE, scene
from tests.faults.judge import judge
from tests.faults.kills import DATABASE, workspace
from tests.faults.process import Parts, Process, forked, prepare
from tests.faults.scenarios import Scenario
from tests.faults.scene import in_directory, pass_time

REFUSED = "refused"
WRITES = ("journaled", "marked", "charged", "committed", "adopted", "identified", "closed", "renew")


class Witness(Ledger):
    """Notes every write that was refused."""


def _witnessed(name: str) -> Callable[..., Any]:
    def write(self: Witness, *args: Any, **kwargs: Any) -> Any:
        try:
            return getattr(super(Witness, self), name)(*args, **kwargs)
        except LeaseLost:
            with open(REFUSED, "a") as file:
                file.write(f"{name}\n")
            raise

    return write


for _name in WRITES:
    setattr(Witness, _name, _witnessed(_name))

HONEST = Parts(ledger=Witness)
RENEWS = replace(HONEST, deadline=300.0)  # as long as the lease, which so must be renewed before every child
SELF, RESET = scene("self-change"), scene("reset")
REFUSES, OLDER = scene("refuses and does it"), scene("an older one opens")
AGAIN, ONE = scene("self-change again, one probe"), scene("an older one opens, one probe")
STRANGER, POLICY = scene("a stranger's opens"), scene("policy refuses the first")

PAUSES = [
    *[("journaled", "escrow.after", 1, each, HONEST) for each in (SELF, RESET, STRANGER)],
    ("journaled", "escrow.after", 2, POLICY, HONEST),
    *[("marked", "mark.before", 1, each, HONEST) for each in (SELF, RESET, REFUSES, AGAIN)],
    *[("charged", "charge.before", 1, each, HONEST) for each in (OLDER, ONE)],
    ("charged", "charge.before", 2, OLDER, HONEST),
    *[("committed", "commit.before", 1, each, HONEST) for each in (SELF, RESET, AGAIN)],
    *[("adopted", "adopt.before", 1, each, HONEST) for each in (OLDER, ONE)],
    *[("identified", "identify.before", 1, each, HONEST) for each in (SELF, REFUSES)],
    *[("closed", "close.before", 1, each, HONEST) for each in (SELF, RESET, OLDER)],
    *[("renew", "connect.before", 1, each, RENEWS) for each in (SELF, RESET)],
]


@pytest.fixture
def base() -> Iterator[Path]:
    made = workspace()
    yield made
    for pid in STOPPED:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    STOPPED.clear()
    shutil.rmtree(made)


STOPPED: set[int] = set()  # and not yet waited for: a test that fails must not leave them


class Paused:
    """A worker that stopped itself at the `nth` pass of a point."""

    def __init__(self, directory: Path, scenario: Scenario, parts: Parts, point: str, nth: int = 1) -> None:
        prepare(directory, scenario, DATABASE)
        self.directory = directory
        self.scenario = scenario
        self.pid = self._forked(parts, lambda made: made.run(), Stop(point, nth))
        assert os.WIFSTOPPED(os.waitpid(self.pid, os.WUNTRACED)[1]), self.errors
        STOPPED.add(self.pid)

    def another_finishes(self, parts: Parts) -> None:
        pid = self._forked(parts, lambda made: made.join(), nothing)
        assert os.waitpid(pid, 0)[1] == 0, self.errors

    def goes_on(self) -> None:
        """To its end, or to whatever stops it: see `errors`."""
        os.kill(self.pid, signal.SIGCONT)
        os.waitpid(self.pid, 0)
        STOPPED.remove(self.pid)

    def _forked(self, parts: Parts, how: Callable[[Process], None], at: Callable[[str], None]) -> int:
        def work() -> None:
            os.chdir(self.directory)
            DATABASE.engine.dispose(close=False)
            how(Process(self.scenario, DATABASE, parts, at))

        return forked(work, self.directory / "errors")

    @property
    def errors(self) -> str:
        path = self.directory / "errors"
        return path.read_text() if path.exists() else "no error"

    @property
    def refused(self) -> list[str]:
        path = self.directory / REFUSED
        return path.read_text().split() if path.exists() else []


class Stop:
    """Stops this process at the `nth` pass of a point."""

    def __init__(self, point: str, nth: int) -> None:
        self.point = point
        self.left = nth

    def __call__(self, point: str) -> None:
        self.left -= point == self.point
        if point == self.point and self.left == 0:
            os.kill(os.getpid(), signal.SIGSTOP)


def test_every_stale_write_is_refused_and_the_target_has_the_current_version(base: Path) -> None:
    refused: Counter[str] = Counter()
    for number, (write, point, nth, scenario, parts) in enumerate(PAUSES):
        paused = Paused(base / str(number), scenario, parts, point, nth)
        with in_directory(paused.directory):
            pass_time(parts.lease + 1.0, FakeTarget(Path("target")))
        paused.another_finishes(parts)
        paused.goes_on()
        assert paused.errors == "no error", paused.errors
        verdict = judge(paused.directory)
        assert not verdict.lost, (write, scenario.name, verdict)
        assert not verdict.wrong, (write, scenario.name, verdict)
        assert paused.refused == [write], (point, scenario.name)
        refused.update(paused.refused)
    print(f"{refused.total()} stale writes attempted, each refused: {dict(refused)}")
    assert refused.total() >= 20
    assert refused.keys() == set(WRITES)


@pytest.mark.parametrize("point", ["apply.before", "probe.before", "commit.before"])
def test_by_its_own_clock_and_its_childs_deadline_a_late_worker_sends_nothing(base: Path, point: str) -> None:
    short = replace(HONEST, lease=5.0, margin=1.0, deadline=4.0)
    paused = Paused(base / "one", SELF, short, point)
    time.sleep(short.lease + 0.5)
    paused.another_finishes(HONEST)
    target = FakeTarget(paused.directory / "target")
    sent = len(target.requests("alice"))
    paused.goes_on()
    assert paused.errors == "no error", paused.errors
    verdict = judge(paused.directory)
    assert (verdict.lost, verdict.wrong) == ([], [])
    assert len(target.requests("alice")) == sent


@pytest.mark.parametrize("name", BY_PAUSE)
def test_a_broken_rule_is_found_losing(base: Path, name: str) -> None:
    ablation = BY_PAUSE[name]
    paused = Paused(base / "one", ablation.scenario, ablation.parts, "mark.before")
    with in_directory(paused.directory):
        pass_time(ablation.parts.lease + 1.0, FakeTarget(Path("target")))
    paused.another_finishes(ablation.parts)
    paused.goes_on()
    assert judge(paused.directory).lost == ["alice"]
