"""FRRouting's bgpd with its own VTY over telnet, on a free loopback port; no routes, no BGP port."""

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

BGPD = Path("/usr/lib/frr/bgpd")
HOW = "run tests/peers/install as root, and run the tests as root"
STARTS = 5
READY_SECONDS = 20.0


class FrrDidNotStart(Exception):
    """bgpd ended or opened no VTY; its own words follow."""


def available() -> bool:
    """It changes to the account frr."""
    return os.geteuid() == 0 and BGPD.exists()


class FrrVty:
    """The VTY of `rtr1` with these two passwords. Raises FrrDidNotStart."""

    host = "127.0.0.1"

    def __init__(self, password: str, enable_password: str) -> None:
        clear_abandoned()
        self._dir = workdir.make("frr")
        self._dir.chmod(0o755)
        self.config = self._dir / "bgpd.conf"
        self.config.write_text(
            f"hostname rtr1\npassword {password}\nenable password {enable_password}\n"
            "line vty\n exec-timeout 5 0\n"
        )
        for path in (self._dir, self.config):
            shutil.chown(path, "frr", "frr")
        self.port, self._process = self._start()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._dir)

    def _start(self) -> tuple[int, subprocess.Popen[bytes]]:
        log = self._dir / "log"
        for _ in range(STARTS):
            port = workdir.free_port()
            with log.open("wb") as output:
                process = subprocess.Popen(
                    [
                        *(str(BGPD), "-Z", "-n", "-p", "0", "-A", self.host, "-P", str(port)),
                        *("-f", str(self.config), "-i", str(self._dir / "pid")),
                        *("--vty_socket", str(self._dir), "-u", "frr", "-g", "frr"),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            if _greets(self.host, port, process):
                (self._dir / "own-pid").write_text(str(process.pid))
                return port, process
            process.kill()
            process.wait()
        words = log.read_text(errors="replace")
        shutil.rmtree(self._dir)
        raise FrrDidNotStart(f"bgpd did not start:\n{words}")


def _greets(host: str, port: int, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=5) as probe:
            return bool(probe.recv(1)) and process.poll() is None
        time.sleep(0.05)
    return False


def clear_abandoned() -> None:
    """End the routers of test runs that were killed, and remove their folders."""
    for folder in workdir.abandoned("frr"):
        with contextlib.suppress(OSError, ValueError):
            pid = int((folder / "own-pid").read_text())
            if str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
