"""No secret outside the vault, of several processes: broker, database, logs, metrics, every data directory.

What the search finds is shown in test_no_secret_leaks.py.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.acceptance.canary import Found, Search, Seen, Watcher, canary
from tests.acceptance.cluster import Cluster, Elsewhere, running
from tests.acceptance.engine import Site
from tests.faults.judge import open_value, zone_key
from tests.peers.accounts import LocalAccounts
from tests.peers.postgres import PostgresServer
from tests.peers.proxy import RecordingProxy
from tests.peers.redis import RedisServer
from tests.peers.sshd import SshServer

PATIENCE = 90.0  # seconds
SHARED_PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/var/log")
ZONES = ("default", "far")
VERSIONS = """
SELECT credential.username, zone.name, authority.name, account.name, kind || '/' || service, number, sealed
FROM secret_version JOIN credential ON credential.id = secret_version.credential_id
JOIN device ON device.id = credential.device_id JOIN zone ON zone.id = device.zone_id
JOIN account ON account.id = credential.account_id JOIN authority ON authority.id = account.authority_id
"""


@dataclass
class Run:
    """A distributed engine at work, and everything that could be seen of it."""

    site: Site
    cluster: Cluster
    seen: Seen = field(default_factory=Seen)
    started: float = field(default_factory=lambda: time.time() - 0.1)  # the kernel's tick is behind the clock
    secrets: dict[str, str] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)

    def add(self, suffix: str, device: str, **fields: Any) -> str:
        """A real account whose first password is a canary, proven and enabled; its name."""
        self.secrets[f"first of {suffix}"] = secret = canary()
        user = self.site.account(suffix, secret, sudo=fields.pop("sudo", ()))
        body = {"name": f"{user}@{device}", "secret": secret, "policy": "patient", **fields}
        credential = self.ask("POST", "/credentials", body)["id"]
        self.ended[f"enable {suffix}"] = self.end(self.ask("POST", f"/credentials/{credential}/enable"))
        return f"{user}@{device}"

    def rotate(self, name: str) -> dict[str, Any]:
        credential = self.site.credential(name)["id"]
        return dict(self.ask("POST", f"/credentials/{credential}/rotate"))

    def end(self, asked: dict[str, Any]) -> str:
        """The state in which the operation ends."""
        until = time.monotonic() + PATIENCE
        while (shown := self.ask("GET", f"/operations/{asked['operation']}"))["finished"] is None:
            assert time.monotonic() < until, shown
            time.sleep(0.1)
        return str(shown["state"])

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.site.engine.api(method, path, json=body)
        self.seen.note(f"answer to {method} {path.rstrip('0123456789')}", answer.content)
        assert answer.ok, answer.status_code
        return answer.json()


@pytest.fixture(scope="module")
def run(
    sshd: SshServer,
    accounts: LocalAccounts,
    postgres: PostgresServer,
    redis: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("leaks")
    with ExitStack() as stack:
        proxy = RecordingProxy(redis.host, redis.port)
        stack.callback(proxy.close)
        through = Elsewhere(f"redis://default@127.0.0.1:{proxy.port}/0", redis.password_file)
        cluster = Cluster(folder / "cluster", postgres, through, dict.fromkeys(ZONES, 1))
        made = Run(Site(cluster.api, sshd, accounts), cluster)
        stack.enter_context(running(cluster))
        with Watcher(made.seen):
            _live(made)
        for part in cluster.parts:
            for path in ("metrics", "healthz", "readyz"):
                answer = requests.get(f"http://{part.metrics}/{path}", timeout=30)
                made.seen.note(f"{part.data.name} /{path}", answer.content)
        made.seen.note("audit export", made.site.engine.api("GET", "/audit/export").content)
        made.seen.note("database dump", cluster.dump())
        made.seen.note("log of PostgreSQL", postgres.log_path.read_bytes())
        made.seen.note("log of sshd", sshd.log_path.read_bytes())
        made.seen.note("log of Redis", redis.log_path.read_bytes())
        for number, stream in enumerate(proxy.recorded()):
            made.seen.note(f"bytes of the broker {number}", stream)
        made.secrets |= _vault(cluster)
        yield made


def _live(run: Run) -> None:
    run.ask(
        "POST",
        "/policies",
        {"name": "patient", "rules": {"lockout": {"threshold": 4, "window_seconds": 5.0}}},
    )
    near, far = run.site.device(), run.site.device(None, "--zone", "far")
    sudoer = run.add("adm", near, sudo=("/usr/sbin/chpasswd", "/usr/bin/passwd"))
    names = [run.add("own", near), run.add("web", near, auth=sudoer), run.add("far", far)]
    run.add("child", far, parent=names[0], link="same")  # its next secret is handed over from zone to zone
    asked = {name: run.rotate(name) for name in names}
    run.ended |= {f"rotate {number}": run.end(each) for number, each in enumerate(asked.values())}
    for name in names:
        run.ended[f"reveal {name.partition('_')[2][:3]}"] = str(run.site.vault_opens(name))
    again = run.rotate(names[0])
    time.sleep(0.5)
    worker = run.cluster.workers[0]
    worker.kill()
    worker.start()
    run.ended["rotate, killed"] = run.end(again)
    run.cluster.end()  # what is written at the end is searched too
    for part in (*run.cluster.workers, run.cluster.api):
        part.start()


def _vault(cluster: Cluster) -> dict[str, str]:
    """Every version there ever was, and the engine's own secrets."""
    keys = {zone: zone_key(cluster.zone_key(zone)) for zone in ZONES}
    opened = {}
    for user, zone, authority, account, slot, number, sealed in cluster.query(VERSIONS):
        name = f"version {number} of {user.partition('_')[2]}"
        opened[name] = open_value(bytes(sealed), keys[zone], authority, account, slot, str(number), "secret")
    for zone in ZONES:
        # Not from its beginning, which it shares with public keys.
        opened[f"key of {zone}"] = "".join(cluster.zone_key(zone).read_text().splitlines()[1:-1])[-40:]
    opened["admin token"] = (cluster.api.data / "admin.token").read_text().strip()[-43:]
    opened["pepper"] = (cluster.api.data / "pepper").read_text().strip()
    opened["database password"] = (cluster.folder / "database.password").read_text().strip()
    return opened


