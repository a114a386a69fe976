"""The whole engine in one process tree, on one data directory: API, doorbell, worker, tick, fork server."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from sqlalchemy import select

from engine.access import tokens
from engine.access.service import Role
from engine.api.app import create_app
from engine.api.context import ApiContext
from engine.catalog.rules import ensure_shipped_policies
from engine.catalog.zones import ensure_zone
from engine.operations.restart import resume
from engine.record import logs
from engine.settings import Settings
from engine.store.database import Database
from engine.store.models import engine_state
from engine.store.upgrade import upgrade
from engine.templating import store as template_store
from engine.vault.journal import JournalWriter, read_all
from engine.vault.keys import FileKeys
from engine.work.app import WorkerThread, make_app, register
from engine.work.bell import Bell
from engine.work.tick import Tick
from engine.work.worker import Worker, fork_server
from executors.contract import Secret

log = logging.getLogger(__name__)

ACTOR = "engine"
OTHER_ENDS = 15.0  # seconds that the children of an engine that was killed may take to end


class DataDirectoryInUse(Exception):
    """Another engine, or a child of one that was killed, still works on this directory."""


def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises DataDirectoryInUse and what makes a first start or an upgrade
    impossible."""
    logs.configure("INFO", sys.stderr, json=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn ends at these and then raises them again, which would end the process before it has tidied
        # up
        signal.signal(number, lambda *_: None)
    os.umask(0o077)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(settings.data) as hold_fd:
        database = Database(settings.database_url)
        keys = FileKeys(settings.keys)
        incarnation = _prepare(settings, database, keys)
        journal = JournalWriter(settings.journal_directory, incarnation)
        with fork_server(hold_fd) as children:
            worker = Worker(settings, database, keys, journal, children)
            _serve(settings, database, journal, worker)
        journal.close()
        database.dispose()


@contextmanager
def _alone(data: Path) -> Iterator[int]:
    """Hold the directory's lock. Fork server and children inherit it, so it is free only when all of them are
    gone: then, and only then, an earlier engine's leases can be ended."""
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


def _prepare(settings: Settings, database: Database, keys: FileKeys) -> str:
    """Everything a first start makes, and everything a start after a crash or a restore finds out."""
    upgrade(database)
    public = _zone_key(settings, keys)
    if not settings.journal_directory.exists():
        settings.journal_directory.mkdir(mode=0o700)
    pepper = tokens.pepper(settings.data / "pepper")
    view = read_all(settings.journal_directory)
    with database.writing() as connection:
        ensure_zone(connection, ACTOR, settings.zone, public.public_bytes_raw())
        ensure_shipped_policies(connection, ACTOR)
        template_store.sync(connection, ACTOR)
        recovery = resume(connection, keys, view, ACTOR)
        incarnation = connection.execute(select(engine_state.c.incarnation)).scalar_one()
    _admin_token(settings, database, pepper)
    for orphan in recovery.orphans:
        log.warning("the escrow journal holds a secret of %s, which the database does not know", orphan)
    return str(incarnation)


def _zone_key(settings: Settings, keys: FileKeys) -> X25519PublicKey:
    if (settings.keys / f"{settings.zone}.key").exists():
        return keys.public(settings.zone)
    return keys.create(settings.zone)


def _admin_token(settings: Settings, database: Database, pepper: Secret) -> None:
    path = settings.data / "admin.token"
    if path.exists():
        return
    with database.writing() as connection:
        made = tokens.create(connection, pepper, ACTOR, "admin", Role.ADMIN)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "w") as file:
            file.write(made.reveal() + "\n")
            file.flush()
            os.fsync(file.fileno())


def _serve(settings: Settings, database: Database, journal: JournalWriter, worker: Worker) -> None:
    queue = f"keyturn-{os.getpid()}"
    app = make_app("memory://", queue)
    register(app, worker.operation, worker.reveal)
    bell = Bell(app)
    worker.bell = bell
    consumer = WorkerThread(app, settings.threads)
    tick = Tick(database, bell, settings.tick)
    worker.ended = tick.ended
    consumer.start()
    tick.start()
    context = ApiContext(
        database=database,
        settings=settings,
        pepper=tokens.pepper(settings.data / "pepper"),
        bell=bell,
        journal=journal,
        worker_age=lambda: time.monotonic() - tick.beat if consumer.alive else None,
    )
    try:
        _listen(settings, context)
    finally:
        tick.stop()
        consumer.stop()


def _listen(settings: Settings, context: ApiContext) -> None:
    host, _, port = settings.listen.rpartition(":")
    listener = socket.create_server((host.strip("[]"), int(port)), family=_family(host))
    bound = listener.getsockname()
    url = f"http://[{bound[0]}]:{bound[1]}" if ":" in bound[0] else f"http://{bound[0]}:{bound[1]}"
    found = settings.data / "engine.json"
    found.write_text(json.dumps({"url": url, "pid": os.getpid()}))
    log.info("listening on %s", url)
    config = uvicorn.Config(create_app(context), log_config=None, access_log=False, server_header=False)
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        found.unlink(missing_ok=True)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
