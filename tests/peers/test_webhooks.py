"""Webhooks and callbacks to real HTTP and HTTPS servers, from both databases."""

from __future__ import annotations

import base64
import hmac
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from engine.record import deliveries, outbox, receivers
from engine.record.deliveries import Delivery, State
from engine.record.models import delivery, receiver
from engine.record.receivers import NewReceiver, Receiver
from engine.settings import Settings
from engine.store.database import Database
from engine.store.upgrade import upgrade
from engine.vault.keys import FileKeys
from engine.vault.sealing import seal
from engine.vault.signing import key_context, new_key
from engine.work.delivery import post
from engine.work.delivery.webhook import MAX_TRIES, deliver_webhooks, fan_out
from executors.contract import Secret
from tests.peers.webserver import Authority, Got, Handler, WebServer
from tests.peers.workdir import free_port

ZONE = "default"
RECEIVED = 64 * 1024  # bytes of an answer that are read


@dataclass
class Site:
    """An engine's database with receivers, and the workers that bring to them."""

    database: Database
    keys: FileKeys
    hosts: tuple[str, ...] = ()

    def deliver(self, owner: str = "box-1") -> None:
        settings = Settings(data=Path("unused"), callback_hosts=self.hosts)
        while deliver_webhooks(self.database, self.keys, ZONE, owner, settings):
            pass

    def add(self, url: str, name: str = "hook", **fields: Any) -> Secret:
        key = new_key()
        sealed = seal(key, self.keys.public(ZONE), key_context(name))
        new = NewReceiver(name, "webhook", ZONE, url, secret=sealed, **fields)
        with self.database.writing() as connection:
            receivers.add(connection, "ann", new)
        return key

    def happen(self, count: int = 1, *callbacks: str) -> None:
        with self.database.writing() as connection:
            for number in range(count):
                outbox.notice(
                    connection, "operation.failed", {"credential": f"s{number}@web1"}, number, callbacks
                )
            fan_out(connection, outbox.number(connection))

    def later(self) -> None:
        """All pauses are over."""
        with self.database.writing() as connection:
            connection.execute(update(delivery).values(due=0.0))
            connection.execute(update(receiver).values(due=0.0))

    def deliveries(self, state: State, name: str | None = "hook") -> list[Delivery]:
        with self.database.reading() as connection:
            return deliveries.find(connection, name, state, 1000)

    def receiver(self, name: str = "hook") -> Receiver:
        with self.database.reading() as connection:
            return receivers.get(connection, name)


