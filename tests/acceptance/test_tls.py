"""The API over TLS: commands speak with the engine that their data directory names, and with no other."""

from __future__ import annotations

import datetime
import http.client
import json
import socket
import ssl
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from engine.cli.exits import Exit
from tests.acceptance.engine import RunningEngine, running
from tests.demo.engine import PATIENCE, Engine

NAME = "keyturn.example"  # not what the commands call it


def certificate(key: EllipticCurvePrivateKey) -> x509.Certificate:
    """Self-signed, for the name."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    today = datetime.datetime.now(datetime.UTC)
    draft = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    draft = draft.serial_number(x509.random_serial_number()).not_valid_before(today)
    draft = draft.not_valid_after(today + datetime.timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.DNSName(NAME)])
    return draft.add_extension(names, critical=False).sign(key, SHA256())


def pem(key: EllipticCurvePrivateKey, how: KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how or NoEncryption())


class TlsEngine(RunningEngine):
    """Asked over TLS, trusting its own certificate for its name."""

    def __init__(self, folder: Path) -> None:
        key = generate_private_key(SECP256R1())
        self.certificate, self.key = folder / "certificate.pem", folder / "key.pem"
        self.certificate.write_bytes(certificate(key).public_bytes(Encoding.PEM))
        self.key.write_bytes(pem(key))
        files = {"tls_certificate": str(self.certificate), "tls_key": str(self.key)}
        super().__init__(folder / "data", **files)

    def status(self, path: str) -> int:
        place = urlsplit(self.url)
        context = ssl.create_default_context(cafile=str(self.certificate))
        context.check_hostname = False
        connection = http.client.HTTPSConnection(
            place.hostname or "", place.port, timeout=PATIENCE, context=context
        )
        with closing(connection):
            connection.request("GET", path)
            return connection.getresponse().status


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsEngine]:
    with running(TlsEngine(tmp_path_factory.mktemp("tls"))) as made:
        assert isinstance(made, TlsEngine)
        yield made


@pytest.fixture
def endpoint(engine: TlsEngine) -> Iterator[Path]:
    """The file that names the engine, for a test that alters it."""
    path = engine.data / "engine.json"
    before = path.read_text()
    yield path
    path.write_text(before)


def reached(engine: TlsEngine) -> tuple[str, int]:
    place = urlsplit(engine.url)
    return place.hostname or "", place.port or 0


def test_it_says_that_it_speaks_tls_and_does(engine: TlsEngine) -> None:
    assert engine.url.startswith("https://127.0.0.1:")
    assert engine.status("/readyz") == 200


def test_commands_work_without_being_told_of_the_certificate(engine: TlsEngine) -> None:
    assert engine.ask("device", "list") == []
    assert engine.run("worker", "list").returncode == 0


def test_plain_text_is_not_answered(engine: TlsEngine) -> None:
    with socket.create_connection(reached(engine), PATIENCE) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: keyturn\r\n\r\n")
        assert b"HTTP" not in plain.recv(1000)


def test_only_tls_1_2_and_newer_are_spoken(engine: TlsEngine) -> None:
    for version, spoken in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(str(engine.certificate))
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # else this side would not speak the old one
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, version
        assert speaks(engine, context) is spoken


def speaks(engine: TlsEngine, context: ssl.SSLContext) -> bool:
    with socket.create_connection(reached(engine), PATIENCE) as raw:
        try:
            context.wrap_socket(raw, server_hostname=NAME).close()
        except ssl.SSLError:
            return False
    return True


def test_somebody_with_another_certificate_never_sees_the_token(engine: TlsEngine, endpoint: Path) -> None:
    found = json.loads(endpoint.read_text())
    endpoint.write_text(json.dumps(found | {"certificate_sha256": "00" * 32}))
    refused = engine.run("device", "list")
    assert refused.returncode == Exit.NO_ENGINE
    assert "SSLError" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_without_a_pin_a_certificate_that_nobody_vouches_for_is_refused(
    engine: TlsEngine, endpoint: Path
) -> None:
    found = json.loads(endpoint.read_text())
    endpoint.write_text(json.dumps({"url": found["url"], "pid": found["pid"]}))
    assert engine.run("device", "list").returncode == Exit.NO_ENGINE


@pytest.mark.parametrize("how", ["missing", "no PEM", "of another", "with a passphrase"])
def test_a_key_that_cannot_be_used_keeps_it_from_starting_in_one_sentence(tmp_path: Path, how: str) -> None:
    broken = TlsEngine(tmp_path)
    contents = {
        "no PEM": b"canary-0815",
        "of another": pem(generate_private_key(SECP256R1())),
        "with a passphrase": pem(generate_private_key(SECP256R1()), BestAvailableEncryption(b"canary-0815")),
    }
    if how == "missing":
        broken.key.unlink()
    else:
        broken.key.write_bytes(contents[how])
    _refused(broken)


def _refused(engine: Engine) -> None:
    engine.launch()
    try:
        assert engine.process.wait(PATIENCE) == Exit.NOT_READY
    finally:
        engine.end()
    said = engine.log().splitlines()[-1]
    assert said.startswith("error: ")
    assert "cannot be used" in said
    assert "Traceback" not in engine.log()
    assert "canary" not in engine.log()
