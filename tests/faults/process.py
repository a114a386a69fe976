"""One process of the engine, forked from the warm harness: ledger, conductor, journal, fork server, child.

It works until nothing is open any more, and lets time pass where everything waits. `at` may end it anywhere.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sqlite3
import traceback
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from engine.operations.batches import following
from engine.operations.claims import Claim
from engine.operations.ledger import Ledger
from engine.operations.restart import resume
from engine.rotation.machine import Machine
from engine.store.database import Database
from engine.vault.journal import JournalWriter, read_all
from engine.vault.keys import FileKeys
from engine.work.conductor import Conductor, Observer, nothing
from engine.work.forkserver.client import ForkServer
from engine.work.forkserver.server import serve
from executors.fake.target import Behaviour, FakeTarget
from tests.faults.scenarios import Scenario
from tests.faults.scene import DATABASE, JOURNAL, KEYS, LOCK, TARGET, Scene, in_directory, pass_time
from triggers import parent_changed

PATIENCE = 300  # turns after which a scenario counts as stuck
OPEN = "SELECT id, due <= :now AND (lease_until IS NULL OR lease_until < :now), due FROM operation "
OPEN += (
    "WHERE state IN ('scheduled', 'running', 'in_doubt') AND needs_person = 0 AND NOT (state = 'scheduled' "
)
OPEN += (
    "AND action <> 'verify' AND (SELECT restored FROM engine_state)) ORDER BY id"  # those wait for a person
)
PROGRESS = "progress"


@dataclass(frozen=True)
class Parts:
    """What the process is made of; times in seconds, as in the settings. Ablations replace single parts."""

    machine: type[Machine] = Machine
    ledger: type[Ledger] = Ledger
    journal: type[JournalWriter] = JournalWriter
    children: type[ForkServer] | None = None  # None: `Forked`
    lease: float = 300.0
    margin: float = 5.0
    deadline: float = 240.0


class Stuck(Exception):
    """Nothing ends any more."""


class Forked(ForkServer):
    """The real server and child, the server forked from here: a fresh interpreter each costs 0.3 s."""

    def _running(self) -> socket.socket:
        if self._control is not None:
            return self._control
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._owner = os.getpid()
        worker = os.pidfd_open(self._owner)
        if os.fork() == 0:
            try:
                os.setsid()
                self._control.close()
                serve(theirs, worker, self._hold)
            finally:
                os._exit(0)
        theirs.close()
        os.close(worker)
        self._await_ready(self._control)
        return self._control


class Process:
    """Runs in the current directory."""

    def __init__(self, scenario: Scenario, database: Database, parts: Parts, at: Observer) -> None:
        self.scenario = scenario
        self.database = database
        self.parts = parts
        self.at = at
        self.target = FakeTarget(Path(TARGET))
        self.keys = FileKeys(Path(KEYS))

    def run(self) -> None:
        """As the embedded engine starts: alone, then what a crash left, then whatever is due."""
        hold = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(hold, fcntl.LOCK_EX)
        self.at("resume.before")
        with self.database.writing() as connection:
            resume(connection, read_all(Path(JOURNAL)), "engine")
        self.at("resume.after")
        self.join(hold)
        os.close(hold)

    def join(self, hold: int | None = None) -> None:
        """As one more worker does, beside others."""
        parts = self.parts
        journal = parts.journal(Path(JOURNAL))
        ledger = parts.ledger(self.database, f"box-{os.getpid()}", "default", parts.lease, parts.margin)
        with (parts.children or Forked)(("fake",), hold) as children:
            self.conductor = Conductor(
                ledger,
                children,
                self.keys,
                journal,
                parts.deadline,
                parts.machine(),
                self._observe,
                self._following,
            )
            self._work()
        journal.close()

    def _following(self, claim: Claim) -> Sequence[int]:
        with self.database.reading() as connection:
            return following(connection, claim)

    def _observe(self, point: str) -> None:
        if point == "apply.after" and self.scenario.relents is not None:
            self._relent(self.scenario.relents)
        self.at(point)

    def _relent(self, after: int) -> None:
        how = self.target.behaviour("alice")
        honest = Behaviour(lockout_threshold=how.lockout_threshold, lockout_window=how.lockout_window)
        if how != honest and len(self.target.requests("alice")) >= after:
            self.target.behave("alice", honest)

    def _work(self) -> None:
        idle = 0
        for _ in range(PATIENCE):
            self._expand()
            due, waits = self._open()
            worked = [self.conductor.conduct(operation_id) for operation_id in due]
            if not due and waits is None:
                if not self._step():
                    return
            elif all(state is None for state in worked):  # what is due waits for something else
                idle += 1
                pass_time(max(waits or 0.0, 0.0) + 0.01 * 2.0 ** min(idle, 16), self.target)
            else:
                idle = 0
        raise Stuck(f"{self.scenario.name}: {self._open()}")

    def _open(self) -> tuple[list[int], float | None]:
        """Operations that are due, and the seconds until the next of those that wait."""
        now = self.database.now()
        with closing(sqlite3.connect(DATABASE, timeout=15)) as db:
            rows = db.execute(OPEN, {"now": now}).fetchall()
        waiting = [due - now for _, ready, due in rows if not ready]
        return [number for number, ready, _ in rows if ready], min(waiting, default=None)

    def _expand(self) -> None:
        while True:
            self.at("expand.before")
            with self.database.writing() as connection:
                expanded = parent_changed.expand(connection)
            self.at("expand.after")
            if not expanded:
                return

    def _step(self) -> bool:
        """Take the next step. False: that was all."""
        done = len(Path(PROGRESS).read_bytes()) if Path(PROGRESS).exists() else 0
        if done == len(self.scenario.steps):
            return False
        self.scenario.steps[done](self.database, self.target)
        with open(PROGRESS, "ab") as file:
            file.write(b".")
        return True


def prepare(directory: Path, scenario: Scenario, database: Database) -> None:
    """Make the directory that the scenario begins with."""
    directory.mkdir(mode=0o700)
    with in_directory(directory):
        scene = Scene(database)
        scenario.build(scene)
        scene.journal.close()
        Process(replace(scenario, steps=scenario.before), database, Parts(), nothing).run()
        Path(PROGRESS).unlink(missing_ok=True)
        database.engine.dispose()


def forked(work: Callable[[], None], errors: Path) -> int:
    """Run `work` in a forked process; its pid. What goes wrong there is written to `errors`."""
    pid = os.fork()
    if pid == 0:
        _whole(work, errors)
    return pid


def _whole(work: Callable[[], None], errors: Path) -> NoReturn:
    code = 70
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - a forked process must not return into the harness
        errors.write_text(traceback.format_exc())
    finally:
        os._exit(code)
