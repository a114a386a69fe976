"""Two zones in networks of their own: nobody opens or reaches what is not theirs. Each thing is tried.

The API reaches the database and the broker alone; a zone's worker reaches these and the target of its zone.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from engine.cli.exits import Exit
from engine.operations.models import attempt, operation
from engine.store.database import Database
from engine.vault.errors import MissingKey, SealBroken, VaultError, WrongKey
from engine.vault.journal import read_all
from engine.vault.keys import FileKeys
from engine.vault.models import handover, secret_version
from engine.vault.refs import credential_ref, sealed_version
from engine.vault.sealing import HEADER, Context, Purpose, key_id, open_bytes
from engine.work.app import make_app, register
from engine.work.bell import Bell
from tests.acceptance import cluster as clusters
from tests.acceptance.cluster import Api, Cluster, Elsewhere, Worker
from tests.acceptance.fakes import Fakes
from tests.demo.engine import EngineFailed
from tests.peers import netns
from tests.peers.availability import require_peer
from tests.peers.netns import Forwarder, Network
from tests.peers.postgres import PostgresServer
from tests.peers.redis import RedisServer
from tests.targets.box import Box, NewAccount

LEFT, RIGHT = "left", "right"
BOSS = "boss"
PATIENCE = 60.0  # seconds
POLL = 0.05  # seconds
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()"


@dataclass(frozen=True)
class Behind:
    """The real PostgreSQL as the networks see it."""

    postgres: PostgresServer
    host: str
    port: int

    def create_database(self) -> str:
        url = make_url(self.postgres.create_database()).set(host=self.host, port=self.port)
        return url.render_as_string(hide_password=False)


class PlacedApi(Api):
    """Listens where this machine can ask it."""

    address = ""

    def launch(self, listen: str = "") -> None:  # noqa: ARG002 - it has an address of its own
        super().launch(f"{self.address}:0")


class PlacedCluster(Cluster):
    """Each process in the network of its own; a zone's is named after it."""

    def __init__(self, folder: Path, behind: Behind, broker: Elsewhere, network: Network) -> None:
        settings = {"reachable_targets": "refuse", "plaintext": "tolerate"}
        super().__init__(folder, behind, broker, {LEFT: 1, RIGHT: 1}, **settings)  # type: ignore[arg-type]
        self.network = network
        self.api = PlacedApi(folder / "api", **self.settings)
        self.api.address, self.api.within = network.of("api"), network.within("api")

    def add_worker(self, zone: str) -> Worker:
        worker = super().add_worker(zone)
        worker.within = self.network.within(zone)
        return worker


@dataclass
class Account:
    """On a target, and what the engine calls it."""

    user: str
    box: Box
    credential: int

    def holds(self, secret: str) -> bool:
        return self.box.holds(self.user, secret)


