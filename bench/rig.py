"""A whole engine in one process, with production's database, journal and fork server."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Update, event, func, select, update

import engine.access.models
import engine.operations.models  # noqa: F401 - declares tables
from bench import meter
from bench.ground import Ground, Login
from engine.catalog.credentials import NewCredential, add_credential
from engine.catalog.devices import NewDevice, add_device
from engine.catalog.models import credential
from engine.catalog.rules import ensure_shipped_policies
from engine.catalog.states import Action, CredentialState
from engine.catalog.zones import ensure_zone
from engine.operations.models import operation
from engine.operations.requests import Ask, ask_for
from engine.operations.states import OperationState
from engine.record import chain
from engine.settings import Settings
from engine.store.database import Database
from engine.store.upgrade import upgrade
from engine.templating import store as template_store
from engine.vault.journal import JournalWriter
from engine.vault.keys import FileKeys
from engine.vault.service import import_secret
from engine.work.forkserver.client import ForkServer
from engine.work.worker import Worker, fork_server
from executors.contract import Secret
from executors.fake.target import Behaviour, FakeTarget

ACTOR = "bench"
CONNECTIONS = 100  # the device's own limit must not be what is measured


class NotProven(Exception):
    """Changes did not end `succeeded`; the figures would be of something else. The outcomes follow."""


class Rig:
    """Like `engine.processes.embedded`, without API and tick."""

    def __init__(self, data: Path, children: ForkServer) -> None:
        self.settings = Settings(data=data)
        self.database = Database(self.settings.database_url)
        self.keys = FileKeys(self.settings.keys)
        upgrade(self.database)
        public = self.keys.create(self.settings.zone)
        self.settings.journal_directory.mkdir(mode=0o700)
        with self.database.writing() as connection:
            ensure_zone(connection, ACTOR, self.settings.zone, public.public_bytes_raw())
            ensure_shipped_policies(connection, ACTOR)
            template_store.sync(connection, ACTOR)
        self.journal = JournalWriter(self.settings.journal_directory)
        self.children = children
        self.helpers = _fork_servers()
        self.worker = Worker(self.settings, self.database, self.keys, self.journal, children, "bench")
        self._credentials: dict[str, int] = {}

    def device(self, name: str, address: str, ports: Mapping[str, int], host_key: str | None = None) -> None:
        keys = () if host_key is None else (host_key,)
        new = NewDevice(name, address, ports, "default", connection_limit=CONNECTIONS, host_keys=keys)
        with self.database.writing() as connection:
            add_device(connection, ACTOR, new)

    def account(self, login: Login, device: str, auth: str | None = None) -> None:
        """Registered, its password known, changes allowed."""
        new = NewCredential(f"{login.name}@{device}", auth=None if auth is None else f"{auth}@{device}")
        with self.database.writing() as connection:
            made = add_credential(connection, ACTOR, new)
            connection.execute(_which(made.id).values(enabled=True))
        self._credentials[login.name] = made.id
        self.know(login)

    def know(self, login: Login) -> None:
        """Somebody set this password; the engine is told, and takes it for proven."""
        credential_id = self._credentials[login.name]
        with self.database.writing() as connection:
            import_secret(connection, self.journal, credential_id, Secret(login.password), ACTOR)
            connection.execute(_which(credential_id).values(state=CredentialState.MANAGED))

    def ask(self, name: str) -> int:
        with self.database.writing() as connection:
            ask = Ask(self._credentials[name], Action.CHANGE_SECRET, ACTOR, "manual")
            return ask_for(connection, ask).operation_id

    def change(self, name: str) -> int:
        asked = self.ask(name)
        self.worker.operation(asked)
        return asked

    def change_together(self, names: Sequence[str]) -> list[int]:
        """All asked for at once: what the same login changes follows over its connection. The rings of those
        that were done already are answered too, as in production."""
        asked = [self.ask(name) for name in names]
        for operation_id in asked:
            self.worker.operation(operation_id)
        return asked

    def seal_audit(self) -> None:
        """What the tick does for the audit chain, so that its cost is not left out."""
        with self.database.writing() as connection:
            while chain.append(connection) > 0:
                continue

    def check(self, asked: Sequence[int]) -> int:
        """How many changes these were. Raises NotProven unless all of them are proven."""
        states = select(operation.c.state, operation.c.reason, func.count()).where(operation.c.id.in_(asked))
        with self.database.reading() as connection:
            rows = connection.execute(states.group_by(operation.c.state, operation.c.reason)).all()
        if any(state != OperationState.SUCCEEDED for state, _, _ in rows):
            raise NotProven("; ".join(f"{count} {state}: {reason}" for state, reason, count in rows))
        return len(asked)

    @contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        """SQL statements and commits made meanwhile."""
        counts: Counter[str] = Counter()

        def statement(*_: Any) -> None:
            counts["statements"] += 1

        def commit(*_: Any) -> None:
            counts["commits"] += 1

        listeners: list[tuple[str, Callable[..., None]]] = [
            ("before_cursor_execute", statement),
            ("commit", commit),
        ]
        for name, listener in listeners:
            event.listen(self.database.engine, name, listener)
        try:
            yield counts
        finally:
            for name, listener in listeners:
                event.remove(self.database.engine, name, listener)


@contextmanager
def started(data: Path) -> Iterator[Rig]:
    data.mkdir(mode=0o700)
    with fork_server(None) as children:
        rig = Rig(data, children)
        try:
            yield rig
        finally:
            rig.journal.close()
            rig.database.dispose()


@contextmanager
def on_sshd(data: Path, ground: Ground) -> Iterator[Rig]:
    with started(data) as rig:
        rig.device("box", ground.host, {"ssh": ground.port}, ground.host_key)
        for lane in ground.lanes:
            rig.account(lane.admin, "box")
            for name in lane.accounts:
                rig.account(Login(name, "not needed"), "box", lane.admin.name)
        for name in ground.selves:
            rig.account(Login(name, "set before each round"), "box")
        yield rig


@contextmanager
def on_fake(data: Path, accounts: int) -> Iterator[tuple[Rig, list[str]]]:
    """Each account on a target of its own: one SQLite file would be waited for by all."""
    with started(data) as rig:
        names = [f"account{number}" for number in range(accounts)]
        for name in names:
            target = FakeTarget.create(data / f"{name}.target")
            target.set(name, "first", Behaviour())
            rig.device(f"box-{name}", str(target.path), {"fake": 1})
            rig.account(Login(name, "first"), f"box-{name}")
        yield rig, names


def change_all(rig: Rig, names: Sequence[str], threads: int) -> list[int]:
    with ThreadPoolExecutor(threads) as pool:
        asked = list(pool.map(rig.change, names))
    rig.seal_audit()
    return asked


def _which(credential_id: int) -> Update:
    return update(credential).where(credential.c.id == credential_id)


def _fork_servers() -> list[int]:
    wanted = b"engine.work.forkserver"
    return [pid for pid in meter.children(os.getpid()) if wanted in Path(f"/proc/{pid}/cmdline").read_bytes()]
