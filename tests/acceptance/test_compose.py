"""compose.yaml, as far as it goes without a container engine: parsed, and its commands started as written.

Host names become loopback addresses and fixed ports free ones, paths become temporary directories; the rest
of each service (command, environment, entry point of the image) is taken from the files.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from sqlalchemy import make_url

from executors.fake.target import FakeTarget
from tests.demo.engine import KEYTURN, PATIENCE, clean_environment
from tests.peers import postgres, redis, workdir
from tests.peers.availability import require_peer
from tests.peers.postgres import PostgresServer
from tests.peers.redis import RedisServer

ROOT = Path(__file__).resolve().parents[2]
OURS = ("migrate", "api", "worker-default", "worker-dmz")
DATA, JOURNAL, SECRETS = "/var/lib/keyturn", "/var/lib/keyturn-journal", "/run/secrets"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "compose.yaml").read_text()))


@pytest.fixture(scope="module")
def entry_point() -> list[str]:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    (found,) = [line.removeprefix("ENTRYPOINT ") for line in lines if line.startswith("ENTRYPOINT ")]
    return list(json.loads(found))


def networks(compose: Mapping[str, Any], service: str) -> set[str]:
    return set(compose["services"][service]["networks"])


@pytest.mark.parametrize("service", OURS)
def test_the_engine_runs_without_rights(compose: dict[str, Any], service: str) -> None:
    it = compose["services"][service]
    assert it["user"] not in ("root", "0", "0:0")
    assert it["read_only"] is True
    assert it["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in it["security_opt"]
    assert it["ulimits"]["core"] == 0
    assert not any(str(volume).startswith(("/", ".")) for volume in it["volumes"])


def test_the_database_and_the_broker_have_health_checks_too(compose: dict[str, Any]) -> None:
    for service in set(compose["services"]) - {"migrate"}:
        assert compose["services"][service]["healthcheck"]["test"], service


def test_no_password_is_written_anywhere(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            if "PASSWORD" in variable:
                assert value.startswith(f"{SECRETS}/"), (name, variable)
            if "://" in str(value):
                assert make_url(value).password is None, (name, variable)


def test_the_escrow_journals_are_not_on_the_database_s_volume(compose: dict[str, Any]) -> None:
    of_database = {volume.partition(":")[0] for volume in compose["services"]["postgres"]["volumes"]}
    journals = set()
    for service in ("api", "worker-default", "worker-dmz"):
        mounted = dict(reversed(volume.split(":")) for volume in compose["services"][service]["volumes"])
        command = compose["services"][service]["command"]
        assert command[command.index("--journal") + 1] == JOURNAL
        journals.add(mounted[JOURNAL])
        assert mounted[JOURNAL] != mounted[DATA]
    assert len(journals) == 3
    assert not journals & of_database
    assert journals | of_database <= set(compose["volumes"])


def test_each_touches_only_its_neighbour(compose: dict[str, Any]) -> None:
    zones = {"worker-default": "zone-default", "worker-dmz": "zone-dmz"}
    for worker, zone in zones.items():
        assert networks(compose, worker) == {"store", zone}
    assert not networks(compose, "api") & set(zones.values())
    assert networks(compose, "postgres") == networks(compose, "redis") == {"store"}
    assert compose["networks"]["store"]["internal"] is True
    masquerading = compose["networks"]["front"]["driver_opts"]
    assert masquerading == {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    assert [name for name, it in compose["services"].items() if it.get("ports")] == ["api"]
    assert all(port.startswith("127.0.0.1:") for port in compose["services"]["api"]["ports"])


def test_whoever_needs_the_schema_waits_for_the_migration(compose: dict[str, Any]) -> None:
    for service in ("api", "worker-default", "worker-dmz"):
        waits = compose["services"][service]["depends_on"]
        assert waits["migrate"] == {"condition": "service_completed_successfully"}
    assert compose["services"]["migrate"]["depends_on"]["postgres"] == {"condition": "service_healthy"}


def test_the_image_is_made_of_what_the_repository_has_and_pins(entry_point: list[str]) -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = [
        name
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for name in line.split()[1:-1]
    ]
    assert all((ROOT / name).exists() for name in copied)
    kept = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line[:1] == "!"
    }
    assert set(copied) == kept
    assert "--require-hashes" in "\n".join(lines)
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001:10001"]
    assert entry_point == ["keyturn"]


# Started as written


class Started:
    """The services of the file, each a process with nothing but its own directories to write to."""

    def __init__(
        self, compose: Mapping[str, Any], entry_point: list[str], folder: Path, peers: Mapping[str, Any]
    ) -> None:
        self._compose = compose
        self._entry_point = entry_point
        self.folder = folder
        self._peers = peers
        self._ports = {service: workdir.free_port() for service in OURS}
        self.api_port = workdir.free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        for service in OURS:
            for place in (DATA, JOURNAL):
                self.place(service, place).mkdir(mode=0o700, parents=True, exist_ok=True)

    def place(self, service: str, path: str) -> Path:
        """The directory that stands for a path inside; migrate and api share the volume of their data."""
        volumes = [volume.split(":") for volume in self._compose["services"][service]["volumes"]]
        mounted = {str(inside): str(name) for name, inside in volumes}
        return self.folder / mounted.get(path, f"{service}-only{path}".replace("/", "_"))

    def start(self, service: str) -> None:
        with (self.folder / f"{service}.log").open("ab") as log:
            self._processes[service] = subprocess.Popen(
                self._restrained(service, self._compose["services"][service]["command"]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(service),
                cwd=ROOT,
                start_new_session=True,
            )

    def run(self, service: str, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """As `docker compose exec`."""
        return subprocess.run(
            self._restrained(service, command),
            input=stdin,
            env=self._environment(service),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def healthy(self, service: str) -> bool:
        test = self._compose["services"][service]["healthcheck"]["test"]
        assert test[0] == "CMD"
        assert test[1] == self._entry_point[0]
        return self.run(service, *test[2:]).returncode == 0

    def until_healthy(self, service: str) -> None:
        until = time.monotonic() + PATIENCE
        while not self.healthy(service):
            assert self._processes[service].poll() is None, self.log(service)
            assert time.monotonic() < until, self.log(service)

    def log(self, service: str) -> str:
        return (self.folder / f"{service}.log").read_text()[-3000:]

    def stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait(timeout=PATIENCE)

    def _restrained(self, service: str, command: Any) -> list[str]:
        own = [str(self.place(service, path)) for path in (DATA, JOURNAL)]
        inside = [self._inside(service, str(word)) for word in command]
        return [sys.executable, "-m", "tests.acceptance.restrained", *own, "--", str(KEYTURN), *inside]

    def _environment(self, service: str) -> dict[str, str]:
        given = self._compose["services"][service]["environment"]
        return clean_environment(**{name: self._inside(service, str(value)) for name, value in given.items()})

    def _inside(self, service: str, text: str) -> str:
        """A word of the file, as it is called out here."""
        for path in (JOURNAL, DATA):
            if text == path:
                return str(self.place(service, path))
        if text.startswith(f"{SECRETS}/"):
            return str(self._peers[text.removeprefix(f"{SECRETS}/")])
        return (
            text.replace("keyturn@postgres:5432/keyturn", self._peers["database"])
            .replace("redis://redis:6379", self._peers["broker"])
            .replace("0.0.0.0:9470", f"127.0.0.1:{self._ports[service]}")
            .replace("0.0.0.0:8470", f"127.0.0.1:{self.api_port}")
        )


@pytest.fixture(scope="module")
def started(
    compose: dict[str, Any], entry_point: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Started]:
    require_peer("postgresql", postgres.available(), postgres.HOW)
    require_peer("redis", redis.available(), redis.HOW)
    folder = tmp_path_factory.mktemp("compose")
    database, broker = PostgresServer(), RedisServer()
    url = make_url(database.create_database())
    (folder / "database_password").write_text(f"{url.password}\n")
    peers = {
        "database": f"{url.username}@{url.host}:{url.port}/{url.database}",
        "broker": f"redis://{broker.host}:{broker.port}",
        "database_password": folder / "database_password",
        "broker_password": broker.password_file,
    }
    made = Started(compose, entry_point, folder, peers)
    try:
        yield made
    finally:
        made.stop()
        broker.remove()
        database.remove()


def test_the_services_start_as_written_and_change_a_password_in_each_zone(started: Started) -> None:
    migrated = started.run("migrate", "migrate")
    assert migrated.returncode == 0, migrated.stderr
    for service in ("api", "worker-default", "worker-dmz"):
        started.start(service)
    for service in ("worker-default", "worker-dmz", "api"):
        started.until_healthy(service)
    assert requests.get(f"http://127.0.0.1:{started.api_port}/readyz", timeout=10).ok
    for zone in ("default", "dmz"):
        file = started.place(f"worker-{zone}", DATA) / "target"
        target = FakeTarget.create(file)
        target.set("app", "first")
        add = ("device", "add", f"box-{zone}", "--address", str(file), "--port", "fake=1", "--zone", zone)
        assert started.run("api", *add).returncode == 0
        name = f"app@box-{zone}"
        given = ("--secret-file", "-", "--template", "fake-own-password", "--enable")
        added = started.run("api", "credential", "add", name, *given, stdin="first\n")
        assert added.returncode == 0, added.stderr
        rotated = started.run("api", "credential", "rotate", name, "--wait")
        assert rotated.returncode == 0, rotated.stderr
        revealed = started.run("api", "credential", "reveal", name, "--reason", "test").stdout.strip()
        assert revealed != "first"
        assert target.opens("app", revealed)
        assert not target.opens("app", "first")
    listed = json.loads(started.run("api", "worker", "list", "--json").stdout)
    assert sorted(row["zone"] for row in listed) == ["default", "dmz"]
    assert started.run("api", "audit", "verify").returncode == 0


def test_a_container_can_write_nowhere_else(started: Started) -> None:
    elsewhere = started.folder / "elsewhere"
    refused = started.run("worker-dmz", "worker", "--zone", "dmz", "--journal", str(elsewhere))
    assert refused.returncode != 0
    assert not elsewhere.exists()


def test_make_secrets_makes_them_once(tmp_path: Path) -> None:
    script = tmp_path / "make-secrets"
    script.write_bytes((ROOT / "deploy" / "make-secrets").read_bytes())
    contents = []
    for _ in range(2):
        subprocess.run(["sh", str(script)], check=True, capture_output=True)
        contents.append({file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()})
    assert contents[0] == contents[1]
    assert set(contents[0]) == {"database_password", "broker_password"}
    assert all(len(password) == 48 for password in contents[0].values())
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
