"""Credential names survive being written and read, and refuse what would change their meaning."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.catalog.names import (
    BIDI_CONTROLS,
    BadName,
    CredentialName,
    character_fault,
    device_name,
    normalise_authority,
    normalise_username,
    parse_credential_name,
    username_fault,
)

USERNAMES = (
    st.text(min_size=1, max_size=40)
    .map(lambda text: unicodedata.normalize("NFC", text))
    .filter(lambda text: username_fault(text) is None and "\\" not in text)
)
DEVICES = st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9._:-]{0,20}[A-Za-z0-9_:])?", fullmatch=True)
LABELS = st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,20}[A-Za-z0-9_])?", fullmatch=True)
NAMES = st.builds(CredentialName, USERNAMES, DEVICES, st.none() | LABELS, st.none() | LABELS)


@given(NAMES)
def test_a_written_name_reads_back_as_itself(name: CredentialName) -> None:
    assert parse_credential_name(str(name)) == name


@given(NAMES)
def test_normalising_twice_changes_nothing_more(name: CredentialName) -> None:
    assert name.normalised.normalised == name.normalised


@given(st.text(max_size=60))
def test_any_text_is_a_name_or_a_bad_name(text: str) -> None:
    try:
        name = parse_credential_name(text)
    except BadName:
        return
    assert parse_credential_name(str(name)) == name


def test_the_name_splits_at_the_last_at_sign() -> None:
    name = parse_credential_name("ann@corp.example@web1")
    assert (name.username, name.device) == ("ann@corp.example", "web1")


def test_the_full_form_names_domain_and_service() -> None:
    name = parse_credential_name(r"CORP\svc_sql@db1/sqlinst2")
    assert name == CredentialName("svc_sql", "db1", "CORP", "sqlinst2")


def test_a_slash_in_the_user_name_is_no_service() -> None:
    assert parse_credential_name("http/web@db1") == CredentialName("http/web", "db1")


def test_devices_compare_without_case_and_user_names_with_case() -> None:
    upper, lower = parse_credential_name(r"Corp\Ann@Web1/SQL"), parse_credential_name(r"corp\Ann@web1/sql")
    assert upper.normalised == lower.normalised
    assert parse_credential_name("Ann@web1").normalised != parse_credential_name("ann@web1").normalised


def test_composed_and_decomposed_letters_are_one_user_name() -> None:
    assert parse_credential_name("u\u0308ser@web1") == parse_credential_name("\u00fcser@web1")
    assert normalise_username("u\u0308") == "\u00fc"


def test_authorities_compare_without_case() -> None:
    assert normalise_authority("CORP.Example") == normalise_authority("corp.example")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "root",
        "@web1",
        "root@",
        "root@web 1",
        "root@web1/",
        "root@web1/a/b",
        "root@web1/a b",
        r"\root@web1",
        r"a\b\root@web1",
        "-rf@web1",
        "root:x@web1",
        " root@web1",
        "root @web1",
        "ro\not@web1",
        "ro\u202eot@web1",
        "ro\u200bot@web1",
        "ro\ud800ot@web1",
        "root@web1\n",
        "root@-web1",
        "root@w\u00e9b1",
        "r" * 256 + "@web1",
        "root@" + "w" * 255,
    ],
)
def test_names_that_would_mean_something_else_are_refused(text: str) -> None:
    with pytest.raises(BadName):
        parse_credential_name(text)


def test_a_user_name_with_a_backslash_would_read_back_as_a_domain() -> None:
    with pytest.raises(BadName, match="domain"):
        CredentialName("corp\\ann", "web1")


@given(st.characters())
def test_every_control_separator_surrogate_and_bidi_character_is_found(char: str) -> None:
    forbidden = unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or char in BIDI_CONTROLS
    assert (character_fault(f"a{char}b") is not None) == forbidden


def test_device_names_hold_no_separators_of_credential_names() -> None:
    assert device_name("web-1.corp_x") == "web-1.corp_x"
    for text in ("a@b", "a/b", "a b", "", "-a", "a\\b", "a."):
        with pytest.raises(BadName):
            device_name(text)
