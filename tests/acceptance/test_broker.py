"""The broker is a doorbell: whatever it says, loses or repeats, changes are made once and proven."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from engine.work.app import make_app
from engine.work.names import OPERATION_TASK, REVEAL_TASK, Urgency, queue, queues
from executors.fake.target import Behaviour
from tests.acceptance.cluster import Broker, Cluster, Elsewhere, Worker, running
from tests.acceptance.fakes import Fakes
from tests.peers import workdir
from tests.peers.postgres import PostgresServer
from tests.peers.rabbitmq import RabbitServer
from tests.peers.redis import RedisServer

PATIENCE = 60.0  # seconds
MIB = 1024 * 1024
GIANT = 6 * MIB  # bytes of one message
BOUND = 250 * MIB  # by which a worker may grow, whatever it is sent
SLOW = Behaviour(delay_before=1.0, delay_after=2.0)
HUGE = 2**80


@contextmanager
def engine(
    folder: Path, postgres: PostgresServer, broker: Broker, workers: int = 1, **settings: str
) -> Iterator[tuple[Cluster, Fakes]]:
    with running(Cluster(folder, postgres, broker, {"default": workers}, **settings)) as cluster:
        yield cluster, Fakes.among(cluster.api, folder)


@pytest.fixture(scope="module")
def rung(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer, redis: RedisServer
) -> Iterator[tuple[Cluster, Fakes]]:
    """One worker that hears Redis; its tick looks rarely, so that it is the bell that is answered."""
    with engine(tmp_path_factory.mktemp("broker") / "engine", postgres, redis, tick="5") as made:
        yield made


class Stranger:
    """Somebody who can write to the engine's broker."""

    def __init__(self, cluster: Cluster, redis: RedisServer) -> None:
        [(self._installation,)] = cluster.query("SELECT installation FROM engine_state")
        self._redis = redis
        self._app = stranger_s_app(redis, self._installation)

    def list(self) -> str:
        return f"keyturn.{self._installation}.{queue(self._installation, 'default', Urgency.NORMAL)}"

    def bytes(self, *items: bytes) -> None:
        with self._redis.client() as client:
            client.lpush(self.list(), *items)

    def task(self, name: str, *arguments: object, **options: Any) -> None:
        where = queue(self._installation, "default", Urgency.NORMAL)
        self._app.send_task(name, arguments, queue=where, **options)

    def heard_out(self) -> None:
        """Until nothing waits in any of the engine's queues."""
        names = [f"keyturn.{self._installation}.{name}" for name in queues(self._installation, "default")]
        until = time.monotonic() + PATIENCE
        while any(self._redis.lengths().get(name) for name in names):
            assert time.monotonic() < until, "messages are left unread"
            time.sleep(0.1)


def stranger_s_app(redis: RedisServer, installation: str) -> Celery:
    password = redis.password_file.read_text().strip()
    return make_app(f"redis://:{password}@{redis.host}:{redis.port}/0", installation)


@pytest.fixture
def stranger(rung: tuple[Cluster, Fakes], redis: RedisServer) -> Stranger:
    return Stranger(rung[0], redis)


@contextmanager
def unmoved(cluster: Cluster) -> Iterator[None]:
    """Nothing was run meanwhile, the same process is at work, and it has not grown beyond bounds."""
    [worker] = cluster.workers
    before, size = everything(cluster), memory(worker.process.pid)
    yield
    assert everything(cluster) == before
    assert worker.process.poll() is None, cluster.logs()[-2000:]
    assert memory(worker.process.pid) - size < BOUND


def everything(cluster: Cluster) -> list[Any]:
    tables = ("operation", "attempt", "transition", "secret_version", "reveal_request")
    rows = [cluster.query(f"SELECT * FROM {table} ORDER BY id") for table in tables]
    return [*rows, cluster.query("SELECT count(*) FROM audit_entry")]


def memory(pid: int) -> int:
    """Resident bytes: proc(5), second field of statm."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Trap:
    """Whoever unpickles it makes a directory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._path),)


GARBAGE = [
    b"",
    b"\x00\xff\xfe garbage",
    b"not json",
    b"[]",
    b"{}",
    b"null",
    b"12345",
    b'"text"',
    b"[" * 100_000,
    json.dumps({"body": "!!! no base64", "headers": {}, "properties": {}}).encode(),
    json.dumps({"body": {"a": 1}, "headers": None, "properties": {"delivery_info": []}}).encode(),
    json.dumps({"body": "e30=", "content-type": "application/json", "properties": {}}).encode(),
]


