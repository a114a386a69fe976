"""Devices and credentials as tests need them, in few words."""

from __future__ import annotations

import base64
from typing import Any

from sqlalchemy import Connection, insert, select

from engine.catalog.credentials import CredentialView, NewCredential, add_credential
from engine.catalog.devices import Device, NewDevice, add_device
from engine.catalog.rules import ensure_shipped_policies
from engine.catalog.zones import ensure_zone
from engine.record.models import audit_entry
from engine.store.clock import now
from engine.vault.models import secret_version

ACTOR = "ann"


def zone(connection: Connection, name: str = "default") -> None:
    """A zone, and the policies that come with the engine."""
    ensure_zone(connection, ACTOR, name, b"public key of " + name.encode())
    ensure_shipped_policies(connection, ACTOR)


def given_device(connection: Connection, name: str = "web1", **fields: Any) -> Device:
    values: dict[str, Any] = {"address": "192.0.2.10", "ports": {"ssh": 22}, "zone": "default"}
    return add_device(connection, ACTOR, NewDevice(name=name, **values | fields))


def given_credential(connection: Connection, name: str, **fields: Any) -> CredentialView:
    return add_credential(connection, ACTOR, NewCredential(name=name, **fields))


def given_version(
    connection: Connection, credential_id: int, *, proven: bool, number: int = 1, status: str = "current"
) -> None:
    """A version sealed with nothing."""
    values = {"credential_id": credential_id, "number": number, "status": status, "origin": "imported"}
    connection.execute(
        insert(secret_version).values(
            **values,
            sealed=b"",
            key_id="",
            digest=str(number),
            created=now(),
            proven_at=now() if proven else None,
        )
    )


def host_key(kind: str = "ssh-ed25519", body: bytes = b"k" * 32) -> str:
    """A line whose base64 has the shape of a real key's."""
    fields = (kind.encode(), body)
    blob = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return f"{kind} {base64.b64encode(blob).decode()}"


def audited(connection: Connection) -> list[tuple[str, str]]:
    """Every action and its object, oldest first."""
    entries = select(audit_entry.c.action, audit_entry.c.object).order_by(audit_entry.c.id)
    return [(row.action, row.object) for row in connection.execute(entries)]