@dataclass
class Site:
    cluster: PlacedCluster
    network: Network
    boxes: dict[str, Box]
    fakes: Fakes

    def add(self, user: str, zone: str, **fields: Any) -> Account:
        box = self.boxes[zone]
        new = {"name": f"{user}@box-{zone}", "secret": box.held(user)[0], **fields}
        made = int(self.fakes.ask("POST", "/credentials", new)["id"])
        enabled = self.fakes.ask("POST", f"/credentials/{made}/enable")["operation"]
        shown = self.fakes.ended(enabled)
        assert shown["state"] == "succeeded", shown
        return Account(user, box, made)

    def rotate(self, account: Account) -> int:
        return int(self.fakes.ask("POST", f"/credentials/{account.credential}/rotate")["operation"])

    def reveal(self, account: Account) -> str:
        path = f"/credentials/{account.credential}/reveal"
        return str(self.fakes.ask("POST", path, {"reason": "compared by a test"})["secret"])

    def changed(self, account: Account) -> None:
        """Asked for, ended well, proven, and what is revealed is what the target holds."""
        before = len(account.box.held(account.user))
        shown = self.fakes.ended(self.rotate(account))
        assert (shown["state"], shown["outcome"]) == ("succeeded", "ok"), shown
        assert len(account.box.held(account.user)) == before + 1
        assert account.holds(self.reveal(account))

    def connects(self, place: str, box: Box) -> bool:
        """Tried by a process in that network."""
        command = [*self.network.within(place), sys.executable, "-c", CONNECT, box.address, str(box.port)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def worker(self, zone: str) -> Worker:
        return next(each for each in self.cluster.workers if zone in each.data.name)

    @contextmanager
    def without_worker(self, zone: str) -> Iterator[None]:
        worker = self.worker(zone)
        assert worker.stop() == 0, worker.log()
        try:
            yield
        finally:
            worker.launch()
            worker.wait_until(worker.is_ready, "the worker did not come back")

    @contextmanager
    def database(self) -> Iterator[Database]:
        made = Database(self.cluster.database_url)
        yield made
        made.dispose()


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    require_peer("network namespaces", netns.available(), netns.HOW)
    with Network() as made:
        for place in ("api", LEFT, RIGHT, "targetleft", "targetright"):
            made.place(place)
        for zone in (LEFT, RIGHT):
            made.link(zone, f"target{zone}")
        yield made


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, network: Network, postgres: PostgresServer, redis: RedisServer
) -> Iterator[Site]:
    database, broker = Forwarder(network.address, postgres.port), Forwarder(network.address, redis.port)
    # Landlock knows ports: the targets' is the database's, so that only the network keeps the API from them.
    boxes = {zone: _target(network, zone, database.port) for zone in (LEFT, RIGHT)}
    behind = Behind(postgres, network.address, database.port)
    url = f"redis://default@{network.address}:{broker.port}/0"
    cluster = PlacedCluster(
        tmp_path_factory.mktemp("zones"), behind, Elsewhere(url, redis.password_file), network
    )
    try:
        with clusters.running(cluster):
            made = Site(cluster, network, boxes, Fakes(cluster.api, cluster.folder))
            for zone, box in boxes.items():
                _device(made, zone, box)
            yield made
    finally:
        for part in (*boxes.values(),):
            part.stop()
        database.close()
        broker.close()


def _target(network: Network, zone: str, port: int) -> Box:
    names = ("ann", "bob", "cat", "dan", "eve", "copy")
    accounts = [NewAccount(name, f"first-{name}-{zone}-0815") for name in names]
    boss = NewAccount(BOSS, "of-boss-everywhere-0815", sudoer=True)
    place = f"target{zone}"
    return Box([*accounts, boss], None, network.of(place), port, network.within(place))


def _device(site: Site, zone: str, box: Box) -> None:
    where = {"address": box.address, "ports": {"ssh": box.port}, "host_keys": [box.host_key]}
    site.fakes.ask("POST", "/devices", {"name": f"box-{zone}", "zone": zone, **where})


@pytest.fixture(scope="module")
def ann(site: Site) -> Account:
    return site.add("ann", LEFT)


@pytest.fixture(scope="module")
def bob(site: Site) -> Account:
    return site.add("bob", RIGHT)


@pytest.fixture(scope="module")
def boss(site: Site) -> Account:
    return site.add(BOSS, LEFT)


def test_the_worker_of_each_zone_changes_and_proves_a_password(
    site: Site, ann: Account, bob: Account
) -> None:
    site.changed(ann)
    site.changed(bob)


def test_a_network_reaches_the_targets_of_its_own_zone_and_the_api_s_reaches_none(site: Site) -> None:
    reached = {
        (place, zone): site.connects(place, site.boxes[zone])
        for place in ("api", LEFT, RIGHT)
        for zone in (LEFT, RIGHT)
    }
    assert {where for where, reaches in reached.items() if reaches} == {(LEFT, LEFT), (RIGHT, RIGHT)}


