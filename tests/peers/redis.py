"""A real Redis of our own: free loopback port, a password, nothing on disk, so that a restart forgets all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

import redis

from tests.peers import workdir

HOW = "run tests/peers/install as root"
STARTS = 5
READY_SECONDS = 20.0


class RedisDidNotStart(Exception):
    """It ended or stayed silent; the message ends with its own log."""


def available() -> bool:
    return shutil.which("redis-server") is not None


class RedisServer:
    """One server, started. Raises RedisDidNotStart."""

    host = "127.0.0.1"

    def __init__(self) -> None:
        clear_abandoned()
        self._dir = workdir.make("redis")
        self.log_path = self._dir / "log"
        self.password_file = self._dir / "password"
        self.password_file.touch(mode=0o600)
        self._password = secrets.token_urlsafe(18)
        self.password_file.write_text(self._password + "\n")
        self.port = workdir.free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._start_first()

    @property
    def url(self) -> str:
        """Without the password, as `broker` is set."""
        return f"redis://default@{self.host}:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> None:
        """Start, on the same port, and return when it answers. Raises RedisDidNotStart."""
        self._process = self._launch()
        until = time.monotonic() + READY_SECONDS
        while self._process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(redis.ConnectionError), self.client() as client:
                client.ping()
                return
            time.sleep(0.02)
        self.kill()
        raise RedisDidNotStart(self.log_path.read_text()[-2000:])

    def kill(self) -> None:
        """SIGKILL: what it held is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end; what it held is gone as well."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Kill it and start an empty one."""
        self.kill()
        self.start()

    def flush(self) -> None:
        """FLUSHALL, under the feet of whoever is connected."""
        with self.client() as client:
            client.flushall()

    def lengths(self) -> dict[str, int]:
        """Messages that wait, by list: Celery keeps a queue in one list for each priority."""
        with self.client() as client:
            lists = [key.decode() for key in client.scan_iter(_type="LIST")]
            return {name: int(client.llen(name)) for name in lists}

    def client(self) -> redis.Redis:
        """A connection of one's own: close it."""
        return redis.Redis(self.host, self.port, password=self._password, socket_timeout=10)

    def remove(self) -> None:
        """Kill it if it runs, and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self._dir)

    def _start_first(self) -> None:
        for _ in range(STARTS - 1):
            with contextlib.suppress(RedisDidNotStart):
                return self.start()
            self.port = workdir.free_port()
        return self.start()

    def _launch(self) -> subprocess.Popen[bytes]:
        config = self._dir / "redis.conf"
        config.touch(mode=0o600)  # redis.conf(5): requirepass stands in it
        lines = [f"port {self.port}", f"bind {self.host}", f"requirepass {self._password}", 'save ""']
        lines += [f"dir {self._dir}", f"pidfile {self._dir / 'pid'}", "appendonly no", "daemonize no"]
        config.write_text("\n".join(lines) + "\n")
        with self.log_path.open("ab") as log:
            process = subprocess.Popen(
                ["redis-server", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._dir,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                start_new_session=True,
            )
        (self._dir / "pid").write_text(f"{process.pid}\n")
        return process

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None, "not started"
        self._process.send_signal(how)
        self._process.wait(READY_SECONDS)


def clear_abandoned() -> None:
    """End the servers of test runs that were killed, and remove their folders."""
    for folder in workdir.abandoned("redis"):
        with contextlib.suppress(OSError, ValueError):
            pid = int((folder / "pid").read_text())
            if Path(f"/proc/{pid}/cwd").readlink() == folder:  # nobody else's process of this number
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
