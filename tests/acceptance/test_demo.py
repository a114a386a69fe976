"""`make demo` as a process: it ends well, tells every step, and shows no secret."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.demo.engine import clean_environment

REPOSITORY = Path(__file__).parents[2]
STEPS = (
    "1  The engine starts on an empty data directory",
    "2  Two disposable SSH targets start",
    "3  Devices, a parent and a child of each kind are registered and proven",
    "4  A change on request",
    "5  The parent changes, and the change cascades",
    "6  The engine is killed between sending a change and hearing the answer",
    "7  Every old password is tried and refused, every current one opens",
    "8  The audit is verified, offline",
    "9  The engine stops",
    "All of it was so.",
)
SETTLED_AFTER_THE_KILL = "succeeded by itself: ok"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path, Path]:
    """The finished process, the file with every password that the targets held, its temporary folder."""
    record = tmp_path_factory.mktemp("record") / "held"
    temporary = tmp_path_factory.mktemp("tmp")
    done = subprocess.run(
        [sys.executable, "-m", "tests.demo", "--record", record],
        cwd=REPOSITORY,
        env=clean_environment(TMPDIR=str(temporary)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done, record, temporary


def test_the_demo_ends_well_and_tells_every_step_in_order(
    demo: tuple[subprocess.CompletedProcess[str], Path, Path],
) -> None:
    done, _, _ = demo
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    places = [done.stdout.find(step) for step in STEPS]
    assert -1 not in places
    assert places == sorted(places)
    assert SETTLED_AFTER_THE_KILL in done.stdout


def test_no_password_that_a_target_ever_held_is_shown(
    demo: tuple[subprocess.CompletedProcess[str], Path, Path],
) -> None:
    done, record, _ = demo
    held = set(record.read_text().splitlines())
    assert len(held) == 7  # three of the parent and its `same` child, four of the other
    assert [password for password in held if password in done.stdout + done.stderr] == []


def test_the_demo_leaves_nothing_behind(
    demo: tuple[subprocess.CompletedProcess[str], Path, Path],
) -> None:
    _, _, temporary = demo
    assert list(temporary.iterdir()) == []
