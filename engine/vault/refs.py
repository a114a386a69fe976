"""A credential by the names that outlive the database: they, not row ids, are what its secrets are
bound to."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select

from engine.catalog.lookup import full_name
from engine.catalog.models import account, authority, credential, device, zone
from engine.vault.models import secret_version
from engine.vault.sealing import Context, Purpose


@dataclass(frozen=True, slots=True)
class CredentialRef:
    """`account` is the normalised name at its `authority`; `username` is as it was given."""

    id: int
    account_id: int
    authority: str
    account: str
    username: str
    domain: str
    kind: str
    service: str
    additional: str
    device: str
    zone: str
    name: str  # as people write it

    @property
    def slot(self) -> str:
        """Which of the account's credentials it is."""
        return f"{self.kind}/{self.service}"

    def context(self, number: int, purpose: Purpose = Purpose.SECRET) -> Context:
        return Context(self.authority, self.account, self.slot, number, purpose)


@dataclass(frozen=True, slots=True)
class SealedVersion:
    """`sealed_as` is the number that the bytes are bound to, where a restore gave the version another.
    `handed_to` is the zone that they were re-sealed to, if that is not the credential's own."""

    credential: CredentialRef
    number: int
    sealed: bytes
    sealed_as: int | None
    handed_to: str | None = None

    @property
    def zone(self) -> str:
        """Whose key opens it."""
        return self.handed_to or self.credential.zone

    @property
    def context(self) -> Context:
        """What opens it: never `credential.context(number)`, which a restored version does not answer to."""
        if self.handed_to is not None:
            return self.credential.context(self.number, Purpose.HANDOVER)
        return self.credential.context(self.number if self.sealed_as is None else self.sealed_as)


_REFS: Select[*tuple[Any, ...]] = (
    select(
        credential.c.id,
        credential.c.account_id,
        authority.c.name,
        account.c.name,
        credential.c.username,
        credential.c.domain,
        credential.c.kind,
        credential.c.service,
        credential.c.additional,
        device.c.name,
        zone.c.name,
        full_name(credential, device),
    )
    .join(account, account.c.id == credential.c.account_id)
    .join(authority, authority.c.id == account.c.authority_id)
    .join(device, device.c.id == credential.c.device_id)
    .join(zone, zone.c.id == device.c.zone_id)
    .where(credential.c.id.in_(bindparam("ids", expanding=True)))
)


def credential_refs(connection: Connection, ids: Collection[int]) -> dict[int, CredentialRef]:
    return {row[0]: CredentialRef(*row) for row in connection.execute(_REFS, {"ids": list(ids)})}


def credential_ref(connection: Connection, credential_id: int) -> CredentialRef:
    return credential_refs(connection, (credential_id,))[credential_id]


def sealed_version(connection: Connection, credential_id: int, number: int) -> SealedVersion | None:
    row = connection.execute(
        select(secret_version.c.number, secret_version.c.sealed, secret_version.c.sealed_as).where(
            secret_version.c.credential_id == credential_id, secret_version.c.number == number
        )
    ).first()
    return None if row is None else SealedVersion(credential_ref(connection, credential_id), *row)
