"""CPU time by who spent it: this process with what it waited for, its helpers, sshd."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICK = 1000.0 / os.sysconf("SC_CLK_TCK")  # milliseconds
QUIET_SECONDS = 10.0  # that the server's last sessions may take to end


@dataclass(frozen=True, slots=True)
class Spent:
    """Milliseconds of CPU; `wall` in seconds. `helpers` is a part of `client`: everything but the server."""

    wall: float
    client: float
    helpers: float
    server: float


class Meter:
    """Measures from its making on. `helpers` are living children, such as a fork server; `server` is sshd."""

    def __init__(self, helpers: Sequence[int] = (), server: int | None = None) -> None:
        self._helpers = helpers
        self._server = server
        self._before = self._read()

    def spent(self) -> Spent:
        """Since it was made. Waits until the server's sessions have ended, which is not counted in `wall`."""
        wall = time.monotonic()
        if self._server is not None:
            _await_quiet(self._server)
        after = self._read()
        own, helpers, server = (after[i] - self._before[i] for i in range(3))
        return Spent(wall - self._before[3], own + helpers, helpers, server)

    def _read(self) -> tuple[float, float, float, float]:
        helpers = sum(tree(pid) for pid in self._helpers)
        return own(), helpers, tree(self._server) if self._server else 0.0, time.monotonic()


def own() -> float:
    """Milliseconds of this process and of the children that it waited for (getrusage(2))."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages) * 1000


def tree(pid: int) -> float:
    """Milliseconds of a process, the children it waited for and the living ones: proc(5), fields 14 to 17."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    spent = sum(map(int, fields[11:15])) * TICK
    for child in children(pid):
        with suppress(FileNotFoundError, ProcessLookupError):  # ended meanwhile; its parent has its time
            spent += tree(child)
    return spent


def children(pid: int) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                yield int(path.parent.name)


def _await_quiet(server: int) -> None:
    until = time.monotonic() + QUIET_SECONDS
    while any(children(server)) and time.monotonic() < until:
        time.sleep(0.02)
