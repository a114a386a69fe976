"""Notices on their way to real syslog servers: outages, restarts, lies, slowness."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, insert, select, update

from engine.catalog.zones import ensure_zone
from engine.record import outbox, receivers
from engine.record.models import outbox as outbox_table
from engine.record.models import receiver
from engine.record.receivers import NewReceiver
from engine.record.syslog import SD_ID
from engine.settings import Settings
from engine.store.clock import now
from engine.store.database import Database
from engine.store.models import duty
from engine.store.upgrade import upgrade
from engine.vault.keys import FileKeys
from engine.work.delivery import lines
from engine.work.delivery import syslog as delivering
from engine.work.delivery.courier import Courier
from tests.peers.availability import require_peer
from tests.peers.syslog import HOW, Rsyslog, SyslogNg, SyslogServer
from tests.peers.webserver import Authority
from tests.syslog_reader import read_cef, read_frames, read_rfc5424

PATIENCE = 90.0  # seconds for what must happen at last
GRACE = 1.5
PAUSE = 0.05
# `make faults` waits as long as an outage really lasts; otherwise what ten minutes do is written to the row.
OUTAGE = 60.0 * float(os.environ.get("OUTAGE_MINUTES", "0"))
SERVERS: dict[str, type[Rsyslog | SyslogNg]] = {"rsyslog": Rsyslog, "syslog-ng": SyslogNg}


class Site:
    """A database with one receiver, and couriers that serve it."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.database = Database(url or f"sqlite:///{folder / 'keyturn.sqlite'}")
        self.settings = Settings(data=folder, heartbeat=1e6)
        self.keys = FileKeys(folder / "keys")
        self.public = self.keys.create("default").public_bytes_raw()
        self.couriers: list[Courier] = []
        upgrade(self.database)
        with self.database.writing() as connection:
            ensure_zone(connection, "ann", "default", self.public)
            for name in ("heartbeat", "checkpoint"):  # these come when they are due, and tests count
                connection.execute(insert(duty).values(name=name, done=now()))

    def courier(self, owner: str = "worker-1") -> Courier:
        made = Courier(self.database, self.keys, "default", owner, self.settings, PAUSE)
        self.couriers.append(made)
        made.start()
        return made

    def add(self, url: str, **more: Any) -> None:
        with self.database.writing() as connection:
            receivers.add(connection, "ann", NewReceiver("siem", "syslog", "default", url, **more))

    def write(self, count: int) -> None:
        """Each in a transaction of its own, as operations write them."""
        for number in range(count):
            with self.database.writing() as connection:
                outbox.notice(connection, "zone.without_worker", {"zone": f'"{number}" ]\\ ä\n'})

    def row(self) -> Row[*tuple[Any, ...]]:
        with self.database.reading() as connection:
            return connection.execute(select(receiver)).one()

    def set(self, **values: Any) -> None:
        with self.database.writing() as connection:
            connection.execute(update(receiver).values(**values))

    def numbers(self) -> list[int]:
        with self.database.reading() as connection:
            known = select(outbox_table.c.sequence).where(outbox_table.c.sequence.is_not(None))
            return sorted(n for n in connection.execute(known).scalars() if n is not None)

    def stop(self) -> None:
        for courier in self.couriers:
            courier.stop()
        self.database.dispose()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(delivering, "GRACE", GRACE)
    monkeypatch.setattr(delivering, "LONGEST_WAIT", 0.5)
    made = Site(tmp_path)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def started(name: str, authority: Authority) -> SyslogServer:
    kind = SERVERS[name]
    require_peer(name, kind.available(), HOW)
    return kind(authority)


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, authority: Authority) -> Iterator[SyslogServer]:
    made = started(request.param, authority)
    yield made
    made.remove()


@pytest.fixture
def rsyslog(authority: Authority) -> Iterator[SyslogServer]:
    made = started("rsyslog", authority)
    yield made
    made.remove()


def until(what: Callable[[], object], patience: float = PATIENCE) -> None:
    end = time.monotonic() + patience
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def firsts(sequences: Sequence[int]) -> list[int]:
    """Without duplicates, in the order of first arrival: what a receiver makes of at least once."""
    return list(dict.fromkeys(sequences))


def has(server: SyslogServer, count: int) -> bool:
    return len({each.sequence for each in server.arrived()}) >= count


def ten_minutes_pass(site: Site) -> None:
    """The receiver stays unreachable, the waiting times grow as they do, and then one is over."""
    until(lambda: site.row().failures >= 2)
    if OUTAGE:
        time.sleep(OUTAGE)
        return
    site.set(failures=14, due=now() + 60)
    time.sleep(2 * PAUSE)
    site.set(due=now())
    until(lambda: site.row().failures >= 15)


