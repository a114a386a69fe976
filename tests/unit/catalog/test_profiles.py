"""One profile serves a credential, or the error says which facts and what to do."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.catalog.profiles import SHIPPED, Match, NoProfile, Profile, ProfileFacts, ProfileTie, choose
from engine.catalog.states import Action, CredentialKind, LoginAs
from engine.templating.library import shipped

FACTS = ProfileFacts(CredentialKind.PASSWORD, frozenset({"ssh"}), LoginAs.SELF)


def profile(name: str, **more: Any) -> Profile:
    return Profile(**{"name": name, "executor": "ssh", "service": "ssh", "templates": {}} | more)


@pytest.mark.parametrize(
    ("service", "login", "name"),
    [
        ("ssh", LoginAs.SELF, "linux-own-password"),
        ("ssh", LoginAs.ROOT, "linux-by-root"),
        ("ssh", LoginAs.OTHER, "linux-by-sudoer"),
        ("fake", LoginAs.SELF, "fake-own"),
        ("fake", LoginAs.OTHER, "fake-by-admin"),
    ],
)
def test_service_and_login_choose_among_the_shipped_profiles(service: str, login: LoginAs, name: str) -> None:
    facts = ProfileFacts(CredentialKind.PASSWORD, frozenset({service, "https"}), login)
    assert choose(SHIPPED, facts).name == name


def test_the_higher_priority_wins_over_the_more_specific() -> None:
    plain, exact = profile("plain", priority=1), profile("exact", match=Match(vendor="cisco"))
    assert choose([exact, plain], replace(FACTS, vendor="Cisco")) is plain


def test_the_more_specific_wins_among_equal_priorities() -> None:
    plain, exact = profile("plain"), profile("exact", match=Match(vendor="cisco"))
    assert choose([plain, exact], replace(FACTS, vendor="Cisco")) is exact
    assert choose([plain, exact], replace(FACTS, vendor="juniper")) is plain


def test_each_tag_makes_a_profile_more_specific() -> None:
    one, two = (
        profile("one", match=Match(tags=frozenset({"a"}))),
        profile("two", match=Match(tags=frozenset({"A", "b"}))),
    )
    assert choose([one, two], replace(FACTS, tags=frozenset({"a", "B", "c"}))) is two
    assert choose([one, two], replace(FACTS, tags=frozenset({"a"}))) is one


def test_a_tie_names_both_and_what_to_do() -> None:
    with pytest.raises(ProfileTie, match=r"one and two serve .* give one a higher priority"):
        choose([profile("two"), profile("one"), profile("low", priority=-1)], FACTS)


def test_no_profile_names_the_facts_and_the_command() -> None:
    with pytest.raises(
        NoProfile, match=r"kind: api_key; login: self; services: ssh; vendor: acme.*keyturn profile add"
    ):
        choose(SHIPPED, replace(FACTS, kind=CredentialKind.API_KEY, vendor="acme"))


def test_a_device_without_services_has_no_profile() -> None:
    with pytest.raises(NoProfile, match="services: none"):
        choose(SHIPPED, replace(FACTS, services=frozenset()))


def test_the_devices_own_profile_settles_a_tie() -> None:
    profiles = [profile("one"), profile("two")]
    assert choose(profiles, replace(FACTS, profile="two")).name == "two"
    with pytest.raises(NoProfile, match="profile set on the device: three"):
        choose(profiles, replace(FACTS, profile="three"))


def test_a_credentials_own_template_asks_for_its_executor() -> None:
    profiles = [profile("by-ssh", priority=9), profile("by-fake", executor="fake")]
    assert choose(profiles, replace(FACTS, executor="fake")).name == "by-fake"


@given(st.permutations(range(6)), st.integers(0, 2))
def test_the_order_in_which_profiles_are_stored_does_not_matter(order: list[int], priority: int) -> None:
    made = [
        profile(f"p{number}", priority=number % 3, match=Match(vendor="acme" if number < 3 else None))
        for number in range(6)
    ]
    assert choose([made[number] for number in order], replace(FACTS, vendor="acme")).name == "p2"


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda item: item.name)
def test_a_profile_survives_json(shipped: Profile) -> None:
    assert Profile.model_validate(json.loads(json.dumps(shipped.model_dump(mode="json")))) == shipped


def test_options_keep_their_types_in_json_and_tags_their_order() -> None:
    made = profile("x", options={"a": True, "b": 1, "c": 1.5, "d": "1"}, match=Match(tags=frozenset("cab")))
    stored = made.model_dump(mode="json")
    assert stored["match"]["tags"] == ["a", "b", "c"]
    options = Profile.model_validate(stored).options
    assert [type(value) for value in options.values()] == [bool, int, float, str]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Two Words"},
        {"templates": {"dance": "x"}},
        {"proof": "hope"},
        {"priority": "1"},
        {"colour": "red"},
    ],
)
def test_a_profile_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Profile.model_validate(SHIPPED[0].model_dump(mode="json") | wrong)


def test_no_two_shipped_profiles_can_tie() -> None:
    for one, other in itertools.combinations(SHIPPED, 2):
        assert (one.service, one.login, one.match) != (other.service, other.login, other.match)


def test_vendor_and_model_of_a_device_choose_its_products_profile() -> None:
    router = replace(FACTS, vendor="cisco", model="ios xr")
    assert choose(SHIPPED, router).name == "cisco-iosxr-own-password"
    assert choose(SHIPPED, replace(router, login=LoginAs.OTHER)).name == "cisco-iosxr-by-administrator"
    enable = replace(router, model="IOS", kind=CredentialKind.ENABLE, login=LoginAs.OTHER)
    assert choose(SHIPPED, enable).name == "cisco-ios-enable"


def test_every_template_of_a_shipped_profile_is_shipped_for_its_action_and_login() -> None:
    files = {file.name: file for file in shipped()}
    for each in SHIPPED:
        for action, name in each.templates.items():
            assert (files[name].executor, files[name].action) == (each.executor, action)
            assert files[name].login == each.login
            assert files[name].proof in (None, each.proof)


def test_every_shipped_profile_changes_secrets() -> None:
    assert all(Action.CHANGE_SECRET in profile.templates for profile in SHIPPED)


def test_what_replaces_an_ssh_key_removes_the_old_one_later_and_passwords_have_none() -> None:
    for profile in SHIPPED:
        removes = Action.REMOVE_OLD_SECRET in profile.templates
        assert removes == (profile.match.kind is CredentialKind.SSH_KEY)