@pytest.fixture(autouse=True)
def longest_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause that is over at once would be a second try within one call."""
    monkeypatch.setattr("random.uniform", lambda _, high: high)


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    url = f"sqlite:///{tmp_path}/keyturn.sqlite"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").create_database()
    database, keys = Database(url), FileKeys(tmp_path / "keys")
    upgrade(database)
    keys.create(ZONE)
    yield Site(database, keys)
    database.dispose()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@contextmanager
def serving(identity: Path | None = None, port: int = 0) -> Iterator[WebServer]:
    server = WebServer(identity, port)
    try:
        yield server
    finally:
        server.stop()


def ids(server: WebServer) -> list[str]:
    return [got.headers["webhook-id"] for got in server.got]


def verified(key: Secret, got: Got) -> bool:
    """As a receiver does it: docs/webhooks.md has the same lines."""
    raw = base64.b64decode(key.reveal().removeprefix("whsec_"))
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    expected = "v1," + base64.b64encode(hmac.digest(raw, signed, "sha256")).decode()
    return hmac.compare_digest(expected, got.headers["webhook-signature"])


# Bringing


def test_each_notice_is_brought_once_signed_over_tls(site: Site, authority: Authority) -> None:
    with serving(authority.identity()) as server:
        key = site.add(server.url("/hook?a=b"), options={"ca": authority.pem})
        site.happen(100)
        site.deliver()
        site.deliver()
    assert len(ids(server)) == len(set(ids(server))) == 100
    assert all(verified(key, got) for got in server.got)
    assert not any(verified(new_key(), got) for got in server.got)
    assert {got.path for got in server.got} == {"/hook?a=b"}
    assert {got.headers["content-type"] for got in server.got} == {
        "application/cloudevents+json; charset=utf-8"
    }
    events = [json.loads(got.body) for got in server.got]
    assert {event["data"]["sequence"] for event in events} == set(range(1, 101))
    assert [event["id"] for event in events] == ids(server)
    assert len(site.deliveries("delivered")) == 100
    assert server.connections < 10  # one serves many


def test_workers_at_once_bring_each_notice_once(site: Site) -> None:
    with serving() as one, serving() as other:
        site.add(one.url(), "one")
        site.add(other.url(), "other")
        site.happen(60)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(site.deliver, [f"box-{number}" for number in range(4)]))
    for server in (one, other):
        assert len(ids(server)) == len(set(ids(server))) == 60


def test_all_is_brought_once_the_endpoint_comes_back(site: Site) -> None:
    port = free_port()
    site.add(f"http://127.0.0.1:{port}/hook")
    site.happen(40)
    for _ in range(3):
        site.deliver()
        site.later()
    assert site.receiver().failures == 3
    assert "refused" in str(site.receiver().error)
    with serving(port=port) as server:
        site.deliver()
    assert len(set(ids(server))) == 40
    assert site.receiver().failures == 0


def test_a_retry_has_the_same_id_and_body_and_a_signature_of_its_own_time(site: Site) -> None:
    def second_time(handler: Handler, _: Got) -> None:
        handler.reply(500 if len(server.got) == 1 else 200)

    with serving() as server:
        server.answer = second_time
        key = site.add(server.url())
        site.happen()
        site.deliver()
        site.later()
        site.deliver()
    first, second = server.got
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    assert verified(key, first)
    assert verified(key, second)


def test_after_the_last_try_it_is_on_the_dead_letter_list_and_can_be_brought_again(site: Site) -> None:
    with serving() as server:
        server.answer = lambda handler, _: handler.reply(500)
        site.add(server.url())
        site.happen()
        for _ in range(MAX_TRIES):
            site.later()
            site.deliver()
        assert [each.error for each in site.deliveries("dead")] == ["it answered 500"]
        server.answer = lambda handler, _: handler.reply(202)
        with site.database.writing() as connection:
            assert deliveries.redeliver(connection, "ann", "hook") == 1
        site.deliver()
    assert len(site.deliveries("delivered")) == 1
    assert (len(server.got), len(set(ids(server)))) == (MAX_TRIES + 1, 1)


def test_receivers_come_and_go_while_notices_are_numbered_and_brought(site: Site) -> None:
    rounds, count = 15, 4

    def come_and_go(name: str) -> None:
        for _ in range(rounds):
            site.add(server.url(f"/{name}"), name)
            with site.database.writing() as connection:
                receivers.disable(connection, "ann", name)
            with site.database.writing() as connection:
                receivers.enable(connection, "ann", name)
            with site.database.writing() as connection:
                receivers.remove(connection, "ann", name)

    def happen(__: str) -> None:
        for _ in range(rounds):
            site.happen(count)

    def bring(owner: str) -> None:
        for _ in range(rounds):
            site.deliver(owner)

    with serving() as server:
        site.add(server.url("/stays"), "stays")
        with ThreadPoolExecutor(5) as pool:
            jobs = [(come_and_go, "a"), (come_and_go, "b"), (happen, ""), (bring, "box-1"), (bring, "box-2")]
            for done in [pool.submit(do, name) for do, name in jobs]:
                done.result()
        site.deliver()
    stays = [got.headers["webhook-id"] for got in server.got if got.path == "/stays"]
    assert len(stays) == len(set(stays)) == rounds * count


# What an endpoint may do


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(site: Site, status: int) -> None:
    with serving() as server, serving() as elsewhere:
        server.answer = lambda handler, _: handler.reply(status, Location=elsewhere.url())
        site.add(server.url())
        site.happen()
        site.deliver()
        assert elsewhere.got == []
    [waiting] = site.deliveries("waiting")
    assert str(status) in str(waiting.error)


def endless(handler: Handler, _: Got) -> None:
    """Until the other side hangs up."""
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.stopping.is_set():
        handler.wfile.write(b"x" * 65536)


def huge(handler: Handler, _: Got) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(2**40))
    handler.end_headers()
    while not handler.server.stopping.is_set():
        handler.wfile.write(b"x" * 65536)


@pytest.mark.parametrize("answer", [endless, huge])
def test_a_huge_answer_is_not_read(site: Site, answer: Callable[[Handler, Got], None]) -> None:
    with serving() as server:
        server.answer = answer
        site.add(server.url())
        site.happen(2)
        site.deliver()
    assert len(site.deliveries("delivered")) == 2


def dripping(handler: Handler, _: Got) -> None:
    """A header line that never ends, a byte at a time."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not handler.server.stopping.wait(0.02):
        handler.wfile.write(b"x")


def silent(handler: Handler, _: Got) -> None:
    handler.server.stopping.wait()


def nonsense(handler: Handler, _: Got) -> None:
    handler.wfile.write(b"\x16\x03\x01 c4n4ry \r\n\r\n")
    handler.close_connection = True


def hanging_up(handler: Handler, _: Got) -> None:
    handler.close_connection = True


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (dripping, "no answer within"),
        (silent, "timed out"),
        (nonsense, "BadStatusLine"),
        (hanging_up, "RemoteDisconnected"),
    ],
)
def test_what_is_no_answer_is_an_outage(
    site: Site, monkeypatch: pytest.MonkeyPatch, answer: Callable[[Handler, Got], None], error: str
) -> None:
    monkeypatch.setattr(post, "READ", 0.5)
    monkeypatch.setattr(post, "WHOLE", 1.0)
    with serving() as server:
        server.answer = answer
        site.add(server.url())
        site.happen()
        site.deliver()
    shown = site.receiver()
    assert shown.failures == 1
    assert error in str(shown.error)
    assert "c4n4ry" not in str(shown.error)