def test_bytes_that_are_no_message_change_nothing(rung: tuple[Cluster, Fakes], stranger: Stranger) -> None:
    cluster, fakes = rung
    account = fakes.account()
    for item in GARBAGE:
        with unmoved(cluster):
            stranger.bytes(item)
            stranger.heard_out()
    fakes.change(account)


def test_a_flood_of_garbage_ends_and_the_next_change_is_made(
    rung: tuple[Cluster, Fakes], stranger: Stranger
) -> None:
    cluster, fakes = rung
    account = fakes.account()
    with unmoved(cluster):
        stranger.bytes(*[b"\xffgarbage"] * 50)
        stranger.heard_out()
    fakes.change(account)


@pytest.mark.parametrize("serializer", ["pickle", "yaml"])
def test_a_message_in_another_format_is_not_even_decoded(
    rung: tuple[Cluster, Fakes], stranger: Stranger, tmp_path: Path, serializer: str
) -> None:
    cluster, fakes = rung
    account, trap = fakes.account(), tmp_path / "trapped"
    payload = Trap(trap) if serializer == "pickle" else "!!python/object/apply:os.mkdir"
    with unmoved(cluster):
        stranger.task(OPERATION_TASK, payload, serializer=serializer)
        stranger.heard_out()
    fakes.change(account)
    assert not trap.exists()


def test_an_unknown_task_is_not_run(rung: tuple[Cluster, Fakes], stranger: Stranger) -> None:
    cluster, fakes = rung
    account = fakes.account()
    with unmoved(cluster):
        for name in ("os.system", "celery.backend_cleanup", "keyturn.drop", "", "x" * 100_000):
            stranger.task(name, 1)
        stranger.heard_out()
    fakes.change(account)


NO_IDS: list[tuple[object, ...]] = [
    ("1; DROP TABLE operation",),
    ("1",),
    (-1,),
    (0,),
    (HUGE,),
    (2**31,),
    (1.5,),
    (None,),
    (True,),
    ([1],),
    ({"id": 1},),
    (),
    (1, 2, 3),
]


@pytest.mark.parametrize("task", [OPERATION_TASK, REVEAL_TASK])
def test_what_is_no_id_is_not_worked_on(rung: tuple[Cluster, Fakes], stranger: Stranger, task: str) -> None:
    cluster, fakes = rung
    account = fakes.account()
    with unmoved(cluster):
        for arguments in NO_IDS:
            stranger.task(task, *arguments)
        stranger.heard_out()
    fakes.change(account)


def test_a_ring_for_what_has_ended_or_is_nobody_s_changes_nothing(
    rung: tuple[Cluster, Fakes], stranger: Stranger
) -> None:
    cluster, fakes = rung
    account = fakes.account()
    done = fakes.change(account)["id"]
    sent = account.sent()
    with unmoved(cluster):
        for number in (done, done, 1_000_000):
            stranger.task(OPERATION_TASK, number)
            stranger.task(REVEAL_TASK, number)
        stranger.heard_out()
    fakes.change(account)
    assert account.sent()[:-1] == sent


