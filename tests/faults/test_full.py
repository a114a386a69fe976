"""A volume without room, at each write: nothing is sent, or what was sent can be found out afterwards."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.store.database import StoreUnavailable
from engine.work.conductor import nothing
from executors.fake.target import FakeTarget
from tests.faults.ablations import scene
from tests.faults.judge import judge
from tests.faults.kills import DATABASE, workspace
from tests.faults.process import PROGRESS, Parts, Process, forked, prepare
from tests.faults.scenarios import Scenario

SHORT = Parts(lease=3.0, margin=0.5, deadline=2.0)  # the commit is tried again until the lease ends
BEFORE_SENDING = (
    "claim.before",
    "journal.before",
    "escrow.before",
    "escrow.after",
    "identify.before",
    "mark.before",
)
AFTER_SENDING = ("apply.before", "probe.before", "commit.before", "persist.before", "close.before")


@pytest.fixture
def base() -> Iterator[Path]:
    made = workspace()
    yield made
    shutil.rmtree(made)


class Full:
    """From the first pass of a point on, no file of this process may grow (setrlimit(2), RLIMIT_FSIZE)."""

    def __init__(self, point: str) -> None:
        self.point = point

    def __call__(self, point: str) -> None:
        if point == self.point:
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))


def run(directory: Path, scenario: Scenario, point: str | None) -> int:
    """One process, which may find the volume full; its exit status."""

    def work() -> None:
        os.chdir(directory)
        DATABASE.engine.dispose(close=False)
        full = Full(point) if point else nothing
        try:
            Process(scenario, DATABASE, SHORT if point else Parts(), full).run()
        except (StoreUnavailable, OSError, sqlite3.Error):  # the last two: notes of the harness itself
            os._exit(1)

    return os.waitstatus_to_exitcode(os.waitpid(forked(work, directory / "errors"), 0)[1])


@pytest.mark.parametrize("point", [*BEFORE_SENDING, *AFTER_SENDING])
def test_a_full_volume_stops_before_the_target_or_where_it_can_be_found_out(base: Path, point: str) -> None:
    scenario, directory = scene("self-change"), base / "one"
    prepare(directory, scenario, DATABASE)
    assert run(directory, scenario, point) == 1
    target = FakeTarget(directory / "target")
    if point in BEFORE_SENDING:
        assert target.requests("alice") == ()
    else:
        assert len(target.requests("alice")) == 1
    assert judge(directory).lost == []
    (directory / PROGRESS).write_bytes(b".")  # a full volume may have kept the note that it was asked for
    assert run(directory, scenario, None) == 0, (directory / "errors").read_text()
    verdict = judge(directory)
    assert (verdict.lost, verdict.wrong) == ([], [])
    assert len(target.requests("alice")) == 1
