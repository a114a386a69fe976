"""A distributed engine on real accounts, while everything around its workers, and they themselves, break.

    python -m tests.faults.storm --kills N [--seed S]

Changes are asked for as long as there is something left to break: workers are killed, Redis is flushed and
killed, PostgreSQL crashes. Then all must end, and the target's own record says what was lost.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import requests

from engine.cli.exits import Exit
from tests.acceptance.cluster import SHORT_LEASES, Cluster, Worker, running
from tests.acceptance.engine import Site
from tests.faults.judge import judged, open_value, zone_key
from tests.peers.accounts import LocalAccounts, accepts
from tests.peers.postgres import PostgresServer
from tests.peers.redis import RedisServer
from tests.peers.ssh_drive import key_pair, new_password
from tests.peers.sshd import SshServer

CHANGES = 200
UNFINISHED = 10  # operations, whenever something breaks
AHEAD = 30  # operations asked for at a time
DEVICES = 4
OWN, BY_SUDOER, BY_ROOT = 6, 5, 4  # accounts a device, by root on the first one only
WINDOW, ALLOWED = 4.0, 2  # seconds, refused logins: what the policy says
PROGRESS = 4  # operations that end between two kills
AT_WORK = 0.8  # of the kills; the others come at any moment, such as while a worker starts
PAUSES = (0.4, 2.4)  # seconds between two faults, at random
POLL = 0.1  # seconds
PATIENCE = 180.0  # seconds for what is left when nothing breaks any more
SUDO = ("/usr/sbin/chpasswd", "/usr/bin/passwd", "/usr/sbin/usermod")
RULES = {
    "lockout": {"threshold": 4, "window_seconds": WINDOW},
    "retry": {"attempts": 100, "base_seconds": 0.5, "cap_seconds": 3.0},
}
REFUSED = re.compile(r"Failed password for (\S+)")
VERSIONS = """
SELECT credential.username, authority.name, account.name, number, sealed
FROM secret_version JOIN credential ON credential.id = secret_version.credential_id
JOIN account ON account.id = credential.account_id JOIN authority ON authority.id = account.authority_id
WHERE kind = 'password' ORDER BY credential.id, number
"""


@dataclass
class Tally:
    """What was done, and what came of it."""

    seconds: float = 0.0
    changes: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    at_work: list[int] = field(default_factory=list)  # operations that a killed worker was working on
    least_unfinished: int = AHEAD
    ended: Counter[str] = field(default_factory=Counter)
    ends: Counter[int] = field(default_factory=Counter)  # exit codes of workers that nobody killed
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not (self.lost or self.wrong)

    def report(self) -> str:
        lines = [f"LOST {each}" for each in self.lost[:20]] + [f"WRONG {each}" for each in self.wrong[:20]]
        faults = ", ".join(f"{count} x {name}" for name, count in sorted(self.faults.items()))
        lines.append(f"{faults}; each with at least {self.least_unfinished} operations unfinished")
        busy = sum(1 for count in self.at_work if count)
        lines.append(f"workers that ended by themselves, by exit code: {dict(self.ends)}")
        lines.append(f"killed workers were working on {sum(self.at_work)} operations, {busy} of them on any")
        ends = ", ".join(f"{count} {state}" for state, count in sorted(self.ended.items()))
        lines.append(f"{self.changes} changes in {self.seconds:.0f} s: {ends}; {len(self.lost)} lost")
        return "\n".join(lines)


class Stuck(Exception):
    """Something does not end, with nothing broken any more; the operations that are open follow."""


class Watch:
    """Sees what the target has in force, and whom it refuses, from beginning to end."""

    def __init__(self, sshd: SshServer, accounts: LocalAccounts) -> None:
        self._sshd = sshd
        self._prefix = f"{accounts.run_id}_"
        self._read = sshd.log_path.stat().st_size
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.in_force: dict[str, list[str]] = defaultdict(list)  # entries of shadow(5), in their order
        self.refused: dict[str, list[float]] = defaultdict(list)  # moments, by user

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def over_budget(self) -> Iterator[str]:
        for user, moments in self.refused.items():
            for first, over in zip(moments, moments[ALLOWED:], strict=False):
                if over - first < WINDOW - 2 * POLL:
                    yield f"{user}: more than {ALLOWED} refused logins within {over - first:.1f} s"

    def _run(self) -> None:
        while not self._stop.wait(POLL):
            self._look()

    def _look(self) -> None:
        for line in Path("/etc/shadow").read_text().splitlines():
            user, stored, *_ = line.split(":")
            if user.startswith(self._prefix) and self.in_force[user][-1:] != [stored]:
                self.in_force[user].append(stored)
        with self._sshd.log_path.open("rb") as log:
            log.seek(self._read)
            told = log.read()
        whole = told[: told.rfind(b"\n") + 1]
        self._read += len(whole)
        for user in REFUSED.findall(whole.decode("utf-8", "replace")):
            self.refused[user].append(time.monotonic())


class Storm:
    """One run. `faults`: what is to break, how often."""

    def __init__(
        self, site: Site, cluster: Cluster, postgres: PostgresServer, redis: RedisServer, seed: int
    ) -> None:
        self.site = site
        self.cluster = cluster
        self.postgres = postgres
        self.redis = redis
        self.choose = random.Random(seed)
        self.tally = Tally()
        self.credentials: dict[str, int] = {}
        self.open: dict[str, int] = {}  # operation asked for, by credential
        self.asked: set[int] = set()
        self.raging = False
        self._known: set[int] = set()
        self._next_kill = 0

    def settle(self, root_key: str) -> None:
        """Register everything, and prove it."""
        self._api("POST", "/policies", {"name": "storm", "rules": RULES})
        root: str | None = None
        for _ in range(DEVICES):
            device = self.site.device(None, "--limit", "8")
            sudoer = self.site.account("adm", secret := new_password(), sudo=SUDO)
            self._add(f"{sudoer}@{device}", secret)
            self._settle_accounts("own", OWN, device)
            self._settle_accounts("app", BY_SUDOER, device, auth=f"{sudoer}@{device}")
            if root is None:
                root = f"root@{device}"
                self._add(root, root_key, kind="ssh_key")
                self._settle_accounts("low", BY_ROOT, device, auth=root)
        enabled = {
            name: self._api("POST", f"/credentials/{each}/enable") for name, each in self.credentials.items()
        }
        self.open = {name: answer["operation"] for name, answer in enabled.items()}
        self._until(lambda: not self._unfinished(), PATIENCE)
        del self.credentials[str(root)]  # its key stays as it is

    def _settle_accounts(self, suffix: str, count: int, device: str, **fields: str) -> None:
        for _ in range(count):
            user = self.site.account(suffix, secret := new_password())
            self._add(f"{user}@{device}", secret, **fields)

    def _add(self, name: str, secret: str, **fields: str) -> None:
        body = {"name": name, "secret": secret, "policy": "storm", **fields}
        self.credentials[name] = self._api("POST", "/credentials", body)["id"]

    def rage(self, faults: Counter[str], changes: int) -> None:
        """Break all that is to be broken, asking for changes meanwhile; then wait for what is left."""
        began, self.raging = time.monotonic(), True
        left = list(faults.elements())
        self.choose.shuffle(left)
        while left or len(self.asked) < changes:
            pause = time.monotonic() + self.choose.uniform(*PAUSES)
            self._until(lambda: time.monotonic() >= pause and self._may(left), PATIENCE)  # noqa: B023 - at once
            if left:
                self._break(left.pop())
        self.raging = False
        self._until(lambda: not self._unfinished(), PATIENCE)
        self.tally.seconds = time.monotonic() - began
        self.tally.changes = len(self.asked)

    def _may(self, left: list[str]) -> bool:
        """Enough is unfinished, and whoever is to be killed has come back from the last time.

        Some must have ended since: an operation whose workers die ten times is left to a person.
        """
        if not left:
            return True
        enough = len(self._unfinished()) >= UNFINISHED
        return enough and (left[-1] != KILL or (bool(self._ready()) and self._ended() >= self._next_kill))

    def _ended(self) -> int:
        return len(self.asked) - len(self._unfinished())

    def _ready(self) -> list[Worker]:
        return [worker for worker in self.cluster.workers if worker.is_ready()]

    def _supervise(self) -> None:
        """As whatever starts workers does: one that found no database when it started is started again."""
        for worker in self.cluster.workers:
            if (code := worker.process.poll()) is not None:
                self.tally.ends[code] += 1
                worker.launch()

    def _break(self, fault: str) -> None:
        unfinished = len(self._unfinished())
        self.tally.least_unfinished = min(self.tally.least_unfinished, unfinished)
        self.tally.faults[fault] += 1
        FAULTS[fault](self)

    def kill_worker(self) -> None:
        """At work mostly, at any moment sometimes; and start it again on what it left."""
        if self.choose.random() < AT_WORK:
            self._until(lambda: any(self._busy()), PATIENCE)
            time.sleep(self.choose.uniform(0.0, 1.0))
        worker = self.choose.choice(self._busy() or self._ready())
        name = worker.name
        worker.kill()
        self.tally.at_work.append(self._leases().get(name, 0))
        worker.launch()
        self._next_kill = self._ended() + PROGRESS

    def _busy(self) -> list[Worker]:
        leases = self._leases()
        return [worker for worker in self._ready() if worker.name in leases]

    def _leases(self) -> dict[str, int]:
        """How many a worker holds; nothing while the database is away."""
        held = "SELECT lease_owner, count(*) FROM account WHERE lease_owner IS NOT NULL GROUP BY 1"
        with contextlib.suppress(psycopg.OperationalError):
            return {str(name): int(count) for name, count in self.cluster.query(held)}
        return {}

    def flush_redis(self) -> None:
        self.redis.flush()

    def kill_redis(self) -> None:
        self.redis.kill()
        time.sleep(self.choose.uniform(0.0, 1.5))
        self.redis.start()

    def crash_postgres(self) -> None:
        self.postgres.stop(immediate=True)
        self.postgres.start()

    def await_quiet(self) -> None:
        """Until all are back, and the record is sealed. Raises Stuck."""
        parts = (self.cluster.api, *self.cluster.workers)
        self._until(lambda: all(part.is_ready() for part in parts), PATIENCE)
        unsealed = "SELECT 1 FROM audit_entry WHERE sequence IS NULL LIMIT 1"
        self._until(lambda: not self.cluster.query(unsealed), PATIENCE)

    def _ask_for_more(self) -> None:
        """One change a credential at a time, `AHEAD` in all."""
        if not self.raging:
            return
        unfinished = self._unfinished()
        free = [name for name in self.credentials if self.open.get(name) not in unfinished]
        self.choose.shuffle(free)
        for name in free[: max(0, AHEAD - len(unfinished))]:
            with contextlib.suppress(requests.RequestException):
                answer = self.site.engine.api("POST", f"/credentials/{self.credentials[name]}/rotate")
                if answer.status_code == 202:
                    self.open[name] = answer.json()["operation"]
                    self.asked.add(self.open[name])
                elif answer.status_code < 500:
                    self.tally.wrong.append(f"{name} cannot be changed: {answer.text}")
                    self.credentials.pop(name)

    def _unfinished(self) -> set[int]:
        """Of those asked for. While the database is away, as it was known last."""
        asked = list(self.open.values())
        with contextlib.suppress(psycopg.OperationalError):
            rows = self.cluster.query(
                "SELECT id FROM operation WHERE id = ANY(%(asked)s) AND finished IS NULL", asked=asked
            )
            self._known = {number for (number,) in rows}
        return self._known

    def _until(self, arrived: Callable[[], bool], seconds: float) -> None:
        """Raises Stuck."""
        until = time.monotonic() + seconds
        while not arrived():
            if time.monotonic() > until:
                raise Stuck(
                    f"{len(self._unfinished())} operations do not end, the database says: {self._open()}"
                )
            self._supervise()
            self._ask_for_more()
            time.sleep(POLL)

    def _open(self) -> list[Any]:
        return self.cluster.query(
            "SELECT id, action, state, outcome, reason, attempts, needs_person, due, lease_until"
            " FROM operation WHERE finished IS NULL"
        )

    def _api(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.site.engine.api(method, path, json=body)
        assert answer.ok, answer.text
        return answer.json()

    # Afterwards

    def judge(self, watch: Watch) -> Tally:
        """After all workers have stopped."""
        tally = self.tally
        asked = sorted(self.asked)
        for state, outcome, count in self.cluster.query(
            "SELECT state, outcome, count(*) FROM operation WHERE id = ANY(%(asked)s) GROUP BY 1, 2",
            asked=asked,
        ):
            tally.ended[f"{state} ({outcome})"] = count
        key = zone_key(self.cluster.zone_key())
        with self.cluster.connect() as db:
            found = judged(db, key, self._opens)
        tally.lost += found.lost
        tally.wrong += [f"a worker ended with {code}" for code in tally.ends if code != Exit.NOT_READY]
        tally.wrong += [*found.wrong, *watch.over_budget(), *self._leftovers(), *self._out_of_order(watch)]
        verified = self.site.engine.run("audit", "verify", "--json")
        if verified.returncode != 0:
            tally.wrong.append(f"audit: {verified.stdout}{verified.stderr}")
        return tally

    def _opens(self, user: str, secret: str) -> bool:
        return user == "root" or self.site.accounts.opens(user, secret)

    def _leftovers(self) -> Iterator[str]:
        never = {
            "operations that have not ended": "operation WHERE finished IS NULL",
            "accounts still leased": "account WHERE lease_owner IS NOT NULL",
            "shared leases of nobody": "shared_lease",
            "versions still pending": "secret_version WHERE status IN ('candidate', 'sent')",
            "entries not sealed": "audit_entry WHERE sequence IS NULL AND action <> 'worker.stopped'",
        }
        for what, where in never.items():
            [(count,)] = self.cluster.query(f"SELECT count(*) FROM {where}")
            if count:
                yield f"{count} {what}"

    def _out_of_order(self, watch: Watch) -> Iterator[str]:
        """What was in force was one version after the other: never a stranger's, never an older one again.

        So no two candidates were on their way at once. crypt(3) is slow on purpose: each version is tried
        where its turn is.
        """
        key = zone_key(self.cluster.zone_key())
        secrets: dict[str, list[str]] = defaultdict(list)
        for user, authority, account, number, sealed in self.cluster.query(VERSIONS):
            names = (authority, account, "password/", str(number), "secret")
            secrets[user].append(open_value(bytes(sealed), key, *names))
        with ThreadPoolExecutor(2) as pool:  # crypt_r(3) runs outside of Python's lock
            found = pool.map(lambda user: _follows(user, watch.in_force[user], secrets[user]), secrets)
        yield from (fault for fault in found if fault)


def _follows(user: str, in_force: list[str], secrets: list[str]) -> str | None:
    left = iter(secrets)
    for number, stored in enumerate(in_force):
        if not any(accepts(stored, secret) for secret in left):
            return f"{user}: what was in force as number {number + 1} is no later version than that before"
    return None


KILL = "worker killed"
FAULTS: dict[str, Callable[[Storm], None]] = {
    KILL: Storm.kill_worker,
    "Redis flushed": Storm.flush_redis,
    "Redis killed": Storm.kill_redis,
    "PostgreSQL crashed": Storm.crash_postgres,
}


def storm(folder: Path, kills: int, others: int, changes: int, seed: int) -> Tally:
    """`kills` of workers, `others` of each other fault. All servers and accounts are its own; needs root."""
    pem, line = key_pair()
    (folder / "root").write_text(line)
    with contextlib.ExitStack() as stack:
        sshd = SshServer(
            {"AuthorizedKeysFile": str(folder / "%u"), "StrictModes": "no", "MaxStartups": "200"}
        )
        stack.callback(sshd.stop)
        accounts = LocalAccounts()
        stack.callback(accounts.remove_all)
        postgres = PostgresServer(fsync=True)
        stack.callback(postgres.remove)
        redis = RedisServer()
        stack.callback(redis.remove)
        cluster = stack.enter_context(
            running(Cluster(folder / "cluster", postgres, redis, {"default": 2}, **SHORT_LEASES))
        )
        made = Storm(Site(cluster.api, sshd, accounts), cluster, postgres, redis, seed)
        made.settle(pem)
        with Watch(sshd, accounts) as watch:
            made.rage(Counter({name: kills if name == KILL else others for name in FAULTS}), changes)
        made.await_quiet()
        ends = [worker.stop() for worker in cluster.workers]
        made.tally.wrong += [f"a worker that was stopped ended with {code}" for code in ends if code != 0]
        return made.judge(watch)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30, help="how many workers are killed")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="keyturn-storm-"))
    tally = storm(folder, given.kills, max(5, given.kills // 20), CHANGES, given.seed)
    print(tally.report())
    if tally.good:
        shutil.rmtree(folder)
        return 0
    print(f"what was left is kept in {folder}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
