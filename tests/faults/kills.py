"""Kills the engine at every point, again and again, and asks the target whether a secret was lost.

    python -m tests.faults.kills --rounds N [--seed S]

goes on until N processes were killed. A round is one scenario in a directory of its own: a process is killed
at a chosen point (the one that was hit least so far) or at a random moment, the next one finds the truth and
may be killed too.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.judge import judge
from tests.faults.process import Parts, Process, forked, prepare
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.scene import here, in_directory

PR_SET_CHILD_SUBREAPER = 36  # prctl(2): what outlives a killed process comes to us, and is waited for
PROCESSES = 2
AT_RANDOM = 0.2  # of the kills: at a moment, not at a point
AGAIN = 0.8  # of the recoveries that may be killed
SHARE = 50  # each point must be hit by one kill in so many
KEPT = 20  # directories of rounds that went wrong, and of those after them
RANDOMLY = "(at random)"


@dataclass
class Tally:
    """What came of some rounds."""

    rounds: int = 0
    kills: int = 0
    seconds: float = 0.0
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    hits: Counter[str] = field(default_factory=Counter)
    reachable: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        self.rounds += other.rounds
        self.kills += other.kills
        self.seconds = max(self.seconds, other.seconds)
        self.lost += other.lost
        self.wrong += other.wrong
        self.hits.update(other.hits)
        self.reachable.update(other.reachable)

    @property
    def neglected(self) -> dict[str, int]:
        """Reachable points with fewer hits than their share."""
        return {p: self.hits[p] for p in sorted(self.reachable) if self.hits[p] < self.kills // SHARE}

    @property
    def good(self) -> bool:
        return not (self.lost or self.wrong or self.neglected)

    def report(self) -> str:
        lines = [f"{hits:6} kills {point}" for point, hits in sorted(self.hits.items())]
        lines += [f"LOST {each}" for each in self.lost[:20]] + [f"WRONG {each}" for each in self.wrong[:20]]
        lines += [f"only {hits} kills {point}" for point, hits in self.neglected.items()]
        speed = self.rounds / self.seconds if self.seconds else 0.0
        points = len(self.reachable)
        lines.append(
            f"{self.kills} kills, {len(self.lost)} lost, {len(self.wrong)} other faults, "
            f"{self.rounds} rounds, {points} points, {speed:.1f} rounds/s"
        )
        return "\n".join(lines)


@dataclass(frozen=True)
class Aim:
    """Where a process is to end: at the `nth` pass of `point`, or so long `after`; None: nowhere."""

    point: str | None = None
    nth: int = 1
    after: float | None = None


class Round:
    """One scenario in one directory."""

    def __init__(self, directory: Path, scenario: Scenario, parts: Parts) -> None:
        self.directory = directory
        self.scenario = scenario
        self.parts = parts
        self.errors = directory / "errors"

    def process(self, aim: Aim) -> bool:
        """Run one process. Whether it was killed; if not, it came to the end, or wrote down why not."""
        reader, writer = os.pipe()
        pid = forked(lambda: self._run(aim, writer), self.errors)
        os.close(writer)
        if aim.after is not None and select.select([reader], [], [], 60.0)[0] and os.read(reader, 1):
            time.sleep(aim.after)
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        os.close(reader)
        return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL

    def _run(self, aim: Aim, writer: int) -> None:
        passed = 0

        def at(point: str) -> None:
            nonlocal passed
            passed += point == aim.point
            if point == aim.point and passed == aim.nth:
                if aim.after is None:
                    os.kill(os.getpid(), signal.SIGKILL)
                os.write(writer, b".")

        os.chdir(self.directory)
        DATABASE.engine.dispose(close=False)
        Process(self.scenario, DATABASE, self.parts, at).run()


DATABASE = here()
"""One for the harness and, after a fork, for each process: what SQLAlchemy compiled once stays compiled."""


class Campaign:
    """Rounds one after the other, in one process."""

    def __init__(
        self, base: Path, seed: int, parts: Parts | None = None, scenarios: Sequence[Scenario] = SCENARIOS
    ) -> None:
        self.base = base
        self.choose = random.Random(seed)
        self.seed = seed
        self.parts = parts or Parts()
        self.tally = Tally()
        self.kept = 0
        self.passes: dict[str, Counter[str]] = {}
        self.scenarios = {each.name: each for each in scenarios}
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for number, scenario in enumerate(scenarios):
            self._prepare(base / f"scene-{number}", scenario)
        gc.freeze()

    def _prepare(self, directory: Path, scenario: Scenario) -> None:
        """Make the directory that its rounds begin with; see which points an undisturbed process passes."""
        prepare(directory, scenario, DATABASE)
        first = self._round(scenario, directory)
        seen: list[str] = []
        with in_directory(first.directory):  # in this process, so that all later ones find everything warm
            Process(scenario, DATABASE, self.parts, seen.append).run()
            DATABASE.engine.dispose()
        self._judge(first)
        self.passes[scenario.name] = Counter(seen)
        self.tally.reachable.update(seen)
        self._clear(first)

    def _round(self, scenario: Scenario, scene: Path | None = None) -> Round:
        number = list(self.scenarios).index(scenario.name)
        directory = self.base / "round"
        shutil.copytree(scene or self.base / f"scene-{number}", directory)
        return Round(directory, scenario, self.parts)

    def one(self) -> None:
        """One round."""
        least = min(self.tally.hits[point] for point in self.tally.reachable)
        rare = [point for point in sorted(self.tally.reachable) if self.tally.hits[point] <= least]
        point = self.choose.choice(rare)
        ways = [name for name, passes in sorted(self.passes.items()) if passes[point]]
        scenario = self.scenarios[self.choose.choice(ways)]
        made = self._round(scenario)
        begun = f"{scenario.name}, seed {self.seed}, round {self.tally.rounds}"
        killed = self._aimed(made, self._aim(scenario, point))
        again = 0
        while killed and again < 2 and self.choose.random() < AGAIN:
            rarest = sorted(self.passes[scenario.name], key=lambda p: (self.tally.hits[p], p))
            killed = self._aimed(made, self._aim(scenario, self.choose.choice(rarest[:6])))
            again += 1
        if killed:
            made.process(Aim())
        self._judge(made, begun)
        self._clear(made)
        self.tally.rounds += 1

    def _aim(self, scenario: Scenario, point: str) -> Aim:
        nth = self.choose.randint(1, self.passes[scenario.name][point])
        if self.choose.random() >= AT_RANDOM:
            return Aim(point, nth)
        return Aim(point, nth, self.choose.uniform(0.0, 0.02))

    def _aimed(self, made: Round, aim: Aim) -> bool:
        """Whether the process was killed, and so another one is needed."""
        if not made.process(aim):
            return False
        self.tally.kills += 1
        self.tally.hits[RANDOMLY if aim.after is not None else str(aim.point)] += 1
        return True

    def _judge(self, made: Round, begun: str = "undisturbed") -> None:
        """After everything that the round started is gone."""
        with suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
        if made.errors.exists():
            self.tally.wrong.append(f"{made.scenario.name}, {begun}: {made.errors.read_text()[-2000:]}")
        verdict = judge(made.directory)
        self.tally.lost += [f"{made.scenario.name}, {begun}: {each}" for each in verdict.lost]
        self.tally.wrong += [f"{made.scenario.name}, {begun}: {each}" for each in verdict.wrong]

    def _clear(self, made: Round) -> None:
        if not (self.tally.lost or self.tally.wrong) or self.kept >= KEPT:
            shutil.rmtree(made.directory)
            return
        self.kept += 1
        made.directory.rename(self.base / f"kept-{self.kept}")

    def until(self, kills: int) -> Tally:
        began = time.monotonic()
        while self.tally.kills < kills:
            self.one()
        self.tally.seconds = time.monotonic() - began
        return self.tally


def workspace() -> Path:
    """In memory where that is possible: a SIGKILL needs no disk, and a disk is shared with everybody."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="keyturn-kills-", dir=memory if os.access(memory, os.W_OK) else None))


