"""Where Prometheus and supervisors ask: /metrics, /healthz, /readyz. It tells no secrets and needs no token.

Few connections at a time, each for a few seconds, so that nobody who can reach it can keep the process busy.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

log = logging.getLogger(__name__)

SILENCE: Final = 5.0  # seconds that a client may say nothing
LONGEST: Final = 15.0  # seconds for one request and its answer
AT_ONCE: Final = 8  # connections

Health = Callable[[], list[str]]


class BadMetricsAddress(ValueError):
    """The setting `metrics` is not HOST:PORT, such as 127.0.0.1:9470 or [::1]:9470."""


class MetricsServer:
    """Listens from `start` to `stop` in threads of its own. `health` lists what keeps the process from
    working, and may not raise."""

    def __init__(self, address: str, registry: CollectorRegistry, health: Health) -> None:
        """Raises BadMetricsAddress, OSError where the address cannot be had."""
        self._server = _server(*_split(address))
        self._server.registry = registry
        self._server.health = health
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Connections that are open end by themselves."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(timeout=5)
        self._server.server_close()


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdigit() and int(port) < 2**16):
        raise BadMetricsAddress(
            f"metrics = {address!r}: write HOST:PORT, such as 127.0.0.1:9470 or [::1]:9470"
        )
    return host, int(port)


def _server(host: str, port: int) -> _Server:
    family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    kind = type("_ServerOfFamily", (_Server,), {"address_family": family})
    made = kind(place, _Handler)
    assert isinstance(made, _Server)
    return made


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = AT_ONCE
    registry: CollectorRegistry
    health: Health

    def __init__(self, *arguments: Any) -> None:
        self._lock = threading.Lock()
        self._open: dict[socket.socket, float] = {}
        super().__init__(*arguments)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - the base's signature
        with self._lock:
            if len(self._open) >= AT_ONCE:
                return False
            self._open[request] = time.monotonic()
        return True

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Twice a second: ends connections of clients that dribble."""
        with self._lock:
            late = [each for each, since in self._open.items() if time.monotonic() - since > LONGEST]
        for each in late:
            with suppress(OSError):  # it has just ended by itself
                each.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base's signature
        if not isinstance(sys.exception(), OSError):  # a client that went away is no news
            log.exception("a request for metrics or health failed")


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = SILENCE
    server_version = "keyturn"
    sys_version = ""
    default_request_version = "HTTP/1.0"  # so that a refusal has a status line, whatever was sent

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/metrics":
                encode, kind = choose_encoder(self.headers.get("Accept", ""))
                self._answer(200, kind, encode(self.server.registry))
            case "/healthz":
                self._tell(200, {"status": "ok"})
            case "/readyz":
                wrong = self.server.health()
                self._tell(503 if wrong else 200, {"wrong": wrong} if wrong else {"status": "ready"})
            case _:
                self._tell(404, {"detail": "here are /metrics, /healthz and /readyz"})

    do_HEAD = do_GET  # noqa: N815 - the base's name

    def _tell(self, status: int, told: object) -> None:
        self._answer(status, "application/json", json.dumps(told).encode())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Scrapes are no news; what the engine does is in its own log."""
