"""The room with a second zone, `right`, whose keys are elsewhere: neither zone's worker has the other's."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Row, select

from engine.catalog.devices import NewDevice, add_device
from engine.catalog.models import credential, device
from engine.catalog.zones import ensure_zone, get_zone
from engine.operations.claims import Claim
from engine.operations.ledger import Ledger
from engine.vault import handover
from engine.vault.handover import Want
from engine.vault.journal import JournalWriter
from engine.vault.keys import FileKeys
from engine.vault.models import handover as handovers
from engine.vault.models import secret_version
from engine.vault.refs import credential_ref, sealed_version
from engine.vault.sealing import open_sealed
from engine.work.conductor import Conductor, Observer, nothing
from engine.work.forkserver.ports import InProcess
from tests.unit.operations.room import ACTOR, Room

LEFT, RIGHT = "default", "right"


class Zones:
    """`room` is the zone on the left. Devices `box` and `far` are both the one fake target."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.keys = FileKeys(room.folder / "right-keys")
        public = self.keys.create(RIGHT)
        journal: Path = room.folder / "right-journal"
        journal.mkdir()
        self.journal = JournalWriter(journal)
        with room.database.writing() as connection:
            ensure_zone(connection, ACTOR, RIGHT, public.public_bytes_raw())
        self.device("far")

    def device(self, name: str) -> None:
        with self.room.database.writing() as connection:
            new = NewDevice(name, str(self.room.folder / "target"), {"fake": 1}, RIGHT)
            add_device(connection, ACTOR, new)

    def jump(self, credential_id: int, on: str = "far") -> None:
        """The way to the device goes over another one from now on."""
        with self.room.database.writing() as connection:
            that = device.update().where(device.c.name == on)
            connection.execute(that.values(jump_credential_id=credential_id))

    def ledger(self) -> Ledger:
        return Ledger(self.room.database, "worker-right", RIGHT, 300.0, 5.0)

    def claim(self, operation_id: int) -> Claim:
        return self.ledger().claim(operation_id)

    def work(self, operation_id: int, at: Observer = nothing) -> str | None:
        """What a worker of the zone on the right makes of it."""
        return Conductor(self.ledger(), InProcess(), self.keys, self.journal, 240.0, at=at).conduct(
            operation_id
        )

    def hand_over(self) -> int:
        """What the left one's next tick does."""
        with self.room.database.writing() as connection:
            return handover.fill(connection, self.room.keys, LEFT)

    def through(self, operation_id: int) -> str | None:
        """Asked for, handed over, worked on."""
        assert self.work(operation_id) is None
        self.hand_over()
        self.room.due_now()
        return self.work(operation_id)

    def want(self, credential_id: int, number: int, operation_id: int) -> None:
        """As somebody who can write to the database leaves word, link or no link."""
        with self.room.database.writing() as connection:
            zone_id = get_zone(connection, RIGHT).id
            handover.ask(connection, [Want(credential_id, number)], operation_id, zone_id)

    def rows(self) -> list[Row[*tuple[object, ...]]]:
        with self.room.database.reading() as connection:
            return list(connection.execute(select(handovers).order_by(handovers.c.id)).all())

    def current(self, credential_id: int) -> int:
        mine = (secret_version.c.credential_id == credential_id, secret_version.c.status == "current")
        with self.room.database.reading() as connection:
            return int(connection.execute(select(secret_version.c.number).where(*mine)).scalar_one())

    def secret(self, credential_id: int) -> str:
        """The current one, opened with the keys on the right."""
        number = self.current(credential_id)
        with self.room.database.reading() as connection:
            version = sealed_version(connection, credential_id, number)
        assert version is not None
        return open_sealed(version.sealed, self.keys.private(RIGHT), version.context).reveal()

    def unlink(self, credential_id: int) -> None:
        nobody = {"auth_id": None, "become_id": None, "reconcile_id": None, "parent_id": None, "link": None}
        self.room.set(credential, credential_id, **nobody)

    def name(self, credential_id: int) -> str:
        with self.room.database.reading() as connection:
            return credential_ref(connection, credential_id).name