def campaign(kills: int, seed: int) -> Tally:
    """So many kills by several processes at once."""
    whole = Tally()
    base = workspace()

    def part(number: int) -> Running:
        share = kills // PROCESSES + (number < kills % PROCESSES)
        return Running(base / str(number), lambda made: Campaign(made, seed + number).until(share))

    for running in [part(number) for number in range(PROCESSES)]:
        whole.add(running.tally())
    if whole.lost or whole.wrong:
        print(f"what was left is kept in {base}", file=sys.stderr)
    else:
        shutil.rmtree(base)
    return whole


class Running:
    """A campaign in a process of its own, which waits for all its children and so may have none but those."""

    def __init__(self, base: Path, work: Callable[[Path], Tally]) -> None:
        base.mkdir()
        self._result = base.with_suffix(".json")
        self._error = base.with_suffix(".error")
        self._pid = forked(lambda: self._write(work(base)), self._error)

    def _write(self, tally: Tally) -> None:
        self._result.write_text(json.dumps(vars(tally)))

    def tally(self) -> Tally:
        if os.waitpid(self._pid, 0)[1] != 0:
            return Tally(wrong=[f"a harness process failed: {self._error.read_text()}"])
        data = json.loads(self._result.read_text())
        data["hits"], data["reachable"] = Counter(data["hits"]), Counter(data["reachable"])
        return Tally(**data)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000, help="how many processes are killed")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    given = parser.parse_args()
    print(f"seed {given.seed}")
    tally = campaign(given.rounds, given.seed)
    print(tally.report())
    return 0 if tally.good else 1


if __name__ == "__main__":
    sys.exit(main())