def test_after_an_outage_with_two_restarts_everything_is_there_in_order(
    site: Site, server: SyslogServer, authority: Authority
) -> None:
    site.add(server.url(), options={"ca": authority.pem})
    site.courier()
    site.write(100)
    until(lambda: has(server, 100))
    server.stop()
    site.write(100)
    ten_minutes_pass(site)
    assert "cannot be reached" in site.row().error or "broke" in site.row().error
    server.start()
    site.set(due=now())
    site.write(40)
    until(lambda: has(server, 150))
    server.stop(signal.SIGKILL)
    site.write(60)
    until(lambda: site.row().failures > 0 or site.row().error)
    server.start()
    site.set(due=now())
    site.write(20)
    until(lambda: len(site.numbers()) >= 320 and site.row().settled == site.numbers()[-1])
    arrived = server.arrived()
    assert firsts([each.sequence for each in arrived]) == site.numbers()
    assert len(arrived) > len(site.numbers()), "what was not settled was sent again"
    assert site.row().failures == 0
    assert site.row().error is None
    assert site.numbers() == list(range(1, len(site.numbers()) + 1))
    fields = arrived[0].fields
    assert fields["zone"] == '"0" ]\\ ä␊'
    assert arrived[0].kind == "zone.without_worker"
    assert arrived[0].text == f"zone {fields['zone']} has no worker: nothing is done in it"


@pytest.mark.parametrize("scheme", ["tcp", "udp"])
def test_without_tls_it_arrives_too(site: Site, rsyslog: SyslogServer, scheme: str) -> None:
    site.add(rsyslog.url(scheme))
    site.courier()
    site.write(20)
    until(lambda: has(rsyslog, 20))
    assert firsts([each.sequence for each in rsyslog.arrived()]) == list(range(1, 21))
    until(lambda: site.row().settled == 20)


def test_syslog_ng_takes_tcp_too(site: Site, authority: Authority) -> None:
    server = started("syslog-ng", authority)
    try:
        site.add(server.url("tcp"))
        site.courier()
        site.write(20)
        until(lambda: has(server, 20))
    finally:
        server.remove()


def test_rsyslogs_own_parser_takes_cef_apart(site: Site, rsyslog: SyslogServer) -> None:
    site.add(f"tcp://127.0.0.1:{rsyslog.ports['cef']}", format="cef")
    site.courier()
    site.write(3)
    until(lambda: len(list(rsyslog.lines())) == 3)
    for number, line in enumerate(rsyslog.lines(), 1):
        event = line["cef"]["f"]
        assert event["DeviceProduct"] == "keyturn"
        assert event["SignatureID"] == "510"
        assert event["Extensions"]["externalId"] == str(number)
        assert event["Extensions"]["keyturnZone"] == f'"{number - 1}" ]\\ ä\n'


def test_a_certificate_of_another_authority_is_refused_and_said_so(
    site: Site, rsyslog: SyslogServer, tmp_path: Path
) -> None:
    site.add(rsyslog.url(), options={"ca": Authority(tmp_path).pem})
    site.courier()
    site.write(1)
    until(lambda: site.row().failures)
    assert "certificate" in site.row().error
    assert "give the receiver the CA" in site.row().error
    assert rsyslog.arrived() == []


def test_a_certificate_for_another_name_is_refused(site: Site, authority: Authority) -> None:
    with Double(authority.identity("elsewhere.example")) as double:
        site.add(double.url(), options={"ca": authority.pem})
        site.courier()
        site.write(1)
        until(lambda: site.row().failures)
        assert "127.0.0.1" in site.row().error
        assert double.got() == []


def test_a_port_without_tls_is_told_apart(site: Site, rsyslog: SyslogServer, authority: Authority) -> None:
    site.add(f"tls://127.0.0.1:{rsyslog.ports['tcp']}", options={"ca": authority.pem})
    monkey = pytest.MonkeyPatch()
    monkey.setattr(lines, "CONNECT", 1.0)  # rsyslog waits for a line that does not come
    site.courier()
    site.write(1)
    until(lambda: site.row().failures)
    monkey.undo()
    assert "is this its TLS port?" in site.row().error


@pytest.mark.parametrize("encrypted", [False, True], ids=["tcp", "tls"])
def test_a_server_that_accepts_and_closes_gets_everything_when_it_stops_that(
    site: Site, authority: Authority, encrypted: bool
) -> None:
    with Double(authority.identity() if encrypted else None) as double:
        double.closes = True
        site.add(double.url(), options={"ca": authority.pem} if encrypted else {})
        site.courier()
        site.write(50)
        until(lambda: site.row().failures >= 3)
        assert site.row().settled == 0
        assert "closed" in site.row().error or "broke" in site.row().error
        double.forget()
        double.closes = False
        site.set(due=now())
        until(lambda: site.row().settled >= 50)
        assert firsts(double.got()) == site.numbers()[: len(firsts(double.got()))]
        assert len(firsts(double.got())) >= 50