def test_the_real_keys_of_one_zone_open_nothing_of_the_other(site: Site, ann: Account, bob: Account) -> None:
    site.changed(bob)
    with site.database() as database:
        for zone, account in ((LEFT, bob), (RIGHT, ann)):
            other = RIGHT if zone == LEFT else LEFT
            keys = FileKeys(site.worker(zone).data / "keys")
            with pytest.raises(MissingKey):
                keys.private(other)
            tried = [*_versions(database, account), *_transcripts(database, account)]
            tried += _journaled(site.worker(other).data / "journal", database, account)
            assert len(tried) >= 4
            mine = keys.private(zone)
            for sealed, bound in tried:
                with pytest.raises(WrongKey):
                    open_bytes(sealed, mine, bound)
                claimed = bytes.fromhex(key_id(mine.public_key()))  # as if it had been sealed to this zone
                with pytest.raises(SealBroken):
                    open_bytes(sealed[:1] + claimed + sealed[1 + len(claimed) :], mine, bound)
            right = FileKeys(site.worker(other).data / "keys").private(other)
            assert all(open_bytes(sealed, right, bound) for sealed, bound in tried)


Sealed = tuple[bytes, Context]


def _versions(database: Database, account: Account) -> list[Sealed]:
    with database.reading() as connection:
        mine = secret_version.c.credential_id == account.credential
        numbers = connection.execute(select(secret_version.c.number).where(mine)).scalars().all()
        found = [sealed_version(connection, account.credential, number) for number in numbers]
    return [(bytes(each.sealed), each.context) for each in found if each is not None]


def _transcripts(database: Database, account: Account) -> list[Sealed]:
    with database.reading() as connection:
        ref = credential_ref(connection, account.credential)
        rows = connection.execute(
            select(attempt.c.transcript, attempt.c.epoch)
            .join(operation, operation.c.id == attempt.c.operation_id)
            .where(operation.c.credential_id == account.credential, attempt.c.transcript.is_not(None))
        )
        return [(bytes(sealed), ref.context(epoch, Purpose.TRANSCRIPT)) for sealed, epoch in rows]


def _journaled(directory: Path, database: Database, account: Account) -> list[Sealed]:
    with database.reading() as connection:
        ref = credential_ref(connection, account.credential)
    records = [each for each in read_all(directory).records if each.account == ref.account]
    return [(bytes(each.sealed), ref.context(each.version)) for each in records]


def test_the_api_s_directory_holds_no_key_and_its_process_opens_nothing(site: Site) -> None:
    assert list(site.cluster.api.data.rglob("*.key")) == []
    for zone in (LEFT, RIGHT):
        with pytest.raises(VaultError):
            FileKeys(site.cluster.api.data / "keys").private(zone)


def test_a_ring_put_into_another_zone_s_queue_does_nothing(
    site: Site, redis: RedisServer, ann: Account, bob: Account
) -> None:
    held = bob.box.held("bob")
    with site.without_worker(RIGHT):
        asked = site.rotate(bob)
        _ring_by_hand(site, redis, asked)
        site.changed(ann)
        site.cluster.api.wait_until(lambda: not _waiting(redis, LEFT), "the left one did not take it")
        shown = site.fakes.operation(asked)
        assert (shown["state"], shown["attempts"]) == ("scheduled", [])
        assert bob.box.held("bob") == held
    assert site.fakes.ended(asked)["state"] == "succeeded"
    assert bob.holds(site.reveal(bob))


def _ring_by_hand(site: Site, redis: RedisServer, operation_id: int) -> None:
    [(installation,)] = site.cluster.query("SELECT installation FROM engine_state")
    url = make_url(redis.url).set(password=redis.password_file.read_text().strip())
    app = make_app(url.render_as_string(hide_password=False), installation)
    register(app, lambda _: None, lambda _: None)
    bell = Bell(app, installation)
    bell.start()
    bell.ring(operation_id, LEFT)
    bell.stop()
    assert (bell.sent, bell.lost) == (1, 0)
    app.close()


def _waiting(redis: RedisServer, zone: str) -> int:
    return sum(number for name, number in redis.lengths().items() if f".{zone}." in name)


def test_a_secret_is_read_through_its_zone_s_worker_and_not_without_it(
    site: Site, ann: Account, bob: Account
) -> None:
    assert bob.holds(site.reveal(bob))
    with site.without_worker(RIGHT):
        answer = site.cluster.api.api("POST", f"/credentials/{bob.credential}/reveal", json={"reason": "now"})
        assert answer.status_code == 503
        assert "no worker of the zone answered" in answer.json()["detail"]
        assert ann.holds(site.reveal(ann)), "the other zone is as before"
    assert bob.holds(site.reveal(bob))


