"""An application over an empty SQLite engine, with a worker that answers reveals when the bell rings."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from engine.access import tokens
from engine.access.service import Role
from engine.api.app import create_app
from engine.api.context import ApiContext
from engine.catalog import workers
from engine.catalog.rules import ensure_shipped_policies
from engine.catalog.zones import ensure_zone, get_zone
from engine.record import logs
from engine.settings import Settings
from engine.store.database import Database
from engine.store.upgrade import upgrade
from engine.templating import store
from engine.vault.journal import JournalWriter
from engine.vault.keys import FileKeys
from engine.vault.service import answer
from executors.contract import Secret

MAX_BODY = 64 * 1024

WORKER = "box-1"


WORKER = "box-1"


@dataclass
class FakeBell:
    """Notes what was rung; plays the zone's worker for reveals unless it is `away`."""

    database: Database
    keys: FileKeys
    rung: list[int] = field(default_factory=list)
    away: bool = False

    def ring(self, operation_id: int) -> None:
        self.rung.append(operation_id)

    def reveal(self, request_id: int) -> None:
        if not self.away:
            with self.database.writing() as connection:
                answer(connection, self.keys, request_id)


@dataclass
class Api:
    """The application, and what stands behind it."""

    context: ApiContext
    bell: FakeBell
    client: TestClient
    token: str
    log: io.StringIO

    def token_of(self, role: Role, expires: float | None = None) -> str:
        with self.context.database.writing() as connection:
            made = tokens.create(connection, self.context.pepper, "test", f"a {role}", role, expires)
        return made.reveal()

    def call(self, method: str, path: str, token: str | None = None, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {token or self.token}", **options.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **options)

    def get(self, path: str, **options: Any) -> Any:
        return self.call("GET", f"/api/v1{path}", **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.call("POST", f"/api/v1{path}", json=body, **options)

    def put(self, path: str, body: Any, **options: Any) -> Any:
        return self.call("PUT", f"/api/v1{path}", json=body, **options)

    def given_device(self, name: str = "web1", **fields: Any) -> None:
        body = {"name": name, "address": "/run/fake", "ports": {"fake": 1, "ssh": 22}, "tags": [], **fields}
        assert self.post("/devices", body).status_code == 201

    def given_credential(self, name: str = "svc@web1", **fields: Any) -> int:
        added = self.post("/credentials", {"name": name, "template": "fake-own-password", **fields})
        assert added.status_code == 201, added.text
        return int(added.json()["id"])


@pytest.fixture(scope="session")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory as the first start leaves it; made once and copied: a schema takes its time."""
    settings = Settings(data=tmp_path_factory.mktemp("first"))
    database, keys = Database(settings.database_url), FileKeys(settings.keys)
    upgrade(database)
    public = keys.create(settings.zone)
    with database.writing() as connection:
        ensure_zone(connection, "test", settings.zone, public.public_bytes_raw())
        ensure_shipped_policies(connection, "test")
        store.sync(connection, "test")
        workers.started(connection, WORKER, get_zone(connection, settings.zone).id, "box", "0", 8)
    database.dispose()
    return settings.data


@pytest.fixture(scope="session")
def application(first_start: Path) -> FastAPI:
    """Made once: routes and schemas do not depend on the data. Each test puts its own context behind it."""
    settings = Settings(data=first_start, max_body=MAX_BODY)
    database = Database(settings.database_url)
    journal = JournalWriter(settings.journal_directory)
    bell = FakeBell(database, FileKeys(settings.keys))
    return create_app(ApiContext(database, settings, Secret("ab" * 32), bell, journal))


@pytest.fixture
def api(tmp_path: Path, first_start: Path, application: FastAPI) -> Iterator[Api]:
    shutil.copytree(first_start, tmp_path, dirs_exist_ok=True)
    settings = Settings(data=tmp_path, max_body=MAX_BODY, min_free_disk=0)
    database, keys = Database(settings.database_url), FileKeys(settings.keys)
    bell, log = FakeBell(database, keys), io.StringIO()
    with database.writing() as connection:
        workers.beat(connection, WORKER, 0)
    journal = JournalWriter(settings.journal_directory)
    context = ApiContext(database, settings, Secret("ab" * 32), bell, journal)
    logs.configure("INFO", log, json=True)
    application.state.context = context
    with TestClient(application, raise_server_exceptions=False) as client:
        made = Api(context, bell, client, "", log)
        made.token = made.token_of(Role.ADMIN)
        yield made
    logs.configure("WARNING", sys.stderr, json=False)
    journal.close()
    database.dispose()


def incarnation(database: Database) -> str:
    from sqlalchemy import select

    from engine.store.models import engine_state

    with database.reading() as connection:
        return str(connection.execute(select(engine_state.c.incarnation)).scalar_one())
