"""A whole engine without processes and sockets: catalog, keys, journal, fake target, executors in process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, Table, select, update

from engine.catalog.credentials import NewCredential, add_credential
from engine.catalog.devices import NewDevice, add_device
from engine.catalog.models import account, credential, device
from engine.catalog.rules import add_policy, ensure_shipped_policies, policy_id
from engine.catalog.states import Action, CredentialState
from engine.catalog.zones import ensure_zone
from engine.operations.claims import Claim
from engine.operations.ledger import Ledger
from engine.operations.models import operation, transition
from engine.operations.requests import Ask, Requested, ask_for
from engine.record import catalogue
from engine.record.models import audit_entry, delivery, outbox
from engine.store.clock import now
from engine.store.database import Database
from engine.store.models import engine_state
from engine.store.upgrade import seed
from engine.templating import store as template_store
from engine.vault.journal import JournalWriter
from engine.vault.keys import FileKeys
from engine.vault.models import secret_version
from engine.vault.refs import SealedVersion, credential_ref
from engine.vault.sealing import open_sealed
from engine.vault.service import import_secret
from engine.work.conductor import Conductor, Observer, nothing
from engine.work.forkserver.ports import InProcess, Sessions
from executors.contract import Secret
from executors.fake.target import Behaviour, FakeTarget

ACTOR = "ann"
WINDOW = 1800.0


class Room:
    """`ask` and `work` are all that most tests need; `box` is the device, `target` what it really does."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.keys = FileKeys(folder / "keys")
        public = self.keys.create("default")
        (folder / "journal").mkdir()
        with database.writing() as connection:
            seed(connection)
            ensure_zone(connection, ACTOR, "default", public.public_bytes_raw())
            ensure_shipped_policies(connection, ACTOR)
            template_store.sync(connection, ACTOR)
        self.journal = JournalWriter(folder / "journal")
        self.target = FakeTarget.create(folder / "target")
        self.device("box")
        for tries, threshold in {1: 3, 2: 4}.items():
            self.policy(f"tries-{tries}", lockout={"threshold": threshold, "window_seconds": WINDOW})

    def device(self, name: str, **fields: Any) -> None:
        with self.database.writing() as connection:
            new = NewDevice(name, str(self.folder / "target"), {"fake": 1}, "default", **fields)
            add_device(connection, ACTOR, new)

    def policy(self, name: str, **rules: Any) -> None:
        with self.database.writing() as connection:
            add_policy(connection, ACTOR, name, rules)

    def account(
        self, name: str, on: str = "box", tries: int = 2, behaviour: Behaviour | None = None, **fields: Any
    ) -> int:
        """An account of the target and its credential, enabled and proven."""
        first = f"first-of-{name}"
        self.target.set(name, first, behaviour)
        fields = {"policy": f"tries-{tries}", **fields}
        with self.database.writing() as connection:
            made = add_credential(connection, ACTOR, NewCredential(f"{name}@{on}", **fields)).id
            import_secret(connection, self.journal, made, Secret(first), ACTOR)
            values = {"enabled": True, "state": CredentialState.MANAGED}
            connection.execute(update(credential).where(credential.c.id == made).values(**values))
            versions = update(secret_version).where(secret_version.c.credential_id == made)
            connection.execute(versions.values(proven_at=now()))
        return made

    def admin(self, name: str = "boss", **fields: Any) -> int:
        return self.account(name, behaviour=Behaviour(admin=True), **fields)

    def use_policy(self, credential_id: int, name: str) -> None:
        with self.database.writing() as connection:
            number = policy_id(connection, name)
        self.set(credential, credential_id, policy_id=number)

    def ask(self, credential_id: int, action: Action = Action.CHANGE_SECRET, **fields: Any) -> Requested:
        with self.database.writing() as connection:
            return ask_for(connection, Ask(credential_id, action, ACTOR, "manual", **fields))

    def store(self, credential_id: int, secret: str) -> int:
        with self.database.writing() as connection:
            return import_secret(connection, self.journal, credential_id, Secret(secret), ACTOR)

    def ledger(self, worker: str = "worker-1", lease: float = 300.0) -> Ledger:
        return Ledger(self.database, worker, "default", lease, 5.0)

    def claim(self, operation_id: int, **how: Any) -> Claim:
        return self.ledger(**how).claim(operation_id)

    def conductor(
        self, sessions: Sessions | None = None, at: Observer = nothing, ledger: Ledger | None = None
    ) -> Conductor:
        return Conductor(
            ledger or self.ledger(), sessions or InProcess(), self.keys, self.journal, 240.0, at=at
        )

    def work(self, operation_id: int, **how: Any) -> str | None:
        return self.conductor(**how).conduct(operation_id)

    def change(self, credential_id: int) -> str | None:
        return self.work(self.ask(credential_id).operation_id)

    def due_now(self) -> None:
        """Let every waiting time be over."""
        with self.database.writing() as connection:
            connection.execute(update(operation).values(due=now() - 1))
            connection.execute(update(account).values(failures_since=now() - 2 * WINDOW))

    def leases_end(self) -> None:
        """As if every worker had been gone for longer than its lease."""
        with self.database.writing() as connection:
            connection.execute(update(account).values(lease_until=now() - 1))
            connection.execute(update(operation).values(lease_until=now() - 1))

    def set(self, table: Table, row_id: int, **values: Any) -> None:
        with self.database.writing() as connection:
            connection.execute(update(table).where(table.c.id == row_id).values(**values))

    def pause(self, name: str, paused: bool = True) -> None:
        with self.database.writing() as connection:
            connection.execute(update(device).where(device.c.name == name).values(paused=paused))

    def engine(self, **values: Any) -> None:
        self.set(engine_state, 1, **values)

    def row(self, table: Table, row_id: int) -> Row[Any]:
        with self.database.reading() as connection:
            return connection.execute(select(table).where(table.c.id == row_id)).one()

    def operation(self, operation_id: int) -> Row[Any]:
        return self.row(operation, operation_id)

    def state(self, credential_id: int) -> str:
        return str(self.row(credential, credential_id).state)

    def account_of(self, credential_id: int) -> Row[Any]:
        return self.row(account, self.row(credential, credential_id).account_id)

    def versions(self, credential_id: int) -> dict[int, str]:
        with self.database.reading() as connection:
            mine = secret_version.c.credential_id == credential_id
            rows = connection.execute(select(secret_version.c.number, secret_version.c.status).where(mine))
            return dict(rows.all())

    def secret(self, credential_id: int, status: str = "current") -> str:
        with self.database.reading() as connection:
            ref = credential_ref(connection, credential_id)
            which = (secret_version.c.credential_id == credential_id, secret_version.c.status == status)
            columns = (secret_version.c.number, secret_version.c.sealed, secret_version.c.sealed_as)
            version = SealedVersion(ref, *connection.execute(select(*columns).where(*which)).one())
        return open_sealed(version.sealed, self.keys.private("default"), version.context).reveal()

    def opens(self, name: str, credential_id: int) -> bool:
        """Whether the current version is what opens the account, by the target's own record."""
        return self.target.opens(name, self.secret(credential_id))

    def states(self, operation_id: int) -> list[str]:
        with self.database.reading() as connection:
            of = transition.c.operation_id == operation_id
            rows = connection.execute(select(transition.c.after).where(of).order_by(transition.c.id))
            return list(rows.scalars())

    def audited(self, operation_id: int) -> list[str]:
        with self.database.reading() as connection:
            of = audit_entry.c.operation_id == operation_id
            return list(
                connection.execute(
                    select(audit_entry.c.action).where(of).order_by(audit_entry.c.id)
                ).scalars()
            )

    def notices(self, operation_id: int, callback: str | None = None) -> list[str]:
        with self.database.reading() as connection:
            told = select(outbox.c.payload).where(outbox.c.operation_id == operation_id).order_by(outbox.c.id)
            if callback is not None:
                told = told.join(delivery, delivery.c.notice_id == outbox.c.id).where(
                    delivery.c.url == callback
                )
            rows = connection.execute(told).scalars()
            return [str(payload.get("state")) for payload in rows]

    def undeclared(self) -> list[str]:
        """Where a notice is not as the catalogue says; those of tests themselves are `test.…`."""
        with self.database.reading() as connection:
            theirs = ~outbox.c.kind.startswith("test.", autoescape=True)
            rows = connection.execute(select(outbox.c.kind, outbox.c.payload).where(theirs)).all()
        return [fault for row in rows for fault in catalogue.faults(row.kind, row.payload)]


@pytest.fixture
def room(database: Database, tmp_path: Path) -> Iterator[Room]:
    made = Room(database, tmp_path)
    yield made
    made.journal.close()
    assert made.undeclared() == [], "docs/notices.md must say what notices hold"
