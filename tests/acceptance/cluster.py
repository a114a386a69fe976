"""A whole distributed engine: real processes, started by the real commands, over PostgreSQL and a broker."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg
from sqlalchemy.engine import make_url

from tests.acceptance.engine import RunningEngine
from tests.demo.engine import KEYTURN, PATIENCE, EngineFailed, clean_environment
from tests.peers import workdir
from tests.peers.postgres import PostgresServer, binaries

TICK = "0.5"  # seconds
LEASE, DEADLINE = "150", "120"  # seconds; a killed worker's are ended by its successor, at once
SHORT_LEASES = {"lease": "20", "deadline": "12"}  # where some are never ended by a successor
NAME_FILE = "worker.name"


class Broker(Protocol):
    """RedisServer, RabbitServer, or somewhere else."""

    @property
    def url(self) -> str: ...

    @property
    def password_file(self) -> Path: ...


@dataclass(frozen=True)
class Elsewhere:
    """A broker by its address alone."""

    url: str
    password_file: Path


class Part(RunningEngine):
    """One of its processes. `metrics`: HOST:PORT, where everybody may ask it for its figures."""

    def __init__(self, data: Path, *arguments: str | Path, **settings: str) -> None:
        self.metrics = f"127.0.0.1:{workdir.free_port()}"
        super().__init__(data, *arguments, **{"metrics": self.metrics, **settings})


class Api(Part):
    """`keyturn api`."""

    role = "api"


class Worker(Part):
    """`keyturn worker`; it is ready once it has joined the others."""

    role = "worker"

    def launch(self, listen: str = "") -> None:  # noqa: ARG002 - it has no API
        self._begin(self.role, "--data", self.data, *self._arguments, **self._settings)

    def is_ready(self) -> bool:
        return f"-{self.process.pid}-" in self.name

    @property
    def name(self) -> str:
        """That it holds leases under."""
        with contextlib.suppress(FileNotFoundError):
            return (self.data / NAME_FILE).read_text()
        return ""


class Cluster:
    """`zones` says how many workers each has. More settings as in `RunningEngine`: `tick="1"`."""

    def __init__(
        self,
        folder: Path,
        postgres: PostgresServer,
        broker: Broker,
        zones: Mapping[str, int] | None = None,
        **settings: str,
    ) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)
        self.database_url = make_url(postgres.create_database())  # with its password
        self.settings = {
            "database": self.database_url._replace(password=None).render_as_string(),
            "database_password_file": str(self._secret_file("database.password")),
            "broker": broker.url,
            "broker_password_file": str(broker.password_file),
            "tick": TICK,
            "lease": LEASE,
            "deadline": DEADLINE,
            "reachable_targets": "tolerate",  # all is on one machine
            **settings,
        }
        self.api = Api(folder / "api", **self.settings)
        self.workers: list[Worker] = []
        self.zones = dict(zones or {"default": 2})

    def start(self) -> None:
        """Migrate; then each zone's first worker, which makes its key; then all others, and the API.

        Raises EngineFailed.
        """
        self.migrate()
        for zone, count in self.zones.items():
            first = self.add_worker(zone)
            first.start()
            for _ in range(count - 1):
                further = self.add_worker(zone)
                shutil.copytree(first.data / "keys", further.data / "keys")
                further.launch()
        self.api.start()
        for worker in self.workers:
            worker.wait_until(worker.is_ready, "a worker did not join")

    def migrate(self) -> None:
        """`keyturn migrate`. Raises EngineFailed."""
        environment = {f"KEYTURN_{name.upper()}": value for name, value in self.settings.items()}
        command: Sequence[str | Path] = [KEYTURN, "migrate", "--data", self.api.data]
        done = subprocess.run(
            command,
            env=clean_environment(**environment),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode != 0:
            raise EngineFailed(f"keyturn migrate ended with {done.returncode}: {done.stderr}")

    def add_worker(self, zone: str) -> Worker:
        """Not started."""
        data = self.folder / f"worker-{zone}-{len(self.workers)}"
        data.mkdir(mode=0o700)
        worker = Worker(data, "--zone", zone, **self.settings)
        self.workers.append(worker)
        return worker

    @property
    def parts(self) -> tuple[Part, ...]:
        return (self.api, *self.workers)

    def dump(self) -> bytes:
        """All that the database holds, as pg_dump(1) writes it."""
        folder = binaries()
        assert folder is not None
        url = self.database_url
        command = [str(folder / "pg_dump"), "-h", str(url.host), "-p", str(url.port), "-U", str(url.username)]
        environment = {"PGPASSWORD": str(url.password), "PATH": "/usr/bin:/bin"}
        return subprocess.run(
            [*command, str(url.database)], env=environment, stdout=subprocess.PIPE, check=True
        ).stdout

    def query(self, statement: str, **values: Any) -> list[Any]:
        """Rows of the engine's database, by a connection of our own."""
        with self.connect() as connection:
            return connection.execute(statement.encode(), values).fetchall()

    def connect(self) -> psycopg.Connection[Any]:
        """Close it."""
        return psycopg.connect(
            host=self.database_url.host or "",
            port=self.database_url.port or 0,
            user=self.database_url.username or "",
            password=str(self.database_url.password),
            dbname=self.database_url.database or "",
            autocommit=True,
            connect_timeout=5,
        )

    def zone_key(self, zone: str = "default") -> Path:
        return next(self.folder.glob(f"worker-{zone}-*/keys/{zone}.key"))

    def logs(self) -> str:
        """Of all that were started."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def end(self) -> None:
        """Whatever became of them."""
        for part in self.parts:
            part.end()

    def _secret_file(self, name: str) -> Path:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(f"{self.database_url.password}\n")
        return path


@contextlib.contextmanager
def running(cluster: Cluster) -> Iterator[Cluster]:
    """Started on entry; nothing of it is left running."""
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.end()
