"""Every tag has a kind, a meaning and a source; what is missing is named."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.templating.errors import BadValue, UnresolvableTag
from engine.templating.tags import TAGS, TagFacts, known_tag, resolve
from executors.contract import COMMON_ENCODERS, Secret, ValueKind, join, parse_text
from executors.language.tags import ALIASES

FACTS = TagFacts(
    username="svc-app",
    current_password=Secret("current-1"),
    new_password=Secret("new-[#USERNAME#]-2"),
    current_public_key="ssh-ed25519 AAAAcurrent keyturn:svc-app@web1:1",
    new_public_key="ssh-ed25519 AAAAnew keyturn:svc-app@web1:2",
    old_public_keys="AAAAcurrent AAAAolder",
    auth_user="root",
    auth_password=Secret("auth-3"),
    auth_domain="CORP",
    become_user="admin",
    become_password=Secret("become-4"),
    ip="10.0.0.7",
    hostname="web1.example",
    port=22,
    domain="corp.example",
    add_info="db=app",
)


def test_every_fact_has_exactly_one_tag() -> None:
    values = resolve(frozenset(TAGS), FACTS)
    assert sorted(value.reveal() for value in values.values()) == sorted(
        fact.reveal() if isinstance(fact, Secret) else str(fact)
        for fact in (getattr(FACTS, field.name) for field in fields(TagFacts))
    )


def test_every_tag_reads_the_fact_of_its_name() -> None:
    for name, value in resolve(frozenset(TAGS), FACTS).items():
        fact = getattr(FACTS, name.lower())
        assert value.reveal() == (fact.reveal() if isinstance(fact, Secret) else str(fact))


def test_passwords_are_secrets_and_nothing_else_is() -> None:
    assert {name for name, spec in TAGS.items() if spec.kind is ValueKind.SECRET} == {
        name for name in TAGS if name.endswith("PASSWORD")
    }


@pytest.mark.parametrize("name", sorted(TAGS))
def test_a_tag_without_value_says_what_to_do(name: str) -> None:
    with pytest.raises(UnresolvableTag) as caught:
        resolve(frozenset({name}), TagFacts())
    assert caught.value.tag == name
    assert TAGS[name].missing in str(caught.value)


def test_what_is_not_needed_may_be_missing() -> None:
    assert set(resolve(frozenset({"USERNAME"}), TagFacts(username="ann"))) == {"USERNAME"}


@pytest.mark.parametrize(("alias", "tag"), sorted(ALIASES.items()))
def test_an_alias_has_the_value_of_its_tag_under_its_own_name(alias: str, tag: str) -> None:
    values = resolve(frozenset({alias}), FACTS)
    assert values[alias] == resolve(frozenset({tag}), FACTS)[tag]


def test_an_alias_joins_where_it_stands_in_a_text() -> None:
    text = parse_text("say [#coe_senha#]")
    rendered = join(text, resolve(frozenset({"COE_SENHA"}), FACTS), COMMON_ENCODERS, "raw")
    assert rendered.wire.reveal() == "say auth-3"
    assert rendered.shown == "say ********"


@given(st.sampled_from(sorted({*TAGS, *ALIASES})), st.randoms(use_true_random=False))
def test_tags_are_found_in_any_case(name: str, choose: object) -> None:
    assert known_tag(name.lower()) is known_tag(name.title()) is known_tag(name) is not None
    assert name in resolve({name.lower()}, FACTS)


def test_an_unknown_tag_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnresolvableTag, match=r"\[#NEW_PASWORD#\].*no such tag; known: USERNAME"):
        resolve(frozenset({"NEW_PASWORD"}), FACTS)


def test_a_value_that_looks_like_a_tag_is_not_scanned_again() -> None:
    rendered = join(parse_text("[#NEW_PASSWORD#]"), resolve({"NEW_PASSWORD"}, FACTS), COMMON_ENCODERS, "raw")
    assert rendered.wire.reveal() == "new-[#USERNAME#]-2"


@pytest.mark.parametrize(
    ("facts", "tag"),
    [
        (TagFacts(username="-rf"), "USERNAME"),
        (TagFacts(ip="10.0.0.1; reboot"), "IP"),
        (TagFacts(port=0), "PORT"),
        (TagFacts(port=70000), "PORT"),
        (TagFacts(add_info="two\nlines"), "ADD_INFO"),
        (TagFacts(new_password=Secret("line\nfeed-canary")), "NEW_PASSWORD"),
    ],
)
def test_a_bad_value_is_named_by_its_tag_and_not_quoted(facts: TagFacts, tag: str) -> None:
    with pytest.raises(BadValue) as caught:
        resolve(frozenset({tag}), facts)
    assert caught.value.tag == tag
    assert "canary" not in str(caught.value)