def test_an_administrator_of_one_zone_changes_an_account_in_the_other(site: Site, boss: Account) -> None:
    cat = site.add("cat", RIGHT, auth=f"{BOSS}@box-{LEFT}")
    site.changed(cat)
    assert _handed_over(site, boss) == [(1, True)]
    entries = site.cluster.query(
        "SELECT object FROM audit_entry WHERE action = 'secret.handed_over' AND operation_id IS NOT NULL"
    )
    assert (f"{BOSS}@box-{LEFT}",) in entries


def test_a_copy_in_the_other_zone_gets_the_secret_by_handover_and_is_proven(site: Site) -> None:
    dan = site.add("dan", LEFT)
    copy = site.add("copy", RIGHT, parent=f"dan@box-{LEFT}", link="same")
    site.changed(dan)
    until = time.monotonic() + PATIENCE
    while not copy.holds(site.reveal(dan)):
        assert time.monotonic() < until, site.cluster.logs()[-3000:]
        time.sleep(POLL)
    [asked] = [
        each["id"]
        for each in site.fakes.ask("GET", "/operations")
        if each["credential"] == f"copy@box-{RIGHT}" and each["action"] == "change_secret"
    ]
    assert (site.fakes.ended(asked)["state"], site.reveal(copy)) == ("succeeded", site.reveal(dan))
    assert _handed_over(site, dan) == [(2, True)]


def _handed_over(site: Site, account: Account) -> list[tuple[int, bool]]:
    with site.database() as database, database.reading() as connection:
        mine = select(handover.c.number, handover.c.sealed).where(
            handover.c.credential_id == account.credential
        )
        return [(number, sealed is not None) for number, sealed in connection.execute(mine)]


def test_what_is_handed_over_opens_in_the_zone_it_is_for_alone(site: Site) -> None:
    left, right = (FileKeys(site.worker(zone).data / "keys").private(zone) for zone in (LEFT, RIGHT))
    with site.database() as database, database.reading() as connection:
        rows = connection.execute(select(handover).where(handover.c.sealed.is_not(None))).all()
        bound = [
            credential_ref(connection, row.credential_id).context(row.number, Purpose.HANDOVER)
            for row in rows
        ]
    assert rows
    for row, context in zip(rows, bound, strict=True):
        sealed = bytes(row.sealed)
        assert len(sealed) > HEADER.size
        assert open_bytes(sealed, right, context)
        with pytest.raises(WrongKey):
            open_bytes(sealed, left, context)


@contextmanager
def api_stopped(site: Site) -> Iterator[None]:
    assert site.cluster.api.stop() == 0
    try:
        yield
    finally:
        site.cluster.api.start()


def _refused(site: Site) -> str:
    """What the API says that does not start. One sentence, and the exit code for it."""
    before = len(site.cluster.api.log())
    with pytest.raises(EngineFailed):
        site.cluster.api.start()
    assert site.cluster.api.process.wait(PATIENCE) == Exit.NOT_READY
    told = site.cluster.api.log()[before:]
    assert "Traceback" not in told
    return told


def test_the_api_does_not_start_where_it_could_open_secrets_or_reach_targets(site: Site) -> None:
    with api_stopped(site):
        keys = site.cluster.api.data / "keys"
        keys.mkdir(mode=0o700, exist_ok=True)
        stolen = keys / f"{RIGHT}.key"
        stolen.write_bytes((site.worker(RIGHT).data / "keys" / f"{RIGHT}.key").read_bytes())
        stolen.chmod(0o400)
        assert f"holds the private key of zone {RIGHT}" in _refused(site)
        stolen.unlink()
        site.network.link("api", "targetleft")
        assert site.connects("api", site.boxes[LEFT])
        assert "can reach 1 of the targets that it tried" in _refused(site)
        site.network.cut("api", 3)
        assert not site.connects("api", site.boxes[LEFT])


def test_after_all_that_both_zones_still_work(site: Site, ann: Account, bob: Account) -> None:
    site.changed(ann)
    site.changed(bob)
