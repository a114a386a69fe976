"""Links across zones: a worker of the secret's own zone re-seals one version to the zone that needs it.

A worker can open nothing of another zone, so it leaves a row that names what it needs; a worker of the other
zone looks whether a link asks for that very version, re-seals it, and writes the audit entry. The row stays
as long as the version is current.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import Connection, Select, and_, delete, exists, or_, select, update

from engine.catalog.models import credential, device, zone
from engine.record import audit
from engine.store.clock import now
from engine.store.statements import insert_unless_there
from engine.vault.errors import CannotSeal, SealBroken, UnknownFormat, WrongKey
from engine.vault.keys import ZoneKeys
from engine.vault.models import handover, secret_version
from engine.vault.refs import SealedVersion, sealed_version
from engine.vault.sealing import reseal
from engine.vault.service import zone_key

AT_ONCE = 100  # rows that one tick fills
REFUSED_FOR = 60.0  # seconds; then it is asked for anew, since links may have changed
LONGEST_REASON = 500  # characters that the row holds


@dataclass(frozen=True, slots=True, order=True)
class Want:
    """A version that a zone's worker needs and cannot open."""

    credential_id: int
    number: int


class Refused(Exception):
    """The secret's own zone does not hand it over; the message says why."""


def given(connection: Connection, version: SealedVersion, zone_id: int, to: str) -> SealedVersion | None:
    """The version as zone `to` opens it; None while it was not handed over. Raises Refused."""
    old = handover.c.created < now() - REFUSED_FOR
    row = connection.execute(
        select(handover.c.sealed, handover.c.refused, old.label("old")).where(
            handover.c.credential_id == version.credential.id,
            handover.c.number == version.number,
            handover.c.zone_id == zone_id,
        )
    ).first()
    if row is None or (row.sealed is None and (row.refused is None or row.old)):
        return None
    if row.sealed is None:
        raise Refused(row.refused)
    return replace(version, sealed=row.sealed, handed_to=to)


def ask(connection: Connection, wants: Collection[Want], operation_id: int, zone_id: int) -> None:
    """Leave word of what is needed."""
    for want in sorted(wants):  # whoever asks for the same at the same time does not wait in a circle
        same = (handover.c.credential_id == want.credential_id, handover.c.number == want.number)
        mine = (*same, handover.c.zone_id == zone_id, handover.c.refused.is_not(None))
        connection.execute(delete(handover).where(*mine))
        values = {
            "credential_id": want.credential_id,
            "number": want.number,
            "zone_id": zone_id,
            "operation_id": operation_id,
            "created": now(),
        }
        insert_unless_there(connection, handover, values, ["credential_id", "number", "zone_id"])


def wanted(connection: Connection, own_zone: str) -> bool:
    """Whether anything waits for a worker of this zone."""
    return connection.execute(_waiting(own_zone).limit(1)).first() is not None


def fill(connection: Connection, keys: ZoneKeys, own_zone: str) -> int:
    """Re-seal what other zones need of this zone's secrets, and return how much.

    What does not open is refused, and holds up nothing else. Raises MissingKey, UnsafeKey.
    """
    private = keys.private(own_zone)
    rows = connection.execute(
        _waiting(own_zone).limit(AT_ONCE).with_for_update(skip_locked=True, of=handover)
    ).all()
    for row in rows:
        try:
            values = _answer(
                connection, private, row.credential_id, row.number, row.zone_id, row.operation_id
            )
        except (CannotSeal, SealBroken, UnknownFormat, WrongKey) as error:
            values = _refused(str(error))
        connection.execute(update(handover).where(handover.c.id == row.id).values(**values))
    return len(rows)


def _waiting(own_zone: str) -> Select[*tuple[Any, ...]]:
    return (
        select(handover)
        .join(credential, credential.c.id == handover.c.credential_id)
        .join(device, device.c.id == credential.c.device_id)
        .join(zone, zone.c.id == device.c.zone_id)
        .where(handover.c.sealed.is_(None), handover.c.refused.is_(None), zone.c.name == own_zone)
        .order_by(handover.c.id)
    )


def _answer(
    connection: Connection,
    private: X25519PrivateKey,
    credential_id: int,
    number: int,
    zone_id: int,
    operation_id: int,
) -> dict[str, bytes | str]:
    version = sealed_version(connection, credential_id, number)
    to = connection.execute(select(zone.c.name).where(zone.c.id == zone_id)).scalar_one()
    if version is None:
        return _refused(f"there is no version {number} of it")
    if not _linked(connection, credential_id, number, zone_id):
        return _refused(
            f"nothing in zone {to} is linked to {version.credential.name} and needs version {number}"
        )
    handed = replace(version, handed_to=to)
    sealed = reseal(version.sealed, private, version.context, zone_key(connection, to), handed.context)
    details = {"version": number, "zone": to}
    audit.write(
        connection,
        actor="engine",
        action="secret.handed_over",
        object=version.credential.name,
        operation_id=operation_id,
        details=details,
    )
    return {"sealed": sealed}


def _refused(why: str) -> dict[str, bytes | str]:
    return {"refused": why[:LONGEST_REASON]}


def _linked(connection: Connection, credential_id: int, number: int, zone_id: int) -> bool:
    """Whether anything in the zone logs in with the credential, and this version is what opens it, or is to
    get this version as its own."""
    current = exists().where(
        secret_version.c.credential_id == credential_id,
        secret_version.c.number == number,
        secret_version.c.status == "current",
    )
    other, place = credential.alias(), device.alias()
    logs_in = or_(
        other.c.auth_id == credential_id,
        other.c.become_id == credential_id,
        other.c.reconcile_id == credential_id,
    )
    holds_same = and_(
        other.c.parent_id == credential_id, other.c.link == "same", other.c.parent_version == number
    )
    uses = or_(and_(current, logs_in), holds_same)
    by_credential = exists().where(other.c.device_id == place.c.id, place.c.zone_id == zone_id, uses)
    by_device = exists().where(place.c.zone_id == zone_id, place.c.jump_credential_id == credential_id)
    return bool(connection.execute(select(or_(by_credential, and_(current, by_device)))).scalar())
