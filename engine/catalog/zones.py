"""Zones: networks with workers and a key pair of their own. Anyone seals to a zone, only its workers open."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from engine.catalog import checks
from engine.catalog.errors import UnknownZone, ZoneKeyDiffers
from engine.catalog.models import zone
from engine.record import audit
from engine.store.clock import now
from engine.store.statements import insert_unless_there


@dataclass(frozen=True, slots=True)
class Zone:
    id: int
    name: str
    public_key: bytes


def ensure_zone(connection: Connection, actor: str, name: str, public_key: bytes) -> Zone:
    """The zone, made if it is not there. Raises ZoneKeyDiffers: nobody could open its secrets."""
    values = {"name": checks.label("zone", name), "public_key": public_key, "created": now()}
    if insert_unless_there(connection, zone, values, ["name"]) is not None:
        audit.write(connection, actor=actor, action="zone.add", object=f"zone {name}")
    found = get_zone(connection, name)
    if found.public_key != public_key:
        raise ZoneKeyDiffers(name)
    return found


def get_zone(connection: Connection, name: str) -> Zone:
    """Raises UnknownZone, naming those there are."""
    row = connection.execute(select(zone).where(zone.c.name == name)).one_or_none()
    if row is None:
        raise UnknownZone(name, list(connection.scalars(select(zone.c.name).order_by(zone.c.name))))
    return Zone(row.id, row.name, bytes(row.public_key))
