"""What a process exports, and what it never does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import generate_latest
from sqlalchemy import text

from engine.catalog.states import Action
from engine.operations import figures
from engine.operations.states import OperationState
from engine.settings import Settings
from engine.store.database import Database
from engine.work import gauges, metrics_server
from engine.work.gauges import GAUGES, FiguresCollector
from engine.work.metrics import Metrics
from engine.work.metrics_server import BadMetricsAddress, MetricsServer
from executors.contract import Outcome
from tests.exported import families, metrics_of
from tests.unit.operations.room import Room
from tests.write_metrics_page import PAGE, page

# What may be a label: things that people name are zones and receivers only.
ALLOWED = {
    "action",
    "duty",
    "executor",
    "kind",
    "le",
    "outcome",
    "python_version",
    "receiver",
    "result",
    "schema",
    "state",
    "version",
    "volume",
    "zone",
}


@pytest.fixture
def metrics(room: Room) -> Metrics:
    return metrics_of(room)


def exported(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


def test_an_attempt_is_counted_once_by_what_it_was_and_how_it_ended() -> None:
    metrics = Metrics("north")
    metrics.attempt_ended("ssh", Action.CHANGE_SECRET, Outcome.TIMEOUT, OperationState.IN_DOUBT, 3.0)
    metrics.attempt_ended("ssh", Action.CHANGE_SECRET, Outcome.OK, OperationState.SUCCEEDED, 3.0)
    metrics.attempt_ended("ssh", Action.VERIFY, Outcome.UNKNOWN, None, 3.0)
    value = metrics.registry.get_sample_value
    kind = {"executor": "ssh", "action": "change_secret", "zone": "north"}
    assert value("keyturn_attempts_total", {**kind, "outcome": "timeout"}) == 1
    assert value("keyturn_attempts_total", {**kind, "outcome": "ok"}) == 1
    assert value("keyturn_operations_total", {"action": "change_secret", "state": "in_doubt"}) == 1
    assert value("keyturn_operations_total", {"action": "verify", "state": "succeeded"}) is None
    ended = {"executor": "ssh", "action": "change_secret"}
    assert value("keyturn_operation_duration_seconds_count", ended) == 1
    assert value("keyturn_operation_duration_seconds_sum", ended) == 3.0


def test_two_processes_in_one_count_apart() -> None:
    one, other = Metrics("a"), Metrics("b")
    one.claim_refused()
    one.child_started()
    assert one.registry.get_sample_value("keyturn_claims_refused_total") == 1
    assert other.registry.get_sample_value("keyturn_claims_refused_total") == 0
    assert other.registry.get_sample_value("keyturn_children_total") == 0


def test_a_process_without_bell_and_tick_says_nothing_about_them() -> None:
    text_of = exported(Metrics())
    assert "keyturn_rings_total" not in text_of
    assert "keyturn_tick_age_seconds" not in text_of
    assert "keyturn_build_info" in text_of


def test_every_metric_has_help_and_none_names_who_or_what_was_changed(metrics: Metrics) -> None:
    found = [each for each in families(metrics) if each.name.startswith("keyturn_")]
    assert len(found) > len(GAUGES)
    for each in found:
        assert each.told.endswith("."), each.name
        assert each.labels <= ALLOWED, each.name
    assert "ann" not in exported(metrics)
    assert "box" not in exported(metrics)


def test_all_figures_are_exported(metrics: Metrics) -> None:
    assert {gauge.name for gauge in GAUGES} <= {each.name for each in families(metrics)}


def test_the_page_about_metrics_is_current(metrics: Metrics) -> None:
    told = page(families(metrics))
    assert PAGE.read_text() == told, "write it anew: .venv/bin/python -m tests.write_metrics_page"


def away(tmp_path: Path) -> Database:
    (tmp_path / "not").write_bytes(b"a database, this is not; " * 100)
    return Database(f"sqlite:///{tmp_path / 'not'}")


def of(database: Database, folder: Path) -> Metrics:
    made = Metrics()
    made.registry.register(FiguresCollector(database, Settings(data=folder)))
    return made


def test_a_database_that_is_away_is_one_figure_and_no_error(tmp_path: Path) -> None:
    database = away(tmp_path)
    told = exported(of(database, tmp_path))
    database.dispose()
    assert "keyturn_database_up 0.0" in told
    assert "keyturn_operations_unfinished" not in told
    assert "keyturn_volume_free_bytes{" in told


def test_a_schema_that_is_not_ours_is_no_error(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'other.sqlite'}")
    with database.writing() as connection:
        connection.execute(text("CREATE TABLE engine_state (id INTEGER)"))
    assert "keyturn_database_up 0.0" in exported(of(database, tmp_path))
    database.dispose()


def test_figures_are_read_once_for_all_who_ask_within_seconds(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[float] = []
    real = figures.read

    def read(*arguments: Any) -> figures.Figures:
        reads.append(1.0)
        return real(*arguments)

    monkeypatch.setattr(figures, "read", read)
    monkeypatch.setattr(gauges, "FRESH", 1000.0)
    metrics = of(room.database, room.folder)
    metrics_again = exported(metrics)
    assert "keyturn_database_up 1.0" in metrics_again
    exported(metrics)
    assert len(reads) == 1
    monkeypatch.setattr(gauges, "FRESH", 0.0)
    exported(metrics)
    assert len(reads) == 2


def test_a_database_that_hangs_holds_up_nobody_who_asks(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()
    asked: list[int] = []
    real = figures.read

    def hang(*arguments: Any) -> figures.Figures:
        asked.append(1)
        goes_on.wait(60)
        return real(*arguments)

    monkeypatch.setattr(figures, "read", hang)
    monkeypatch.setattr(gauges, "PATIENCE", 0.05)
    metrics = of(room.database, room.folder)
    assert "keyturn_database_up 0.0" in exported(metrics)
    assert "keyturn_database_up 0.0" in exported(metrics)
    assert len(asked) == 1  # one thread hangs, however many ask
    monkeypatch.setattr(gauges, "PATIENCE", 60.0)
    goes_on.set()
    assert "keyturn_database_up 1.0" in exported(metrics)


# The listener, without its sockets


@pytest.mark.parametrize(
    "address", ["", "9470", ":9470", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "[::1]"]
)
def test_an_address_that_is_none_is_refused_with_what_to_write(address: str) -> None:
    with pytest.raises(BadMetricsAddress, match="write HOST:PORT"):
        MetricsServer(address, Metrics().registry, list)


class Request:
    """A connection that has said `sent`."""

    def __init__(self, sent: bytes) -> None:
        self._sent = sent
        self.answer = b""

    def settimeout(self, _: float) -> None: ...

    def makefile(self, _: str, __: int) -> BytesIO:
        return BytesIO(self._sent)

    def sendall(self, data: bytes) -> None:
        self.answer += data


def asked(sent: bytes, wrong: list[str] | None = None) -> tuple[int, bytes]:
    request: Any = Request(sent)
    server: Any = SimpleNamespace(registry=Metrics().registry, health=lambda: wrong or [])
    metrics_server._Handler(request, ("192.0.2.1", 1), server)
    status = request.answer.partition(b"\r\n")[0].split()
    return (int(status[1]) if status else 0), request.answer.partition(b"\r\n\r\n")[2]


def requests() -> Iterator[tuple[bytes, int, bytes]]:
    yield b"GET /metrics HTTP/1.1\r\n\r\n", 200, b"keyturn_build_info"
    yield b"GET /metrics?name[]=x HTTP/1.1\r\n\r\n", 200, b"keyturn_build_info"
    yield b"GET /healthz HTTP/1.1\r\n\r\n", 200, b'{"status": "ok"}'
    yield b"GET /readyz HTTP/1.1\r\n\r\n", 200, b'{"status": "ready"}'
    yield b"GET / HTTP/1.1\r\n\r\n", 404, b"here are /metrics"
    yield b"GET /../etc/passwd HTTP/1.1\r\n\r\n", 404, b"here are /metrics"
    yield b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 501, b""
    yield b"GET /metrics HTTP/9.9\r\n\r\n", 505, b""
    yield b"GET " + b"/" * 70_000 + b" HTTP/1.1\r\n\r\n", 414, b""
    yield b"GET /metrics HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431, b""


@pytest.mark.parametrize(("sent", "status", "part"), [*requests()])
def test_it_answers_what_it_knows_and_refuses_the_rest(sent: bytes, status: int, part: bytes) -> None:
    got, body = asked(sent)
    assert got == status
    assert part in body


def test_readiness_names_what_is_wrong() -> None:
    told = asked(b"GET /readyz HTTP/1.1\r\n\r\n", ["the disk is full"])
    assert told == (503, b'{"wrong": ["the disk is full"]}')


def test_a_head_request_gets_no_body() -> None:
    assert asked(b"HEAD /metrics HTTP/1.1\r\n\r\n") == (200, b"")


@pytest.mark.parametrize(
    "sent", [b"", b"\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET\r\n", b"\xff\xfe\xfd\r\n\r\n"]
)
def test_what_is_no_request_harms_nobody(sent: bytes) -> None:
    status, _ = asked(sent)
    assert status in (0, 400)
