"""A real HTTP or HTTPS server on loopback that answers webhooks as a test says."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Got:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Handler(BaseHTTPRequestHandler):
    """The server's `answer` decides; by default 204."""

    protocol_version = "HTTP/1.1"
    server: WebServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        got = Got(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        with self.server.lock:
            self.server.got.append(got)
        self.server.answer(self, got)

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: requests are in `got`."""


class WebServer(ThreadingHTTPServer):
    """Started at once. With `identity` (a PEM file of key and certificate) it speaks TLS."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, identity: Path | None = None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.lock = threading.Lock()
        self.got: list[Got] = []
        self.answer: Callable[[Handler, Got], None] = lambda handler, _: handler.reply(204)
        self.stopping = threading.Event()
        self.connections = 0
        self._scheme = "https" if identity else "http"
        if identity is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(identity)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"{self._scheme}://{host}:{self.port}{path}"

    def get_request(self) -> tuple[ssl.SSLSocket, object]:
        self.connections += 1
        return super().get_request()  # type: ignore[return-value]

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are what some tests are about."""

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


@dataclass
class Authority:
    """Makes certificates for 127.0.0.1 and localhost, or for the names given. `pem` is its own."""

    folder: Path
    pem: str = field(init=False)

    def __post_init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("a test's own authority")
        self.pem = self._signed(self._name, self._key.public_key(), None)

    def identity(self, *names: str) -> Path:
        """A PEM file of a new key and its certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        others: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        own: list[x509.GeneralName] = [
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            x509.DNSName("localhost"),
        ]
        certificate = self._signed(_named("server"), key.public_key(), others or own)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        path = self.folder / f"{id(key)}.pem"
        path.write_text(private + certificate)
        path.chmod(0o600)
        return path

    def _signed(
        self,
        name: x509.Name,
        public: ec.EllipticCurvePublicKey,
        alternatives: list[x509.GeneralName] | None,
    ) -> str:
        start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
        made = x509.CertificateBuilder(
            self._name, name, public, x509.random_serial_number(), start, start + datetime.timedelta(days=2)
        ).add_extension(x509.BasicConstraints(ca=alternatives is None, path_length=None), critical=True)
        if alternatives is not None:
            made = made.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return made.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def _named(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
