"""What all processes have in common: how they begin, the lock on their data directory, the listener."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from sqlalchemy import Connection, select

from engine.operations.recovery import OwnJournals
from engine.processes.tls import tls_of
from engine.record import logs
from engine.settings import Settings
from engine.store.database import Database, StoreUnavailable
from engine.store.models import engine_state
from engine.vault.errors import JournalBroken
from engine.vault.restored import Recovery
from engine.work.gauges import FiguresCollector
from engine.work.metrics import Metrics
from engine.work.metrics_server import Health, MetricsServer

log = logging.getLogger(__name__)

ACTOR = "engine"
COMPARE = 5.0  # seconds between two looks at whether the own journals must be compared
OTHER_ENDS = 15.0  # seconds that the children of a process that was killed may take to end

_asked_to_stop = threading.Event()  # before there was anything to stop


class DataDirectoryInUse(Exception):
    """Another process of the engine, or a child of one that was killed, still works on this directory."""


@contextmanager
def begun(settings: Settings) -> Iterator[int]:
    """A process of its own on its own data directory: logs, modes, the directory's lock, which is yielded."""
    logs.configure("INFO", sys.stderr, json=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn ends at these and raises them again, which would end the process before it has tidied up.
        signal.signal(number, lambda *_: _asked_to_stop.set())
    os.umask(0o077)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(settings.data) as hold_fd:
        yield hold_fd


@contextmanager
def _alone(data: Path) -> Iterator[int]:
    """Hold the directory's lock. Fork server and children inherit it, so it is free only when all of them are
    gone: then, and only then, an earlier process's leases can be ended."""
    descriptor = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + OTHER_ENDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(descriptor)
                raise DataDirectoryInUse(f"{data} is in use by another engine; stop that one first") from None
            time.sleep(0.05)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def journal_directory(settings: Settings) -> Path:
    """The escrow journal's directory: it is made; the volume that it is on is not."""
    directory = settings.journal_directory
    if not directory.exists():
        directory.mkdir(mode=0o700)
    return directory


def installation(connection: Connection) -> str:
    return str(connection.execute(select(engine_state.c.installation)).scalar_one())


@contextmanager
def comparing(own: OwnJournals, database: Database) -> Iterator[None]:
    """Compare the own journals again whenever the database may be another one."""
    stopping = threading.Event()
    thread = threading.Thread(target=_compare, args=(own, database, stopping), name="journals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def _compare(own: OwnJournals, database: Database, stopping: threading.Event) -> None:
    seen = database.interruptions
    while not stopping.wait(COMPARE):
        if database.interruptions != seen:
            seen = database.interruptions
            own.doubt()
        try:
            if (found := own.look()) is not None:
                tell_of(found)
        except (StoreUnavailable, JournalBroken) as error:
            log.warning("the own escrow journals could not be compared with the database: %s", error)
            own.doubt()


def tell_of(recovery: Recovery) -> None:
    for orphan in recovery.orphans:
        log.warning("the escrow journal holds a secret of %s, which the database does not know", orphan)


@contextmanager
def measured(settings: Settings, database: Database, metrics: Metrics, health: Health) -> Iterator[None]:
    """Serve metrics and health where the settings say, if they do. Raises BadMetricsAddress, OSError."""
    if settings.metrics is None:
        yield
        return
    metrics.registry.register(FiguresCollector(database, settings))
    server = MetricsServer(settings.metrics, metrics.registry, health)
    server.start()
    try:
        yield
    finally:
        server.stop()


def listen(settings: Settings, app: FastAPI) -> None:
    """Serve until SIGTERM or SIGINT. `engine.json` in the data directory says where, for the commands, and
    which certificate is the right one. Raises UnusableCertificate."""
    tls = tls_of(settings)
    host, _, port = settings.listen.rpartition(":")
    listener = socket.create_server((host.strip("[]"), int(port)), family=_family(host))
    bound = listener.getsockname()
    name = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    url = f"{'https' if tls else 'http'}://{name}:{bound[1]}"
    found = settings.data / "engine.json"
    trusted = {"certificate_sha256": tls.fingerprint} if tls else {}
    found.write_text(json.dumps({"url": url, "pid": os.getpid(), **trusted}))
    log.info("listening on %s", url)
    factory = (lambda *_: tls.context) if tls else None
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, ssl_context_factory=factory
    )
    try:
        if not _asked_to_stop.is_set():
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        found.unlink(missing_ok=True)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
