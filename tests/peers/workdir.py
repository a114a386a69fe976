"""Temporary folders that carry the process id of their test run, so that a killed run can be cleared away."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path


def make(kind: str) -> Path:
    """A new private folder of this test run."""
    return Path(tempfile.mkdtemp(prefix=f"keyturn-{kind}-{os.getpid()}-"))


def abandoned(kind: str) -> Iterator[Path]:
    """The folders of this kind whose test run is dead, as far as this user may clear them away."""
    for folder in Path(tempfile.gettempdir()).glob(f"keyturn-{kind}-*-*"):
        pid = folder.name.split("-")[2]
        if pid.isdigit() and not alive(int(pid)) and os.access(folder, os.W_OK):
            yield folder


def alive(pid: int) -> bool:
    """Whether a process of this id runs; a zombie does not: proc(5), third field of stat."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def free_port() -> int:
    """A loopback TCP port that was free a moment ago; whoever takes it must be ready to ask again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