@pytest.mark.parametrize("encrypted", [False, True], ids=["tcp", "tls"])
def test_a_slow_server_gets_everything_over_one_connection(
    site: Site, authority: Authority, encrypted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "SLICE", 0.1)
    with Double(authority.identity() if encrypted else None) as double:
        double.slow = True
        site.add(double.url(), options={"ca": authority.pem} if encrypted else {})
        with site.database.writing() as connection:
            for number in range(1000):
                outbox.notice(connection, "zone.without_worker", {"zone": f"{number} " + "x" * 500})
        site.courier()
        until(lambda: site.row().settled >= 1000 and len(double.got()) >= 1000)
        assert double.got() == list(range(1, 1001))
        assert double.connections == 1


def test_a_receiver_that_takes_nothing_holds_up_no_other(
    site: Site, rsyslog: SyslogServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "STALLED", 1.0)
    monkeypatch.setattr(delivering, "SLICE", 0.3)
    with Double(None) as double:
        double.deaf = True
        site.add(double.url())
        with site.database.writing() as connection:
            other = NewReceiver("other", "syslog", "default", rsyslog.url("tcp"))
            receivers.add(connection, "ann", other)
            for _ in range(500):
                outbox.notice(connection, "zone.without_worker", {"zone": "x" * 3000})
        site.courier()
        until(lambda: has(rsyslog, 500))
        deaf = select(receiver.c.error).where(receiver.c.name == "siem")

        def given_up() -> bool:
            with site.database.reading() as connection:
                return "took nothing" in (connection.execute(deaf).scalar() or "")

        until(given_up)


@pytest.mark.parametrize("on", ["sqlite", "postgresql"])
def test_two_workers_deliver_once_and_the_other_goes_on(
    on: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "GRACE", GRACE)
    url = request.getfixturevalue("postgres").create_database() if on == "postgresql" else None
    site = Site(tmp_path, url)
    with Double(None) as double:
        site.add(double.url())
        first, _ = site.courier("worker-1"), site.courier("worker-2")
        site.write(50)
        until(lambda: site.row().settled >= 50)
        assert double.got() == list(range(1, 51))
        first.stop()
        site.write(50)
        until(lambda: site.row().settled >= 100)
        assert firsts(double.got()) == list(range(1, 101))
        site.stop()


class Double:
    """A syslog server that does as a test says: closes after a first look, reads slowly or not at all."""

    def __init__(self, identity: Path | None) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if identity else None
        if self._context is not None and identity is not None:
            self._context.load_cert_chain(identity)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        self._listener.settimeout(0.05)
        self._stopping = threading.Event()
        self._streams: list[bytearray] = []
        self._threads = [threading.Thread(target=self._accept)]
        self.closes = self.slow = self.deaf = False
        self.connections = 0

    def __enter__(self) -> Double:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def url(self) -> str:
        return f"{'tls' if self._context else 'tcp'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def got(self) -> list[int]:
        found = []
        for stream in list(self._streams):
            messages, _ = read_frames(bytes(stream))
            found += [int(read_rfc5424(message).data[SD_ID]["seq"]) for message in messages]
        return found

    def forget(self) -> None:
        self._streams.clear()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                plain, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(plain,)))
                self._threads[-1].start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), plain:
            plain.settimeout(5)
            wrapped = self._context.wrap_socket(plain, server_side=True) if self._context else plain
            with wrapped as peer:
                self.connections += 1
                self._streams.append(stream := bytearray())
                self._read(peer, stream)

    def _read(self, peer: socket.socket, stream: bytearray) -> None:
        peer.settimeout(0.05)
        while not self._stopping.is_set():
            if self.deaf:
                time.sleep(0.05)
                continue
            with contextlib.suppress(TimeoutError):
                data = peer.recv(8192)
                stream.extend(data)
                if not data or self.closes:
                    return
                if self.slow:
                    time.sleep(0.01)


def test_the_messages_of_cef_are_as_defined_on_the_wire(site: Site) -> None:
    with Double(None) as double:
        site.add(double.url(), format="cef", options={"facility": 10, "max_bytes": 1024})
        site.courier()
        site.write(5)
        until(lambda: site.row().settled >= 5)
        messages, left = read_frames(bytes(double._streams[0]))
        assert left == b""
        read = [read_rfc5424(message) for message in messages]
        assert [read_cef(each.text).extension["externalId"] for each in read] == ["1", "2", "3", "4", "5"]
        assert {each.priority for each in read} == {10 * 8 + 2}
