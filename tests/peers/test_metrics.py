"""A real Prometheus scrapes a real listener; promtool judges what it is given."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.operations.models import operation
from engine.work import metrics_server
from engine.work.metrics import Metrics
from engine.work.metrics_server import MetricsServer
from tests.exported import metrics_of
from tests.peers import prometheus
from tests.peers.availability import require_peer
from tests.peers.prometheus import PrometheusServer, promtool
from tests.unit.conftest import database, empty_database  # noqa: F401
from tests.unit.operations.room import Room, room  # noqa: F401

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "keyturn.rules.yaml"
SCRAPED_SECONDS = 30.0


@pytest.fixture(autouse=True)
def tools() -> None:
    require_peer("prometheus", prometheus.available(), prometheus.HOW)


@pytest.fixture
def metrics(room: Room) -> Metrics:  # noqa: F811
    return metrics_of(room)


@contextlib.contextmanager
def served(metrics: Metrics, wrong: list[str] | None = None, host: str = "127.0.0.1") -> Iterator[int]:
    server = MetricsServer(f"{host}:0", metrics.registry, lambda: wrong or [])
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


def get(port: int, path: str, method: str = "GET", host: str = "127.0.0.1") -> tuple[int, str]:
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def until(there: Callable[[], bool]) -> bool:
    end = time.monotonic() + SCRAPED_SECONDS
    while time.monotonic() < end:
        if there():
            return True
        time.sleep(0.2)
    return False


def test_promtool_finds_no_fault_with_a_real_scrape(metrics: Metrics) -> None:
    with served(metrics) as port:
        status, text = get(port, "/metrics")
    assert status == 200
    done = promtool("check", "metrics", given=text.encode())
    assert (done.returncode, done.stdout) == (0, "")


def test_promtool_would_find_a_fault() -> None:
    assert promtool("check", "metrics", given=b"# TYPE keyturn_x counter\nkeyturn_x 1\n").returncode != 0


def test_the_rules_are_rules_and_do_as_their_tests_say() -> None:
    checked = promtool("check", "rules", str(RULES))
    assert checked.returncode == 0, checked.stdout
    tested = promtool("test", "rules", str(RULES.with_name("keyturn.rules.test.yaml")))
    assert tested.returncode == 0, tested.stdout


def test_prometheus_scrapes_and_an_alert_fires(metrics: Metrics, room: Room, tmp_path: Path) -> None:  # noqa: F811
    with room.database.reading() as connection:
        (asked,) = connection.execute(operation.select()).all()
    room.set(operation, asked.id, state="in_doubt", needs_person=True)
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES.read_text().replace("for: 5m", "for: 1s"))
    with served(metrics) as port:
        server = PrometheusServer([f"127.0.0.1:{port}"], rules)
        try:
            assert until(lambda: server.alerts().get("KeyturnNeedsPerson") == "firing"), server.alerts()
            (needing,) = server.query("keyturn_operations_needing_person")
            assert (needing["metric"]["zone"], needing["value"][1]) == ("default", "1")
            (up,) = server.query('up{job="keyturn"}')
            assert up["value"][1] == "1"
            assert "KeyturnSilent" not in server.alerts()
        finally:
            server.remove()


def test_health_and_readiness_are_answered(metrics: Metrics) -> None:
    with served(metrics) as port:
        assert get(port, "/healthz") == (200, '{"status": "ok"}')
        assert get(port, "/readyz") == (200, '{"status": "ready"}')
        assert get(port, "/healthz", "HEAD") == (200, "")
        assert get(port, "/metrics", "POST")[0] == 501
        assert get(port, "/nothing")[0] == 404
    with served(metrics, ["the disk is full"]) as port:
        assert get(port, "/readyz") == (503, '{"wrong": ["the disk is full"]}')


def test_it_can_be_asked_over_ipv6(metrics: Metrics) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        host, connect = "127.0.0.1", "127.0.0.1"  # a kernel without it
    else:
        host, connect = "[::1]", "::1"
    with served(metrics, host=host) as port:
        assert get(port, "/healthz", host=connect)[0] == 200


def test_an_address_that_is_taken_is_an_error_at_the_start(metrics: Metrics) -> None:
    with served(metrics) as port, pytest.raises(OSError, match="in use"):
        MetricsServer(f"127.0.0.1:{port}", metrics.registry, list)


def test_whoever_holds_connections_open_is_cut_off_and_others_are_answered(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_server, "LONGEST", 1.0)
    with served(metrics) as port, contextlib.ExitStack() as stack:
        idle = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            for _ in range(3 * metrics_server.AT_ONCE)
        ]
        for each in idle:
            each.settimeout(10)
            with contextlib.suppress(OSError):
                each.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        for each in idle:
            with contextlib.suppress(ConnectionResetError):
                assert each.recv(100) == b""  # closed without an answer
        assert until(lambda: _answers(port))


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return get(port, "/healthz")[0] == 200
    return False


def test_it_stops_when_it_is_told(metrics: Metrics) -> None:
    with served(metrics) as port:
        assert _answers(port)
    assert not _answers(port)


def test_one_that_was_never_started_stops_too(metrics: Metrics) -> None:
    MetricsServer("127.0.0.1:0", metrics.registry, list).stop()
