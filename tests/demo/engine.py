"""The real engine as a process, and the real commands."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

KEYTURN = Path(sys.executable).with_name("keyturn")
PATIENCE = 60.0  # seconds for what takes a few, on a busy machine
POLL = 0.05  # seconds


class EngineFailed(Exception):
    """The engine or a command did not do what it should; the message ends with its own words."""


def clean_environment(**more: str) -> dict[str, str]:
    """This process's, without settings of the developer's own installation."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEYTURN_")}
    return kept | more


class Engine:
    """`keyturn up` on a data directory, and commands that find it by that. `keyturn`: which installation."""

    within: Sequence[str] = ()  # what the command line begins with that starts it: in another network

    def __init__(self, data: Path, keyturn: Path = KEYTURN, cwd: Path | None = None) -> None:
        self.data = data
        self._keyturn = keyturn
        self._cwd = cwd
        self._log = data.with_name(f"{data.name}.log")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    @property
    def url(self) -> str:
        """Where it listens."""
        return str(json.loads((self.data / "engine.json").read_text())["url"])

    def start(self, listen: str = "127.0.0.1:0") -> None:
        """Returns when GET /readyz answers 200. Raises EngineFailed."""
        self.launch(listen)
        self.wait_until(self.is_ready, "the engine did not become ready")

    def launch(self, listen: str = "127.0.0.1:0") -> None:
        self._begin("up", "--data", self.data, "--listen", listen)

    def _begin(self, *arguments: str | Path, **settings: str) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.within, self._keyturn, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._cwd,
                env=clean_environment(**settings),
                start_new_session=True,  # an interrupt at the keyboard is for whoever started it
            )

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_until(self, arrived: Callable[[], bool], otherwise: str) -> None:
        until = time.monotonic() + PATIENCE
        while not arrived():
            if self.process.poll() is not None or time.monotonic() > until:
                raise EngineFailed(f"{otherwise}:\n{self.log()[-2000:]}")
            time.sleep(POLL)

    def is_ready(self) -> bool:
        """Whether this very process answers that it can work."""
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            # The file of an engine that was killed is still there.
            found = json.loads((self.data / "engine.json").read_text())
            return found["pid"] == self.process.pid and self.status("/readyz") == 200
        return False

    def status(self, path: str) -> int:
        """The status that the running engine answers a GET with."""
        place = urlsplit(self.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().status

    def run(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """One command, finding the engine by KEYTURN_DATA. A secret goes in by standard input.

        Raises EngineFailed if it does not end.
        """
        try:
            return subprocess.run(
                [self._keyturn, *arguments],
                input=stdin,
                text=True,
                capture_output=True,
                cwd=self._cwd,
                env=clean_environment(KEYTURN_DATA=str(self.data)),
                timeout=PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise EngineFailed(
                f"no end after {late.timeout:g} s: keyturn {' '.join(map(str, arguments))}"
            ) from None

    def ask(self, *arguments: str | Path, stdin: str = "") -> Any:
        """The JSON that a command prints. Raises EngineFailed unless it ends with 0."""
        done = self.run(*arguments, "--json", stdin=stdin)
        if done.returncode != 0:
            command = " ".join(map(str, arguments))
            raise EngineFailed(f"keyturn {command} ended with {done.returncode}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def kill(self) -> None:
        """SIGKILL, to the engine's own process alone."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        """Whatever became of it, and its children with it."""
        if self._process is None or self._process.poll() is not None:
            return
        children = descendants(self._process.pid)
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.kill()
        wait_for_end(children)


def descendants(pid: int) -> list[int]:
    """Children, grandchildren and so on: proc(5), /proc/PID/task/TID/children."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in task.read_text().split()]
    return [each for child in found for each in (child, *descendants(child))]


def wait_for_end(pids: Iterable[int]) -> list[int]:
    """Wait until these processes have ended; those that have not."""
    until = time.monotonic() + PATIENCE
    left = list(pids)
    while left and time.monotonic() < until:
        left = [pid for pid in left if _runs(pid)]
        time.sleep(POLL)
    return left


def _runs(pid: int) -> bool:
    """A zombie does not: proc(5), third field of stat."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