def _own(cluster: Cluster) -> set[Path]:
    """Where secrets may be."""
    keys = {worker.data / "keys" for worker in cluster.workers}
    data = cluster.api.data
    return keys | {data / "admin.token", data / "pepper", cluster.folder / "database.password"}


def _everywhere(run: Run, search: Search) -> set[Found]:
    found = run.seen.search(search) | search.files(run.cluster.folder, without=_own(run.cluster))
    for folder in map(Path, {*SHARED_PLACES, tempfile.gettempdir()}):
        found |= search.files(folder, run.started, set(folder.glob("pytest-of-*")))  # searched already
    return found


def test_the_run_was_one_worth_searching(run: Run) -> None:
    assert set(run.ended.values()) <= {"succeeded", "True"}, run.ended
    made = [name for name in run.secrets if name.startswith("version") and not name.startswith("version 1")]
    assert len(made) >= 4
    assert any(name.endswith("child1") or "child" in name for name in made), "nothing was handed over"


def test_no_secret_is_outside_the_vault(run: Run) -> None:
    found = _everywhere(run, Search(run.secrets))
    assert "\n".join(f"{each.secret}: {each.place}, {each.encoding}" for each in sorted(found)) == ""


def test_the_search_was_in_every_place(run: Run) -> None:
    [(installation,)] = run.cluster.query("SELECT installation FROM engine_state")
    looked_for = {
        "user": run.site.accounts.run_id,
        "installation": installation,
        "start": "listening on http",
    }
    looked_for |= {"metrics": "keyturn_", "login": "Accepted password"}
    places = {each.place for each in _everywhere(run, Search(looked_for))}
    wanted: tuple[str, ...] = (
        "database dump",
        "bytes of the broker",
        "api.log",
        "worker-default-0/journal",
        "api /metrics",
    )
    wanted += ("worker-far-1 /metrics", "audit export", "log of sshd", "answer to GET /operations/")
    assert [word for word in wanted if not any(word in place for place in places)] == []


def test_what_passes_the_broker_are_ids(run: Run) -> None:
    """Its messages name a task and a number; nothing of an account, a device or a template."""
    broker = {
        place: data for place, data in run.seen.places.items() if place.startswith("bytes of the broker")
    }
    words = {name: name for name in ("linux-own-password", "ssh-ed25519")}
    found = Seen(broker).search(Search({"user": run.site.accounts.run_id, **words}))
    assert found == set()
