"""Credentials: registered once an account and kind, shown with every name resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    String,
    column,
    select,
    table,
    update,
)

from engine.catalog import checks
from engine.catalog.devices import ensure_authority
from engine.catalog.errors import BadInput, DuplicateCredential, NeverTouched, UnknownCredential, WrongState
from engine.catalog.links import Link, link_kind, set_parent
from engine.catalog.lookup import authority_of, device_row, find_credential, full_name, name_of
from engine.catalog.models import account, authority, credential, device, policy, zone
from engine.catalog.names import CredentialName
from engine.catalog.never_touch import Hint, never_touch
from engine.catalog.rules import policy_id
from engine.catalog.states import CredentialKind, CredentialState
from engine.record import audit
from engine.store.clock import now
from engine.store.statements import insert_unless_there

DEFAULT_POLICY: Final = "default"
DOMAIN_CONTROLLER: Final = "domain_controller"  # the device type

# The vault's table, of which only the number is read; importing the vault would turn the arrow round.
_version = table("secret_version", column("credential_id"), column("number"), column("status"))


@dataclass(frozen=True, slots=True)
class NewCredential:
    r"""`name` is `[DOMAIN\]USER@DEVICE[/SERVICE]`; the other credentials are named alike.

    Without `auth` the account changes its own secret.
    """

    name: str
    kind: CredentialKind = CredentialKind.PASSWORD
    auth: str | None = None
    become: str | None = None
    reconcile: str | None = None
    parent: str | None = None
    link: str | None = None
    policy: str = DEFAULT_POLICY
    template: str | None = None
    identifier: str | None = None
    additional: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CredentialView:
    """A credential with the names of what it points to.

    `enabled`: a person allowed changes. `current_version` None: no secret is known.
    """

    id: int
    name: str
    username: str
    domain: str
    service: str
    kind: CredentialKind
    state: CredentialState
    reason: str | None
    since: float
    enabled: bool
    device: str
    device_id: int
    zone: str
    zone_id: int
    authority: str
    account_id: int
    policy: str
    policy_id: int
    template: str | None
    auth: str | None
    auth_id: int | None
    become: str | None
    become_id: int | None
    reconcile: str | None
    reconcile_id: int | None
    parent: str | None
    parent_id: int | None
    link: Link | None
    identifier: str | None
    additional: str
    tags: tuple[str, ...]
    parent_version: int | None
    next_due: float | None
    created: float
    current_version: int | None


def add_credential(connection: Connection, actor: str, new: NewCredential) -> CredentialView:
    """Register it `unverified`; its secret, if known, is the vault's to store next, in the same transaction.

    Raises BadInput, UnknownDevice, UnknownCredential, UnknownPolicy, NeverTouched, DuplicateCredential,
    WrongState, ParentCycle, TooDeep; the caller's transaction then must not commit.
    """
    name = checks.credential_name(new.name)
    link = link_kind(new.parent, new.link)
    place = device_row(connection, name.device)
    _refuse_never_touched(name, place.vendor, place.type)
    values = _checked(new) | {
        "account_id": _ensure_account(connection, name, place.authority_name),
        "device_id": place.id,
        "username": name.username,
        "domain": name.domain or "",
        "service": name.service or "",
        "policy_id": policy_id(connection, new.policy),
    }
    credential_id = _insert(connection, name, values)
    _point(connection, credential_id, new)
    if new.parent is not None and link is not None:
        set_parent(connection, credential_id, _usable(connection, new.parent), link)
    details = {"kind": new.kind, "auth": new.auth, "parent": new.parent, "link": link, "policy": new.policy}
    audit.write(
        connection, actor=actor, action="credential.add", object=f"credential {name}", details=details
    )
    return get_credential(connection, credential_id)


def _refuse_never_touched(name: CredentialName, vendor: str, device_type: str) -> None:
    local = name.domain is None and device_type.casefold() == DOMAIN_CONTROLLER
    hints = frozenset({Hint.LOCAL_ON_DOMAIN_CONTROLLER} if local else set())
    if reason := never_touch(name.username, vendor=vendor, hints=hints):
        raise NeverTouched(f"{name}: {reason}")


def _checked(new: NewCredential) -> dict[str, Any]:
    return {
        "kind": new.kind,
        "template": None if new.template is None else checks.fitting(credential.c.template, new.template),
        "identifier": None
        if new.identifier is None
        else checks.fitting(credential.c.identifier, new.identifier),
        "additional": checks.fitting(credential.c.additional, new.additional),
        "tags": checks.tags(new.tags),
    }


def _ensure_account(connection: Connection, name: CredentialName, device_authority: str) -> int:
    if len(name.username) > _longest(account.c.name):
        raise BadInput("credential", f"the user name is longer than {_longest(account.c.name)} characters")
    where = ensure_authority(connection, authority_of(name, device_authority))
    values = {"authority_id": where, "name": name.username}
    made = insert_unless_there(connection, account, values, ["authority_id", "name"])
    if made is not None:
        return made
    there = select(account.c.id).where(account.c.authority_id == where, account.c.name == name.username)
    return int(connection.execute(there).scalar_one())


def _longest(of: Column[str]) -> int:
    assert isinstance(of.type, String)
    assert of.type.length is not None
    return of.type.length


def _insert(connection: Connection, name: CredentialName, values: dict[str, Any]) -> int:
    started = values | {"state": CredentialState.UNVERIFIED, "since": now(), "created": now()}
    _refuse_same_identifier(connection, values["identifier"])
    made = insert_unless_there(connection, credential, started, ["account_id", "kind", "service"])
    if made is not None:
        return made
    twin = (
        select(credential.c.id)
        .where(credential.c.account_id == values["account_id"])
        .where(credential.c.kind == values["kind"], credential.c.service == values["service"])
    )
    first = connection.execute(twin).scalar_one()
    raise DuplicateCredential(first, name_of(connection, first), f"the {values['kind']} of {name}")


def _refuse_same_identifier(connection: Connection, identifier: str | None) -> None:
    if identifier is None:
        return
    first = connection.scalar(select(credential.c.id).where(credential.c.identifier == identifier))
    if first is not None:
        raise DuplicateCredential(first, name_of(connection, first), f"the identifier {identifier}")


def _point(connection: Connection, credential_id: int, new: NewCredential) -> None:
    """Store who logs in, whose secret `su` asks for and who reconciles. Itself as login: self-change."""
    named = {"auth_id": new.auth, "become_id": new.become, "reconcile_id": new.reconcile}
    found = {field: _usable(connection, text) for field, text in named.items() if text is not None}
    if found.get("auth_id") == credential_id:
        del found["auth_id"]
    if found.get("reconcile_id") == credential_id:
        raise BadInput("reconcile", "an account cannot reconcile itself; name one that may reset it")
    if found:
        connection.execute(update(credential).where(credential.c.id == credential_id).values(found))


def _usable(connection: Connection, text: str) -> int:
    """The id of a credential that another may point to. One of another zone is handed over by its workers."""
    found = get_credential(connection, find_credential(connection, text))
    if found.state is CredentialState.RETIRED:
        raise WrongState(f"{found.name} is retired; name a credential that is in use")
    return found.id


def get_credential(connection: Connection, credential_id: int) -> CredentialView:
    """Raises UnknownCredential."""
    found = _views(connection, _selected().where(credential.c.id == credential_id))
    if not found:
        raise UnknownCredential(f"with id {credential_id}")
    return found[0]


def list_credentials(
    connection: Connection, *, device_name: str | None = None, state: CredentialState | None = None
) -> list[CredentialView]:
    """By id; a filter that is None lets everything pass. Raises UnknownDevice."""
    statement = _selected().order_by(credential.c.id)
    if device_name is not None:
        place = device_row(connection, device_name)
        statement = statement.where(credential.c.device_id == place.id)
    if state is not None:
        statement = statement.where(credential.c.state == state)
    return _views(connection, statement)


def _selected() -> Select[Any]:
    current = (_version.c.credential_id == credential.c.id) & (_version.c.status == "current")
    return (
        select(
            credential,
            full_name(credential, device).label("name"),
            device.c.name.label("device"),
            device.c.zone_id,
            zone.c.name.label("zone"),
            authority.c.name.label("authority"),
            policy.c.name.label("policy"),
            _name_at(credential.c.auth_id).label("auth"),
            _name_at(credential.c.become_id).label("become"),
            _name_at(credential.c.reconcile_id).label("reconcile"),
            _name_at(credential.c.parent_id).label("parent"),
            _version.c.number.label("current_version"),
        )
        .join(device, device.c.id == credential.c.device_id)
        .join(zone, zone.c.id == device.c.zone_id)
        .join(account, account.c.id == credential.c.account_id)
        .join(authority, authority.c.id == account.c.authority_id)
        .join(policy, policy.c.id == credential.c.policy_id)
        .outerjoin(_version, current)
    )


def _name_at(pointer: ColumnElement[Any]) -> ScalarSelect[Any]:
    other, place = credential.alias(), device.alias()
    named = select(full_name(other, place)).join(place, place.c.id == other.c.device_id)
    return named.where(other.c.id == pointer).scalar_subquery()


def _views(connection: Connection, statement: Select[Any]) -> list[CredentialView]:
    return [CredentialView(**_typed(row._mapping)) for row in connection.execute(statement)]


def _typed(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {each.name: row[each.name] for each in fields(CredentialView)} | {
        "kind": CredentialKind(row["kind"]),
        "state": CredentialState(row["state"]),
        "link": row["link"] and Link(row["link"]),
        "tags": tuple(row["tags"]),
    }
