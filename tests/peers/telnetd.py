"""Debian's telnet server with login(1) and PAM, behind inetutils' inetd on a free loopback port."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.peers import workdir

TELNETD, INETD = Path("/usr/sbin/telnetd"), Path("/usr/sbin/inetutils-inetd")
HOW = "run tests/peers/install as root, and run the tests as root"
STARTS = 5
READY_SECONDS = 20.0


class TelnetdDidNotStart(Exception):
    """inetd opened no port or ended; start it by hand with -d and the same file to see why."""


def available() -> bool:
    """login(1) needs root."""
    return os.geteuid() == 0 and TELNETD.exists() and INETD.exists()


class TelnetServer:
    """Raises TelnetdDidNotStart."""

    host = "127.0.0.1"

    def __init__(self) -> None:
        clear_abandoned()
        self._dir = workdir.make("telnetd")
        self.port, self._process = self._start()

    def stop(self) -> None:
        """Ends inetd; a session ends with its connection."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._dir)

    def _start(self) -> tuple[int, subprocess.Popen[bytes]]:
        for _ in range(STARTS):
            port = workdir.free_port()
            config = self._dir / "inetd.conf"
            config.write_text(f"{self.host}:{port} stream tcp nowait root {TELNETD} telnetd -h\n")
            # -d keeps it in the foreground, so that the pid is ours.
            process = subprocess.Popen(
                [str(INETD), "-d", f"--pidfile={self._dir / 'pid'}", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
                start_new_session=True,
            )
            if _asks(self.host, port, process):
                (self._dir / "own-pid").write_text(str(process.pid))
                return port, process
            process.kill()
            process.wait()
        shutil.rmtree(self._dir)
        raise TelnetdDidNotStart(TelnetdDidNotStart.__doc__)


def _asks(host: str, port: int, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=5) as probe:
            # Telnet's first byte is IAC; somebody else's server on our port says something else.
            return probe.recv(1) == b"\xff" and process.poll() is None
        time.sleep(0.02)
    return False


def clear_abandoned() -> None:
    """End the servers of test runs that were killed, and remove their folders."""
    for folder in workdir.abandoned("telnetd"):
        with contextlib.suppress(OSError, ValueError):
            pid = int((folder / "own-pid").read_text())
            if str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
