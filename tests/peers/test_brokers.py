"""The brokers and the recording proxy themselves: what the other tests believe about them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis as client_library
from amqp.exceptions import AccessRefused

from tests.peers import rabbitmq as rabbitmq_peer
from tests.peers import redis as redis_peer
from tests.peers import workdir
from tests.peers.proxy import RecordingProxy
from tests.peers.rabbitmq import RabbitServer
from tests.peers.redis import RedisServer


def test_a_flush_and_a_kill_of_redis_each_forget_every_message(redis: RedisServer) -> None:
    for forget in (redis.flush, redis.restart):
        with redis.client() as client:
            client.rpush("a-queue", "one", "two")
        assert redis.lengths() == {"a-queue": 2}
        forget()
        assert redis.lengths() == {}


def test_redis_asks_for_its_password(redis: RedisServer) -> None:
    with client_library.Redis(redis.host, redis.port) as stranger, pytest.raises(client_library.RedisError):
        stranger.ping()
    assert redis.password_file.stat().st_mode & 0o077 == 0
    assert redis.password_file.read_text().strip() not in redis.url


def test_rabbitmq_keeps_a_message_until_it_is_acknowledged(rabbitmq: RabbitServer) -> None:
    with rabbitmq.connection() as connection, contextlib.closing(connection.SimpleQueue("kept")) as queue:
        queue.put({"id": 1})
        assert queue.get(timeout=10).decode() == {"id": 1}
    with rabbitmq.connection() as connection, contextlib.closing(connection.SimpleQueue("kept")) as queue:
        message = queue.get(timeout=10)
        assert message.decode() == {"id": 1}
        message.ack()


def test_rabbitmq_asks_for_its_password(rabbitmq: RabbitServer) -> None:
    with rabbitmq.connection() as stranger:
        stranger.password = "guessed"
        with pytest.raises(AccessRefused):
            stranger.connect()
    assert rabbitmq.password_file.stat().st_mode & 0o077 == 0


def test_nothing_of_rabbitmq_runs_as_root(rabbitmq: RabbitServer) -> None:
    owners = [Path(f"/proc/{pid}").stat().st_uid for pid in rabbitmq.pids]
    assert len(owners) == 2
    assert all(owners) or os.geteuid() != 0


def test_the_proxy_keeps_what_passes_in_both_directions(redis: RedisServer) -> None:
    proxy = RecordingProxy(redis.host, redis.port)
    password = redis.password_file.read_text().strip()
    with client_library.Redis("127.0.0.1", proxy.port, password=password) as client:
        client.set("sent", "there")
        assert client.get("sent") == b"there"
        there, back = proxy.recorded()
        assert b"there" in there
        assert b"there" in back
        proxy.close()
        with pytest.raises(client_library.ConnectionError):
            client.ping()


ABANDONED = """
import os, sys
from tests.peers.redis import RedisServer
server = RedisServer()
print(server.pid, server._dir, flush=True)
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_test_run_left_is_cleared_away(redis: RedisServer) -> None:
    left = subprocess.run([sys.executable, "-c", ABANDONED], capture_output=True, text=True, check=False)
    assert left.returncode == -signal.SIGKILL
    pid, folder = left.stdout.split()
    assert workdir.alive(int(pid))
    redis_peer.clear_abandoned()
    rabbitmq_peer.clear_abandoned()
    assert not workdir.alive(int(pid))
    assert not Path(folder).exists()