def test_giant_messages_are_borne(rung: tuple[Cluster, Fakes], stranger: Stranger) -> None:
    cluster, fakes = rung
    account = fakes.account()
    with unmoved(cluster):
        for _ in range(5):
            stranger.task(OPERATION_TASK, "x" * GIANT)
            stranger.task("x", ["y" * 10] * (GIANT // 13))
            stranger.bytes(b"z" * GIANT)
        stranger.heard_out()
    fakes.change(account)


def test_a_ring_a_thousand_times_over_leads_to_one_change(
    rung: tuple[Cluster, Fakes], stranger: Stranger
) -> None:
    _, fakes = rung
    account = fakes.account(SLOW)
    asked = fakes.rotate(account)
    for _ in range(1000):
        stranger.task(OPERATION_TASK, asked)
    assert fakes.ended(asked)["state"] == "succeeded"
    stranger.heard_out()
    assert len(account.sent()) == 1
    assert len(fakes.operation(asked)["attempts"]) == 1


def test_a_ring_for_another_zone_is_not_answered(
    tmp_path: Path, postgres: PostgresServer, redis: RedisServer
) -> None:
    with running(Cluster(tmp_path / "engine", postgres, redis, {"default": 1, "far": 1})) as cluster:
        fakes = Fakes.among(cluster.api, tmp_path)
        account = fakes.account(zone="far")
        [far] = [worker for worker in cluster.workers if "far" in worker.data.name]
        far.kill()
        asked = fakes.rotate(account)
        stranger = Stranger(cluster, redis)
        for _ in range(5):
            stranger.task(OPERATION_TASK, asked)
        stranger.heard_out()
        assert fakes.operation(asked)["state"] == "scheduled"
        assert account.sent() == []
        far.start()
        assert fakes.ended(asked)["state"] == "succeeded"


def test_two_engines_on_one_broker_leave_each_other_alone(
    tmp_path: Path, postgres: PostgresServer, redis: RedisServer
) -> None:
    """Their operations have the same numbers."""
    with (
        engine(tmp_path / "one", postgres, redis) as (one, ours),
        engine(tmp_path / "two", postgres, redis) as (two, theirs),
    ):
        for _ in range(3):
            asked = [(fakes, fakes.rotate(fakes.account())) for fakes in (ours, theirs)]
            assert [fakes.ended(number)["state"] for fakes, number in asked] == ["succeeded"] * 2
        for cluster in (one, two):
            workers = {worker for (worker,) in cluster.query("SELECT DISTINCT worker FROM attempt")}
            assert workers == {cluster.workers[0].name}
        assert not redis.lengths()


def begun(cluster: Cluster, number: int) -> bool:
    """Whether something was sent for it."""
    sent = "SELECT 1 FROM audit_entry WHERE action = 'secret.sent' AND operation_id = %(which)s"
    return bool(cluster.query(sent, which=number))


def killed_in_the_middle(cluster: Cluster, fakes: Fakes) -> None:
    """A change whose worker is killed while the target is at it: taken over, proven, sent once."""
    account = fakes.account(SLOW)
    asked = fakes.rotate(account)
    until = time.monotonic() + PATIENCE
    while not begun(cluster, asked):
        assert time.monotonic() < until
        time.sleep(0.02)
    [worker] = cluster.workers
    worker.kill()
    worker.start()
    shown = fakes.ended(asked)
    assert (shown["state"], shown["outcome"]) == ("succeeded", "ok")
    assert len(shown["attempts"]) >= 2
    assert fakes.opens(account)
    assert len(set(account.sent())) == 1


@pytest.mark.parametrize("acknowledge", ["early", "late"])
def test_a_change_whose_worker_is_killed_is_taken_over_on_redis(
    tmp_path: Path, postgres: PostgresServer, redis: RedisServer, acknowledge: str
) -> None:
    with engine(tmp_path / "engine", postgres, redis, acknowledge=acknowledge) as (cluster, fakes):
        killed_in_the_middle(cluster, fakes)


@pytest.mark.parametrize("acknowledge", ["early", "late"])
def test_a_change_and_a_kill_on_rabbitmq(
    tmp_path: Path, postgres: PostgresServer, rabbitmq: RabbitServer, acknowledge: str
) -> None:
    with engine(tmp_path / "engine", postgres, rabbitmq, acknowledge=acknowledge) as (cluster, fakes):
        fakes.change(fakes.account())
        killed_in_the_middle(cluster, fakes)


def test_without_any_broker_changes_are_made(tmp_path: Path, postgres: PostgresServer) -> None:
    """Each worker looks into the database itself."""
    password = tmp_path / "password"
    password.write_text("none\n")
    nowhere = Elsewhere(f"redis://default@127.0.0.1:{workdir.free_port()}/0", password)
    with engine(tmp_path / "engine", postgres, nowhere, workers=2) as (cluster, fakes):
        accounts = [fakes.account() for _ in range(3)]
        asked = [fakes.rotate(account) for account in accounts]
        assert [fakes.ended(number)["state"] for number in asked] == ["succeeded"] * 3
        assert all(fakes.opens(account) for account in accounts)
        killed: Worker = cluster.workers[0]
        assert killed.stop() == 0


def test_a_broker_without_a_user_name_gets_its_password(
    tmp_path: Path, postgres: PostgresServer, redis: RedisServer
) -> None:
    """redis://HOST:PORT/0, as Redis is mostly set up: only a password."""
    plain = Elsewhere(f"redis://{redis.host}:{redis.port}/0", redis.password_file)
    with engine(tmp_path / "engine", postgres, plain) as (cluster, fakes):
        fakes.change(fakes.account())
        assert "Cannot connect" not in cluster.logs()


def test_a_worker_that_stops_for_a_moment_loses_no_operation(
    rung: tuple[Cluster, Fakes], redis: RedisServer
) -> None:
    """Stopped, and not ended: Redis may hand it a message that it never gets to read."""
    cluster, fakes = rung
    account = fakes.account()
    [worker] = cluster.workers
    worker.process.send_signal(signal.SIGSTOP)
    asked = fakes.rotate(account)
    time.sleep(1.0)
    worker.kill()
    redis.flush()
    worker.start()
    assert fakes.ended(asked)["state"] == "succeeded"
