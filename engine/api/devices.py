"""Devices over HTTP."""

from __future__ import annotations

from fastapi import APIRouter

from engine.api.context import Context
from engine.api.identity import Administrator, Readable
from engine.api.schemas import Bare, ConsentBody, DeviceBody, ReasonBody, TrustBody
from engine.catalog import devices
from engine.catalog.devices import Device, NewDevice

router = APIRouter(prefix="/devices", tags=["devices"])


@router.post("", status_code=201)
def add(body: DeviceBody, context: Context, caller: Administrator) -> Device:
    given = body.model_dump(exclude_none=True)
    lists = {"tags": tuple(body.tags), "host_keys": tuple(body.host_keys)}
    new = NewDevice(**{"zone": context.settings.zone, **given, **lists})
    with context.database.writing() as connection:
        return devices.add_device(connection, caller.name, new)


@router.get("", dependencies=[Readable])
def list_all(context: Context, zone: str | None = None, site: str | None = None) -> list[Device]:
    with context.database.reading() as connection:
        return devices.list_devices(connection, zone_name=zone, site=site)


@router.get("/{name}", dependencies=[Readable])
def show(name: str, context: Context) -> Device:
    with context.database.reading() as connection:
        return devices.get_device(connection, name)


@router.post("/{name}/trust")
def trust(name: str, body: TrustBody, context: Context, caller: Administrator) -> Device:
    """Pin a host key in place of the pinned ones of its type."""
    with context.database.writing() as connection:
        return devices.trust_host_key(connection, caller.name, name, body.host_key)


@router.post("/{name}/consent")
def consent(name: str, body: ConsentBody, context: Context, caller: Administrator) -> Device:
    """Allow what a device that cannot do better needs, or allow it no longer."""
    with context.database.writing() as connection:
        return devices.set_consents(connection, caller.name, name, body.model_dump(exclude_none=True))


@router.post("/{name}/pause")
def pause(name: str, body: ReasonBody, context: Context, caller: Administrator) -> Device:
    """Begin nothing on it until it is resumed."""
    with context.database.writing() as connection:
        return devices.pause_device(connection, caller.name, name, body.reason)


@router.post("/{name}/resume", dependencies=[Bare])
def resume(name: str, context: Context, caller: Administrator) -> Device:
    with context.database.writing() as connection:
        return devices.resume_device(connection, caller.name, name)
