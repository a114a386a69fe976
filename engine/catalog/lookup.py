"""From the names that people write to rows, and back."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, select
from sqlalchemy.sql.selectable import FromClause

from engine.catalog import checks
from engine.catalog.errors import AmbiguousCredential, UnknownCredential, UnknownDevice
from engine.catalog.models import account, authority, credential, device
from engine.catalog.names import CredentialName, normalise_authority
from engine.catalog.states import CredentialKind


def device_row(connection: Connection, name: str) -> Row[Any]:
    """The device with `authority_name`. Raises BadInput, UnknownDevice."""
    statement = (
        select(device, authority.c.name.label("authority_name"))
        .join(authority, authority.c.id == device.c.authority_id)
        .where(device.c.name == checks.device_name(name))
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise UnknownDevice(name)
    return row


def authority_of(name: CredentialName, device_authority: str) -> str:
    """Where the account lives: its domain if it has one, else the device's own authority."""
    return normalise_authority(name.domain or device_authority)


def find_credential(connection: Connection, text: str, kind: CredentialKind | None = None) -> int:
    r"""The id of `[DOMAIN\]USER@DEVICE[/SERVICE]`. Without a kind: its password, else the only one there is.

    A domain account is found through any device, because it exists once. Raises BadInput, UnknownDevice,
    UnknownCredential, AmbiguousCredential.
    """
    name = checks.credential_name(text)
    place = device_row(connection, name.device)
    statement = (
        select(credential.c.id, credential.c.kind)
        .join(account, account.c.id == credential.c.account_id)
        .join(authority, authority.c.id == account.c.authority_id)
        .where(
            authority.c.name == authority_of(name, place.authority_name),
            account.c.name == name.username,
            credential.c.service == (name.service or ""),
        )
    )
    by_kind = {row.kind: int(row.id) for row in connection.execute(statement)}
    wanted = kind or (CredentialKind.PASSWORD if CredentialKind.PASSWORD in by_kind else None)
    if wanted is None and len(by_kind) > 1:
        raise AmbiguousCredential(str(name), sorted(by_kind))
    found = by_kind.get(wanted) if wanted else next(iter(by_kind.values()), None)
    if found is None:
        raise UnknownCredential(f"{name} of kind {kind}" if kind else str(name))
    return found


def full_name(of: FromClause, on: FromClause) -> ColumnElement[str]:
    """A credential's name as people write it, in SQL; from `credential` and `device` or aliases of them."""
    domain = case((of.c.domain != "", of.c.domain + "\\"), else_="")
    service = case((of.c.service != "", "/" + of.c.service), else_="")
    return domain + of.c.username + "@" + on.c.name + service


def name_of(connection: Connection, credential_id: int) -> str:
    """Raises UnknownCredential."""
    statement = (
        select(full_name(credential, device))
        .join(device, device.c.id == credential.c.device_id)
        .where(credential.c.id == credential_id)
    )
    name = connection.execute(statement).scalar_one_or_none()
    if name is None:
        raise UnknownCredential(f"with id {credential_id}")
    return str(name)
