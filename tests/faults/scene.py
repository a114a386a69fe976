"""A whole engine on a data directory: catalog, keys, database, journal, target.

Each scenario's directory is made once and copied. Processes work in their own copy as current directory, so
that paths in the database need no change.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import update

import engine.access.models
import engine.operations.models
import engine.record.models
import engine.templating.models
import engine.vault.models  # noqa: F401 - each import declares its tables
from engine.catalog.credentials import NewCredential, add_credential
from engine.catalog.devices import NewDevice, add_device
from engine.catalog.models import credential
from engine.catalog.rules import add_policy, ensure_shipped_policies, policy_id
from engine.catalog.states import Action, CredentialState
from engine.catalog.zones import ensure_zone
from engine.operations.requests import Ask, ask_for
from engine.record import chain
from engine.store.database import Database
from engine.store.metadata import metadata
from engine.store.upgrade import seed
from engine.templating import store as template_store
from engine.vault.journal import JournalWriter
from engine.vault.keys import FileKeys
from engine.vault.service import import_secret
from executors.contract import Secret
from executors.fake.target import Behaviour, FakeTarget

DATABASE, KEYS, JOURNAL, TARGET, LOCK = "keyturn.sqlite", "keys", "journal", "target", "lock"
ACTOR = "ann"
WINDOW = 1800.0  # seconds of a lockout window, of the target and of the policies here
THRESHOLDS = {1: 3, 2: 4}  # the declared threshold that leaves so many probes


class Scene:
    """The current directory's engine, as the one process that prepares it sees it."""

    def __init__(self, database: Database) -> None:
        """Make an empty one here."""
        self.database = database
        self.keys = FileKeys(Path(KEYS))
        public = self.keys.create("default")
        Path(JOURNAL).mkdir(mode=0o700)
        metadata.create_all(database.engine)
        with database.writing() as connection:
            seed(connection)
            ensure_zone(connection, ACTOR, "default", public.public_bytes_raw())
            ensure_shipped_policies(connection, ACTOR)
            template_store.sync(connection, ACTOR)
            for probes, threshold in THRESHOLDS.items():
                rules = {"lockout": {"threshold": threshold, "window_seconds": WINDOW}}
                add_policy(connection, ACTOR, f"probes-{probes}", rules)
            add_device(connection, ACTOR, NewDevice("box", TARGET, {"fake": 1}, "default"))
        self.journal = JournalWriter(Path(JOURNAL))
        self.target = FakeTarget.create(Path(TARGET))

    def account(self, name: str, behaviour: Behaviour | None = None, probes: int = 2, **fields: Any) -> None:
        """An account of the target and its credential, enabled and `managed`."""
        first = f"first-of-{name}"
        self.target.set(name, first, behaviour)
        with self.database.writing() as connection:
            new = NewCredential(f"{name}@box", policy=f"probes-{probes}", **fields)
            made = add_credential(connection, ACTOR, new)
            import_secret(connection, self.journal, made.id, Secret(first), ACTOR)
            values = {"enabled": True, "state": CredentialState.MANAGED}
            connection.execute(update(credential).where(credential.c.id == made.id).values(**values))

    def policy(self, name: str, **rules: Any) -> None:
        with self.database.writing() as connection:
            add_policy(connection, ACTOR, name, rules)

    def use_policy(self, account: str, name: str) -> None:
        with self.database.writing() as connection:
            number = policy_id(connection, name)
            connection.execute(
                update(credential).where(credential.c.username == account).values(policy_id=number)
            )


@contextmanager
def in_directory(path: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)


def here(path: str = DATABASE) -> Database:
    """The database of the directory that is current when a connection is opened.

    One object for all of them: what SQLAlchemy compiled once stays compiled, over forks too.
    """
    return Database(
        "sqlite:///here", creator=lambda: sqlite3.connect(path, check_same_thread=False, timeout=15)
    )


def ask(database: Database, action: Action, name: str) -> int:
    with database.writing() as connection:
        query = f"SELECT id FROM credential WHERE username = '{name}'"
        credential_id = connection.exec_driver_sql(query).scalar_one()
        return ask_for(connection, Ask(credential_id, action, ACTOR, "manual")).operation_id


def seal_audit(database: Database) -> None:
    with database.writing() as connection:
        chain.append(connection)


def pass_time(seconds: float, target: FakeTarget, path: str = DATABASE) -> None:
    """Let time pass for the engine and its target alike, without waiting for it."""
    with closing(sqlite3.connect(path, timeout=15, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE operation SET due = due - ?, lease_until = lease_until - ?", (seconds, seconds))
        moved = "failures_since = failures_since - ?, lease_until = lease_until - ?"
        db.execute(f"UPDATE account SET {moved}", (seconds, seconds))
        db.execute("UPDATE engine_state SET clock_high = clock_high - ?", (seconds,))
        db.execute("COMMIT")
    target.advance(seconds)
