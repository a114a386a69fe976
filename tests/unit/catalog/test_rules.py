"""Policies and profiles as stored, and which profile serves a credential."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection

from engine.catalog import profiles
from engine.catalog.errors import BadInput, DuplicateRule, UnknownCredential, UnknownPolicy
from engine.catalog.generator import UnsatisfiablePolicy
from engine.catalog.policies import DEFAULT
from engine.catalog.profiles import NoProfile, ProfileTie
from engine.catalog.rules import (
    add_policy,
    add_profile,
    ensure_shipped_policies,
    get_policy,
    list_policies,
    list_profiles,
    logins,
    match,
    policy_id,
)
from engine.catalog.states import Action, CredentialKind, LoginAs
from tests.unit.scene import ACTOR, audited, given_credential, given_device, zone


@pytest.fixture(autouse=True)
def web1(connection: Connection) -> None:
    zone(connection)
    given_device(connection, "web1", vendor="Debian", tags=("prod",))


def profile(name: str = "mine", **fields: Any) -> dict[str, Any]:
    return {"name": name, "executor": "ssh", "service": "ssh", "templates": {"change_secret": "t"}} | fields


def test_the_shipped_policy_is_stored_once(connection: Connection) -> None:
    ensure_shipped_policies(connection, ACTOR)
    assert [(each.name, each.rules) for each in list_policies(connection)] == [("default", DEFAULT)]
    assert audited(connection).count(("policy.add", "policy default")) == 1


def test_a_policy_is_kept_as_given_and_defaults_fill_the_rest(connection: Connection) -> None:
    made = add_policy(connection, ACTOR, "strict", {"generator": {"length": 40}, "lockout": {"threshold": 3}})
    assert (made.rules.generator.length, made.rules.lockout.threshold, made.rules.retry) == (
        40,
        3,
        DEFAULT.retry,
    )
    assert get_policy(connection, policy_id(connection, "strict")) == made
    assert audited(connection)[-1] == ("policy.add", "policy strict")


def test_a_policy_that_no_password_meets_is_refused_when_it_is_stored(connection: Connection) -> None:
    with pytest.raises(UnsatisfiablePolicy, match="no password can meet this policy: "):
        add_policy(connection, ACTOR, "impossible", {"generator": {"length": 2}})
    with pytest.raises(UnknownPolicy):
        policy_id(connection, "impossible")


@pytest.mark.parametrize(
    ("rules", "where"),
    [
        ({"generator": {"length": "24"}}, "generator.length"),
        ({"generator": {"length": 0}}, "generator.length"),
        ({"generator": {"alphabet": "ab\x00"}}, "generator"),
        ({"retry": {"base_seconds": float("nan")}}, "retry.base_seconds"),
        ({"settle_seconds": -1}, "settle_seconds"),
        ({"colour": "red"}, "colour"),
        ({"lockout": []}, "lockout"),
    ],
)
def test_a_policy_of_the_wrong_shape_is_refused_saying_where(
    connection: Connection, rules: dict[str, Any], where: str
) -> None:
    with pytest.raises(BadInput, match=f"policy odd: {where}: "):
        add_policy(connection, ACTOR, "odd", rules)


def test_a_policy_name_is_used_once_and_must_be_a_name(connection: Connection) -> None:
    with pytest.raises(DuplicateRule, match="there is a policy 'default' already"):
        add_policy(connection, ACTOR, "default", {})
    with pytest.raises(BadInput, match="policy: write 1 to 64 letters"):
        add_policy(connection, ACTOR, "two words", {})


def test_profiles_are_the_shipped_and_the_added_ones(connection: Connection) -> None:
    made = add_profile(connection, ACTOR, profile(match={"tags": ["b", "a"]}, priority=5))
    assert made in list_profiles(connection)
    assert {each.name for each in profiles.SHIPPED} < {each.name for each in list_profiles(connection)}
    assert audited(connection)[-1] == ("profile.add", "profile mine")


@pytest.mark.parametrize("name", ["mine", "linux-by-root"])
def test_a_profile_name_is_used_once_shipped_names_too(connection: Connection, name: str) -> None:
    add_profile(connection, ACTOR, profile())
    with pytest.raises(DuplicateRule, match=f"there is a profile '{name}' already"):
        add_profile(connection, ACTOR, profile(name))


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"name": "Two Words"}, "name"),
        ({"templates": {"dance": "t"}}, "templates.dance"),
        ({"priority": "high"}, "priority"),
        ({"colour": "red"}, "colour"),
        ({"executor": None}, "executor"),
        ({"lockout_threshold": 0}, "lockout_threshold"),
    ],
)
def test_a_profile_of_the_wrong_shape_is_refused_saying_where(
    connection: Connection, fields: dict[str, Any], where: str
) -> None:
    with pytest.raises(BadInput, match=f"profile: {where}"):
        add_profile(connection, ACTOR, profile() | fields)


def test_who_logs_in_chooses_the_shipped_profile(connection: Connection) -> None:
    root = given_credential(connection, "root@web1")
    by_root = given_credential(connection, "ann@web1", auth="root@web1")
    by_other = given_credential(connection, "bob@web1", auth="ann@web1")
    names = [match(connection, each.id).name for each in (root, by_root, by_other)]
    assert names == ["linux-own-password", "linux-by-root", "linux-by-sudoer"]


def test_a_reconcile_goes_through_the_account_declared_for_it(connection: Connection) -> None:
    root = given_credential(connection, "root@web1")
    made = given_credential(connection, "ann@web1", reconcile="root@web1")
    assert logins(connection, made.id, Action.CHANGE_SECRET).login_id == made.id
    assert logins(connection, made.id, Action.RECONCILE).login_id == root.id
    assert logins(connection, made.id, Action.RECONCILE).login_as is LoginAs.ROOT
    assert match(connection, made.id, Action.RECONCILE).name == "linux-by-root"


def test_a_profile_of_higher_priority_that_asks_for_what_is_there_wins(connection: Connection) -> None:
    made = given_credential(connection, "root@web1", tags=("db",))
    add_profile(
        connection, ACTOR, profile("by-tags", priority=1, match={"tags": ["PROD", "db"], "vendor": "debian"})
    )
    add_profile(connection, ACTOR, profile("not-here", priority=2, match={"tags": ["test"]}))
    assert match(connection, made.id).name == "by-tags"


def test_without_a_profile_the_error_says_what_is_known(connection: Connection) -> None:
    made = given_credential(connection, "root@web1", kind=CredentialKind.COMMUNITY)
    with pytest.raises(NoProfile, match="no profile serves a credential with kind: community; login: self"):
        match(connection, made.id)


def test_a_tie_is_an_error_that_names_both(connection: Connection) -> None:
    made = given_credential(connection, "root@web1")
    for name in ("one", "two"):
        add_profile(connection, ACTOR, profile(name, priority=9))
    with pytest.raises(ProfileTie, match="the profiles one and two serve"):
        match(connection, made.id)


def test_an_unknown_credential_has_no_profile(connection: Connection) -> None:
    with pytest.raises(UnknownCredential):
        match(connection, 999)
