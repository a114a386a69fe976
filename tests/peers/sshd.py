"""The real OpenSSH server with PAM, as an ordinary process on a free loopback port."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.peers import workdir

SSHD = Path("/usr/sbin/sshd")
HOW = "run tests/peers/install as root, and run the tests as root"
STARTS = 5
READY_SECONDS = 20.0

# sshd_config(5). The first value of a keyword wins, so a test's own options are written before these.
DEFAULTS = {
    "UsePAM": "yes",
    "PasswordAuthentication": "yes",
    "KbdInteractiveAuthentication": "yes",
    "PubkeyAuthentication": "yes",
    "PermitRootLogin": "yes",
    "MaxStartups": "50:30:100",
    "MaxAuthTries": "6",
    "UseDNS": "no",
    "PrintMotd": "no",
    "LogLevel": "VERBOSE",
    "Subsystem": "sftp internal-sftp",
}


class SshdDidNotStart(Exception):
    """sshd ended or stayed silent; the message ends with its own log. Correct the options it complains of."""


def available() -> bool:
    """Logins of other accounts through PAM need root."""
    return os.geteuid() == 0 and SSHD.exists()


class SshServer:
    """One sshd with its own ed25519 host key; `options` of sshd_config(5) override the defaults.

    Raises SshdDidNotStart when no banner comes within 20 seconds.
    """

    host = "127.0.0.1"

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        clear_abandoned()
        self._dir = workdir.make("sshd")
        self.log_path = self._dir / "sshd.log"
        self.host_key_line = self._make_host_key()
        self.ipv6 = _has_ipv6_loopback()
        self.port, self._process = self._start(options or {})

    @property
    def pid(self) -> int:
        """The listening process; each connection has children of its own."""
        return self._process.pid

    def stop(self) -> None:
        """End the server and every session it serves, and remove its folder."""
        _end(self.pid)
        self._process.wait()
        shutil.rmtree(self._dir)

    def end_sessions(self) -> None:
        """Cut every connection, as a restart of the server does; new ones are taken."""
        for pid in _descendants(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _make_host_key(self) -> str:
        key = self._dir / "host_key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)], check=True)
        return key.with_suffix(".pub").read_text().strip()

    def _start(self, options: Mapping[str, str]) -> tuple[int, subprocess.Popen[bytes]]:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's privilege separation directory
        for _ in range(STARTS):
            port = workdir.free_port()
            self._write_config(port, options)
            process = self._launch()
            if _speaks_ssh(self.host, port, process):
                return port, process
            process.kill()
            process.wait()
            if "Address already in use" not in self.log_path.read_text():
                break
        log = self.log_path.read_text()
        shutil.rmtree(self._dir)
        raise SshdDidNotStart(f"sshd did not start:\n{log}")

    def _write_config(self, port: int, options: Mapping[str, str]) -> None:
        listen = [f"ListenAddress {self.host}", *(["ListenAddress ::1"] if self.ipv6 else [])]
        lines = [
            f"Port {port}",
            *listen,
            f"HostKey {self._dir / 'host_key'}",
            f"PidFile {self._dir / 'sshd.pid'}",
        ]
        lines += [f"{keyword} {value}" for keyword, value in {**options, **_unless(options)}.items()]
        (self._dir / "sshd_config").write_text("\n".join(lines) + "\n")

    def _launch(self) -> subprocess.Popen[bytes]:
        # -D: stay in the foreground, so that the pid is ours; -e: log to standard error.
        with self.log_path.open("wb") as log:
            return subprocess.Popen(
                [str(SSHD), "-D", "-e", "-f", str(self._dir / "sshd_config")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
                start_new_session=True,
            )


def _unless(options: Mapping[str, str]) -> dict[str, str]:
    given = {keyword.lower() for keyword in options}
    return {keyword: value for keyword, value in DEFAULTS.items() if keyword.lower() not in given}


def _speaks_ssh(host: str, port: int, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=5) as probe:
            # Somebody else's server on our port also greets; then our process has ended by itself.
            return probe.recv(7).startswith(b"SSH-2.0") and process.poll() is None
        time.sleep(0.02)
    return False


def _has_ipv6_loopback() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def _end(listener: int) -> None:
    for pid in [listener, *_descendants(listener)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _end_and_wait(listener: int) -> None:
    """A process that is not our child has no wait(), but its pidfd_open(2) becomes readable at its end."""
    watch = os.pidfd_open(listener)
    _end(listener)
    select.select([watch], [], [], READY_SECONDS)
    os.close(watch)


def _descendants(pid: int) -> Iterator[int]:
    """Children, grandchildren and so on; the parent is the fourth field of /proc/PID/stat: proc(5)."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                child = int(stat.parent.name)
                yield child
                yield from _descendants(child)


def clear_abandoned() -> None:
    """End the servers of test runs that were killed, and remove their folders."""
    for folder in workdir.abandoned("sshd"):
        with contextlib.suppress(OSError, ValueError):
            pid = int((folder / "sshd.pid").read_text())
            # The process of this id is ours if it logs into this folder; sshd rewrites its command line.
            if Path(f"/proc/{pid}/fd/2").readlink() == folder / "sshd.log":
                _end_and_wait(pid)
        shutil.rmtree(folder, ignore_errors=True)
