"""A real Prometheus and its promtool, as Debian ships them: unpacked by tests/peers/install, or on PATH."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.peers import workdir

HOW = "run tests/peers/install as root"
UNPACKED = Path("/var/cache/keyturn-peers/usr/bin")
STARTS = 5
READY_SECONDS = 30.0


class PrometheusDidNotStart(Exception):
    """It ended or stayed silent; the message ends with its own log."""


def program(name: str) -> Path | None:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{UNPACKED}")
    return None if found is None else Path(found)


def available() -> bool:
    return program("prometheus") is not None and program("promtool") is not None


def promtool(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Its end and all that it said."""
    tool = program("promtool")
    assert tool is not None, HOW
    done = subprocess.run(
        [str(tool), *arguments],
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=60,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode())


class PrometheusServer:
    """One server, started: scrapes `targets` (HOST:PORT) every second and evaluates `rules`.

    Raises PrometheusDidNotStart.
    """

    host = "127.0.0.1"

    def __init__(self, targets: Sequence[str], rules: Path) -> None:
        clear_abandoned()
        self._dir = workdir.make("prometheus")
        self._config = self._dir / "prometheus.json"  # JSON is YAML
        scrape = {"job_name": "keyturn", "static_configs": [{"targets": list(targets)}]}
        every = {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"}
        config = {"global": every, "rule_files": [str(rules)], "scrape_configs": [scrape]}
        self._config.write_text(json.dumps(config))
        self.log_path = self._dir / "log"
        self._start_first()

    def query(self, expression: str) -> list[Mapping[str, Any]]:
        """The instant vector; raises urllib.error.URLError."""
        asked = urllib.parse.urlencode({"query": expression})
        return list(self._ask(f"/api/v1/query?{asked}")["data"]["result"])

    def alerts(self) -> dict[str, str]:
        """The state of each alert that is pending or firing."""
        found = self._ask("/api/v1/alerts")["data"]["alerts"]
        return {each["labels"]["alertname"]: each["state"] for each in found}

    def remove(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._dir)

    def _start_first(self) -> None:
        for _ in range(STARTS):
            self.port = workdir.free_port()
            self._process = self._launch()
            (self._dir / "pid").write_text(str(self._process.pid))
            if self._is_ready():
                return
            self._process.kill()
            self._process.wait()
        raise PrometheusDidNotStart(self.log_path.read_text()[-2000:])

    def _launch(self) -> subprocess.Popen[bytes]:
        command = [
            str(program("prometheus")),
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self._dir / 'data'}",
            f"--web.listen-address={self.host}:{self.port}",
            "--log.level=warn",
        ]
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._dir,
                start_new_session=True,
                env={"PATH": "/usr/bin:/bin"},
            )

    def _is_ready(self) -> bool:
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self._url}/-/ready", timeout=5).close()  # noqa: S310 - http, loopback
                return True
            time.sleep(0.1)
        return False

    def _ask(self, path: str) -> Any:
        with urllib.request.urlopen(self._url + path, timeout=10) as answer:  # noqa: S310 - http, loopback
            return json.load(answer)

    @property
    def _url(self) -> str:
        return f"http://{self.host}:{self.port}"


def clear_abandoned() -> None:
    """End the servers of test runs that were killed, and remove their folders."""
    for folder in workdir.abandoned("prometheus"):
        with contextlib.suppress(OSError, ValueError):
            pid = int((folder / "pid").read_text())
            if b"prometheus" in Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0]:
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
