"""Devices: where they are, how they are reached, which host keys are theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, delete, select, update

from engine.catalog import checks
from engine.catalog.errors import BadInput, DuplicateDevice, WrongState
from engine.catalog.host_keys import HostKey, parse_host_key
from engine.catalog.lookup import device_row, find_credential, full_name
from engine.catalog.models import authority, credential, device, host_key, zone
from engine.catalog.names import normalise_authority
from engine.catalog.zones import get_zone
from engine.record import audit, outbox
from engine.store.clock import now
from engine.store.statements import insert_unless_there

MAX_CONNECTIONS: Final = 1000
CONSENTS: Final = ("cleartext", "weak_algorithms")
"""What a person may allow for a device that cannot do better."""


@dataclass(frozen=True, slots=True)
class NewDevice:
    """`authority`: whose accounts it has, such as a cluster's; by default its own.

    `jump`: the credential USER@DEVICE that logs in to the host on the way.
    """

    name: str
    address: str
    ports: Mapping[str, int]
    zone: str
    authority: str | None = None
    vendor: str = ""
    model: str = ""
    type: str = ""
    site: str = ""
    domain: str = ""
    tags: tuple[str, ...] = ()
    connection_limit: int = 4
    host_keys: tuple[str, ...] = ()
    jump: str | None = None
    cleartext: bool = False  # its secrets may be sent where others can read them
    weak_algorithms: bool = False  # its ssh may be of algorithms that are no longer safe


@dataclass(frozen=True, slots=True)
class TrustedKey:
    line: str
    fingerprint: str
    trusted_by: str
    trusted_at: float


@dataclass(frozen=True, slots=True)
class Device:
    id: int
    name: str
    authority: str
    authority_id: int
    zone: str
    zone_id: int
    address: str
    ports: Mapping[str, int]
    site: str
    vendor: str
    model: str
    type: str
    domain: str
    tags: tuple[str, ...]
    connection_limit: int
    jump: str | None
    jump_credential_id: int | None
    paused: bool
    pause_reason: str | None
    cleartext: bool
    weak_algorithms: bool
    host_keys: tuple[TrustedKey, ...]
    created: float


def add_device(connection: Connection, actor: str, new: NewDevice) -> Device:
    """Raises BadInput, UnknownZone, DuplicateDevice, UnknownCredential."""
    name = checks.device_name(new.name)
    values = _checked(new) | {
        "name": name,
        "zone_id": get_zone(connection, new.zone).id,
        "authority_id": ensure_authority(connection, checks.device_name(new.authority or name)),
    }
    keys = [parse_host_key(line) for line in new.host_keys]
    device_id = insert_unless_there(connection, device, values | {"created": now()}, ["name"])
    if device_id is None:
        first = device_row(connection, name)
        raise DuplicateDevice(name, first.id, first.address)
    for key in keys:
        _pin(connection, actor, device_id, key)
    details = {"address": values["address"], "zone": new.zone, "host_keys": len(keys)}
    details |= {name: True for name in CONSENTS if values[name]}
    audit.write(connection, actor=actor, action="device.add", object=f"device {name}", details=details)
    if new.jump is not None:
        set_jump(connection, actor, name, new.jump)
    return get_device(connection, name)


def _checked(new: NewDevice) -> dict[str, Any]:
    ports = checks.ports(new.ports)
    if not 1 <= new.connection_limit <= MAX_CONNECTIONS:
        raise BadInput("connection_limit", f"it must be a whole number from 1 to {MAX_CONNECTIONS}")
    return {
        "address": checks.address(new.address, ports),
        "ports": ports,
        "vendor": checks.fitting(device.c.vendor, new.vendor),
        "model": checks.fitting(device.c.model, new.model),
        "type": checks.fitting(device.c.type, new.type),
        "site": checks.fitting(device.c.site, new.site),
        "domain": checks.label("domain", new.domain).lower() if new.domain else "",
        "tags": checks.tags(new.tags),
        "connection_limit": new.connection_limit,
        "cleartext": new.cleartext,
        "weak_algorithms": new.weak_algorithms,
    }


def ensure_authority(connection: Connection, name: str) -> int:
    name = normalise_authority(name)
    made = insert_unless_there(connection, authority, {"name": name, "created": now()}, ["name"])
    if made is not None:
        return made
    return int(connection.execute(select(authority.c.id).where(authority.c.name == name)).scalar_one())


def get_device(connection: Connection, name: str) -> Device:
    """Raises BadInput, UnknownDevice."""
    return _views(connection, _selected().where(device.c.id == device_row(connection, name).id))[0]


def list_devices(
    connection: Connection,
    *,
    zone_name: str | None = None,
    site: str | None = None,
    vendor: str | None = None,
    type_name: str | None = None,
) -> list[Device]:
    """By name; a filter that is None lets everything pass."""
    statement = _selected().order_by(device.c.name)
    filters = (
        (zone.c.name, zone_name),
        (device.c.site, site),
        (device.c.vendor, vendor),
        (device.c.type, type_name),
    )
    for column, wanted in filters:
        if wanted is not None:
            statement = statement.where(column == wanted)
    return _views(connection, statement)


def trust_host_key(connection: Connection, actor: str, name: str, line: str) -> Device:
    """Pin a host key; it takes the place of the pinned keys of its type, which the device then no longer has.

    Raises BadInput, UnknownDevice.
    """
    place, key = device_row(connection, name), parse_host_key(line)
    pinned = host_key.c.device_id == place.id
    old = [parse_host_key(text) for text in connection.scalars(select(host_key.c.line).where(pinned))]
    replaced = [each for each in old if each.type == key.type]
    connection.execute(delete(host_key).where(pinned, host_key.c.line.in_([each.line for each in replaced])))
    _pin(connection, actor, place.id, key)
    details = {
        "type": key.type,
        "fingerprint": key.fingerprint,
        "replaced": " ".join(each.fingerprint for each in replaced),
    }
    audit.write(
        connection, actor=actor, action="device.trust", object=f"device {place.name}", details=details
    )
    return get_device(connection, name)


def _pin(connection: Connection, actor: str, device_id: int, key: HostKey) -> None:
    values = {"device_id": device_id, "line": key.line, "trusted_by": actor, "trusted_at": now()}
    insert_unless_there(connection, host_key, values, ["device_id", "line"])


def pause_device(connection: Connection, actor: str, name: str, reason: str) -> Device:
    """Nothing is begun on it until it is resumed. Raises BadInput, UnknownDevice, WrongState."""
    reason = checks.reason(device.c.pause_reason, reason)
    return _set_paused(connection, actor, name, paused=True, reason=reason)


def resume_device(connection: Connection, actor: str, name: str) -> Device:
    """Raises UnknownDevice, WrongState."""
    return _set_paused(connection, actor, name, paused=False, reason=None)


def _set_paused(connection: Connection, actor: str, name: str, *, paused: bool, reason: str | None) -> Device:
    place = device_row(connection, name)
    changing = (
        update(device)
        .where(device.c.id == place.id, device.c.paused.is_(not paused))
        .values(paused=paused, pause_reason=reason)
    )
    if connection.execute(changing).rowcount != 1:
        why = (
            f"paused already ({place.pause_reason}); resume it first"
            if paused
            else "not paused; nothing to resume"
        )
        raise WrongState(f"device {place.name} is {why}")
    action = "device.pause" if paused else "device.resume"
    details = {"reason": reason} if reason else None
    audit.write(connection, actor=actor, action=action, object=f"device {place.name}", details=details)
    if paused:
        payload = {"device": place.name, "principal": actor, "reason": reason}
        outbox.notice(connection, "device.paused", payload)
    return get_device(connection, name)


def set_jump(connection: Connection, actor: str, name: str, jump: str | None) -> Device:
    """Reach the device through the host that the credential `jump` logs in to; None: directly.

    Raises UnknownDevice, UnknownCredential, and BadInput for a circle of jump hosts.
    """
    place = device_row(connection, name)
    jump_id = None if jump is None else find_credential(connection, jump)
    connection.execute(update(device).where(device.c.id == place.id).values(jump_credential_id=jump_id))
    _check_way(connection, place)
    details = {"jump": jump}
    audit.write(connection, actor=actor, action="device.jump", object=f"device {place.name}", details=details)
    return get_device(connection, name)


def set_consents(connection: Connection, actor: str, name: str, consents: Mapping[str, bool]) -> Device:
    """Allow what `CONSENTS` names, or allow it no longer; it counts from the next connection on.

    Raises UnknownDevice, BadInput.
    """
    place = device_row(connection, name)
    if not consents or not consents.keys() <= set(CONSENTS):
        raise BadInput("consent", f"say which of these is allowed or no longer is: {', '.join(CONSENTS)}")
    connection.execute(update(device).where(device.c.id == place.id).values(**consents))
    details = dict(consents)
    audit.write(
        connection, actor=actor, action="device.consent", object=f"device {place.name}", details=details
    )
    return get_device(connection, name)


def _check_way(connection: Connection, start: Row[Any]) -> None:
    """Follow the jump hosts from `start` to the one reached directly."""
    seen: set[int] = set()
    here: Row[Any] = start
    while True:
        if here.id in seen:
            raise BadInput(
                "jump", f"device {start.name} would be reached through itself; choose another jump host"
            )
        seen.add(here.id)
        jump_id = connection.execute(
            select(device.c.jump_credential_id).where(device.c.id == here.id)
        ).scalar_one()
        if jump_id is None:
            return
        here = connection.execute(
            select(device)
            .join(credential, credential.c.device_id == device.c.id)
            .where(credential.c.id == jump_id)
        ).one()


def _selected() -> Select[Any]:
    other, place = credential.alias(), device.alias()
    jump = (
        select(full_name(other, place))
        .join(place, place.c.id == other.c.device_id)
        .where(other.c.id == device.c.jump_credential_id)
    )
    names = (
        authority.c.name.label("authority"),
        zone.c.name.label("zone"),
        jump.scalar_subquery().label("jump"),
    )
    return (
        select(device, *names)
        .join(authority, authority.c.id == device.c.authority_id)
        .join(zone, zone.c.id == device.c.zone_id)
    )


def _views(connection: Connection, statement: Select[Any]) -> list[Device]:
    rows = connection.execute(statement).all()
    keys = _keys(connection, [row.id for row in rows] if len(rows) == 1 else None)
    return [
        Device(**{**row._mapping} | {"tags": tuple(row.tags), "host_keys": tuple(keys.get(row.id, ()))})
        for row in rows
    ]


def _keys(connection: Connection, device_ids: Iterable[int] | None) -> dict[int, list[TrustedKey]]:
    """By device; None: of all devices."""
    statement = select(host_key).order_by(host_key.c.id)
    if device_ids is not None:
        statement = statement.where(host_key.c.device_id.in_(device_ids))
    found: dict[int, list[TrustedKey]] = {}
    for row in connection.execute(statement):
        shown = TrustedKey(row.line, parse_host_key(row.line).fingerprint, row.trusted_by, row.trusted_at)
        found.setdefault(row.device_id, []).append(shown)
    return found