def test_a_hanging_endpoint_holds_up_nobody(site: Site) -> None:
    """It hangs until all others have got everything."""
    others = threading.Event()

    def hang(handler: Handler, _: Got) -> None:
        assert others.wait(post.READ)
        handler.reply(200)

    def last(handler: Handler, _: Got) -> None:
        handler.reply(200)
        if len(prompt.got) == 50:
            others.set()

    with serving() as hanging, serving() as prompt:
        hanging.answer, prompt.answer = hang, last
        site.add(hanging.url(), "hanging")
        site.add(prompt.url(), "prompt")
        site.happen(50)
        site.deliver()
    assert len(prompt.got) == len(hanging.got) == 50


# Who it is


@pytest.mark.parametrize("ca", ["none", "another"])
def test_a_certificate_that_nobody_vouches_for_gets_nothing(
    site: Site, authority: Authority, ca: str
) -> None:
    options = {} if ca == "none" else {"ca": Authority(authority.folder).pem}
    with serving(authority.identity()) as server:
        site.add(server.url(), options=options)
        site.happen()
        site.deliver()
        assert server.got == []
    assert "certificate is not trusted" in str(site.receiver().error)


def test_a_certificate_of_another_name_gets_nothing(site: Site, authority: Authority) -> None:
    with serving(authority.identity("other.example")) as server:
        site.add(server.url(), options={"ca": authority.pem})
        site.happen()
        site.deliver()
        assert server.got == []
    assert "certificate is not trusted" in str(site.receiver().error)


def test_the_certificate_is_checked_against_the_name_and_not_the_address(
    site: Site, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(authority.identity("hook.example")) as server:
        resolves_to(monkeypatch, "127.0.0.1", server.port)
        site.add(server.url(host="hook.example"), options={"ca": authority.pem})
        site.happen()
        site.deliver()
    [got] = server.got
    assert got.headers["host"] == f"hook.example:{server.port}"


def test_proxies_of_the_environment_see_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as server, serving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setitem(os.environ, name, proxy.url(""))
        site.add(server.url())
        site.happen()
        site.deliver()
        assert (len(server.got), proxy.connections) == (1, 0)


# Callbacks


def resolves_to(monkeypatch: pytest.MonkeyPatch, address: str, port: int) -> list[str]:
    """Every name leads to `address`; returns the names that were asked for."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def answer(host: str, *rest: Any, **more: Any) -> Any:
        if host.endswith(".example"):
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


def test_a_callback_to_a_listed_address_is_brought_unsigned(site: Site) -> None:
    site.hosts = ("127.0.0.1",)
    with serving() as server:
        site.happen(3, server.url("/ticket?id=7"))
        site.deliver()
    assert len(set(ids(server))) == 3
    assert {got.path for got in server.got} == {"/ticket?id=7"}
    assert not any("webhook-signature" in got.headers for got in server.got)


def test_a_callback_to_an_unlisted_host_is_refused(site: Site) -> None:
    site.hosts = ("tickets.example",)
    with serving() as server:
        site.happen(1, server.url())
        site.deliver()
        assert server.connections == 0
    [dead] = site.deliveries("dead", None)
    assert "callback_hosts" in str(dead.error)


def test_a_callback_to_a_name_that_resolves_to_loopback_is_refused(
    site: Site, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.hosts = ("tickets.example",)
    with serving(authority.identity("tickets.example")) as server:
        asked = resolves_to(monkeypatch, "127.0.0.1", server.port)
        site.happen(1, server.url(host="tickets.example"))
        site.deliver()
        assert server.connections == 0
    [dead] = site.deliveries("dead", None)
    assert "loopback" in str(dead.error)
    assert asked == ["tickets.example"]


def test_a_name_is_resolved_once_and_what_was_checked_is_called(
    site: Site, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver that answers well at first and badly afterwards (DNS rebinding) gains nothing."""
    with serving(authority.identity("hook.example")) as server:
        asked = resolves_to(monkeypatch, "127.0.0.1", server.port)
        site.add(server.url(host="hook.example"), options={"ca": authority.pem})
        server.answer = lambda handler, _: handler.reply(200, Connection="close")
        site.happen(3)
        site.deliver()
    assert len(server.got) == 3
    assert asked == ["hook.example"]


def test_what_a_worker_had_in_hand_when_it_was_lost_is_brought_again_under_the_same_id(site: Site) -> None:
    with serving() as server:
        site.add(server.url())
        site.happen()
        site.deliver()
        with site.database.writing() as connection:  # as if it had been killed before it could settle
            lost = {"state": "waiting", "tries": 0, "finished": None, "lease_owner": "gone"}
            connection.execute(update(delivery).values(**lost, lease_until=9e9))
        site.deliver("box-2")
        assert len(server.got) == 1
        with site.database.writing() as connection:
            connection.execute(update(delivery).values(lease_until=1.0))
        site.deliver("box-2")
    assert (len(server.got), len(set(ids(server)))) == (2, 1)
    with site.database.reading() as connection:
        assert connection.scalars(select(delivery.c.state)).all() == ["delivered"]
