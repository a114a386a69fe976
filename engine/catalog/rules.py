"""Policies and profiles as they are stored, and the choice of the profile that serves a credential."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy import Connection, bindparam, select

from engine.catalog import policies, profiles
from engine.catalog.checks import label
from engine.catalog.errors import BadInput, DuplicateRule, UnknownCredential, UnknownPolicy
from engine.catalog.generator import satisfiable
from engine.catalog.models import credential, device, policy, profile
from engine.catalog.policies import PolicyData
from engine.catalog.profiles import Profile, ProfileFacts, choose
from engine.catalog.states import Action, CredentialKind, LoginAs
from engine.record import audit
from engine.store.clock import now
from engine.store.statements import insert_unless_there

ROOT: Final = "root"

# Planning runs at every request and every claim: built once, each of these costs a tenth.
_THAT = credential.c.id == bindparam("which")
_POLICY = select(policy).where(policy.c.id == bindparam("which"))
_PROFILES = select(profile.c.rules)
_LOGINS = select(credential.c.auth_id, credential.c.become_id, credential.c.reconcile_id).where(_THAT)
_USERNAME = select(credential.c.username).where(_THAT)
_MATCHED = (
    select(
        credential.c.kind, credential.c.tags, device.c.ports, device.c.vendor, device.c.model, device.c.type
    )
    .add_columns(device.c.tags.label("device_tags"))
    .join(device, device.c.id == credential.c.device_id)
    .where(_THAT)
)
FIELD_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}|[0-9]+")


@dataclass(frozen=True, slots=True)
class Policy:
    id: int
    name: str
    rules: PolicyData


@dataclass(frozen=True, slots=True)
class Logins:
    """Whose logins an action on a credential uses; `login_id` is the credential itself in a self-change."""

    login_id: int
    become_id: int | None
    login_as: LoginAs


def ensure_shipped_policies(connection: Connection, actor: str) -> None:
    """Store the policies that come with the engine where they are not there; a changed one is left alone."""
    for name, rules in policies.SHIPPED.items():
        _insert_policy(connection, actor, name, rules)


def add_policy(connection: Connection, actor: str, name: str, rules: Mapping[str, Any]) -> Policy:
    """`rules` as JSON gives them; what is left out has its default.

    Raises BadInput, UnsatisfiablePolicy (no password meets it), DuplicateRule.
    """
    label("policy", name)
    try:
        data = PolicyData.model_validate(rules)
    except ValidationError as error:
        raise BadInput(f"policy {name}", _first_fault(error)) from None
    satisfiable(data.generator)
    if not _insert_policy(connection, actor, name, data):
        raise DuplicateRule("policy", name)
    return get_policy(connection, policy_id(connection, name))


def _insert_policy(connection: Connection, actor: str, name: str, rules: PolicyData) -> bool:
    values = {"name": name, "rules": rules.model_dump(mode="json"), "created": now()}
    made = insert_unless_there(connection, policy, values, ["name"])
    if made is not None:
        audit.write(connection, actor=actor, action="policy.add", object=f"policy {name}")
    return made is not None


def policy_id(connection: Connection, name: str) -> int:
    """Raises UnknownPolicy, naming those there are."""
    found = connection.execute(select(policy.c.id).where(policy.c.name == name)).scalar_one_or_none()
    if found is None:
        raise UnknownPolicy(name, [each.name for each in list_policies(connection)])
    return int(found)


def get_policy(connection: Connection, policy_id: int) -> Policy:
    row = connection.execute(_POLICY, {"which": policy_id}).one()
    return Policy(row.id, row.name, PolicyData.model_validate(row.rules))


def list_policies(connection: Connection) -> list[Policy]:
    rows = connection.execute(select(policy).order_by(policy.c.name))
    return [Policy(row.id, row.name, PolicyData.model_validate(row.rules)) for row in rows]


def add_profile(connection: Connection, actor: str, rules: Mapping[str, Any]) -> Profile:
    """`rules` as JSON gives them, the name included. Raises BadInput, DuplicateRule (shipped names too)."""
    try:
        made = Profile.model_validate(rules)
    except ValidationError as error:
        raise BadInput("profile", _first_fault(error)) from None
    values = {
        "name": made.name,
        "priority": made.priority,
        "rules": made.model_dump(mode="json"),
        "created": now(),
    }
    shipped = made.name in {each.name for each in profiles.SHIPPED}
    if shipped or insert_unless_there(connection, profile, values, ["name"]) is None:
        raise DuplicateRule("profile", made.name)
    audit.write(connection, actor=actor, action="profile.add", object=f"profile {made.name}")
    return made


def list_profiles(connection: Connection) -> list[Profile]:
    """The stored and the shipped ones, by name. The shipped ones are those of the running release.

    A stored one keeps its name where a later release ships one of that name.
    """
    stored = [Profile.model_validate(row) for row in connection.scalars(_PROFILES)]
    by_name = {each.name: each for each in (*profiles.SHIPPED, *stored)}
    return [by_name[name] for name in sorted(by_name)]


def match(
    connection: Connection,
    credential_id: int,
    action: Action = Action.CHANGE_SECRET,
    executor: str | None = None,
    login_as: LoginAs | None = None,
) -> Profile:
    """The profile that serves the credential. `executor`: that of its own template, if it has one.
    `login_as`: who logs in for the action, if that is known already.

    Raises UnknownCredential, NoProfile, ProfileTie.
    """
    login_as = login_as or logins(connection, credential_id, action).login_as
    row = connection.execute(_MATCHED, {"which": credential_id}).one()
    facts = ProfileFacts(
        kind=CredentialKind(row.kind),
        services=frozenset(row.ports),
        login=login_as,
        vendor=row.vendor,
        model=row.model,
        device_type=row.type,
        tags=frozenset(row.tags) | frozenset(row.device_tags),
        executor=executor,
    )
    return choose(list_profiles(connection), facts)


def logins(connection: Connection, credential_id: int, action: Action) -> Logins:
    """A reconcile goes through the account declared for it, else through the one that changes it.

    Raises UnknownCredential.
    """
    row = connection.execute(_LOGINS, {"which": credential_id}).one_or_none()
    if row is None:
        raise UnknownCredential(f"with id {credential_id}")
    reconciling = row.reconcile_id if action is Action.RECONCILE else None
    login_id = reconciling or row.auth_id
    if login_id is None:
        return Logins(credential_id, None, LoginAs.SELF)
    username = connection.execute(_USERNAME, {"which": login_id}).scalar_one()
    return Logins(login_id, row.become_id, LoginAs.ROOT if username == ROOT else LoginAs.OTHER)


def _first_fault(error: ValidationError) -> str:
    """Where and what, without the input, which could be anything."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(map(_shown, first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"]


def _shown(part: int | str) -> str:
    """A caller's key is quoted back only if it looks like the name of a field: it could be a secret."""
    return str(part) if FIELD_NAME.fullmatch(str(part)) else "(a field)"
