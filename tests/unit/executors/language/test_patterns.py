"""Patterns: PCRE literals in Python's words, what is taken literally, what is refused, values as literals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.language.patterns import Regex, regex, wildcard
from tests.unit.executors.language.played import values


def matches(source: str, text: str, **given: str) -> bool:
    pattern, _ = regex(source)
    return pattern.compiled(values(**given)).find(text, 0) is not None


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("/[$|#|>]/", "host$"),
        ("/[#$>]/", "r1>"),
        ("/[#$>] ?$/", "host# "),
        ("/password/i", "New PassWord"),
        ("/^ok$/m", "x\nok\ny"),
        ("/a.b/s", "a\nb"),
        ("/[[:alpha:]]+[[:digit:]]/", "ab1"),
        ("/(?<n>x)y/", "xy"),
        ("/(?i)abc/", "ABC"),
        ("/x\\hy/", "x\ty"),
        ("/a\\z/", "ba"),
        ("~a/b~", "a/b"),
        ("/a{2}/", "aa"),
        ("/{x}/", "{x}"),
        ("/[]x]/", "]"),
        ("/[^]x]/", "a"),
        ("/[a&&b||d~~e]/", "|"),
        ("/(?:foo|bar)+/", "barfoo"),
        ("/#/", "#"),
        ("[nN]ew password:", "New password:"),
        ("# ", "x# "),
        ("$ ", "host$ "),
        ("/(/", "a ( b"),
        ("/$ /", "host$ "),
        ("/*/", "*"),
        ("/\\Qa/", "\\Qa"),
    ],
)
def test_a_regular_expression_finds(source: str, text: str) -> None:
    assert matches(source, text)


@pytest.mark.parametrize(
    ("source", "text"),
    [("/^ok$/", "x\nok\ny"), ("/password/", "PASSWORD"), ("/a.b/", "a\nb"), ("$ ", "host ")],
)
def test_a_regular_expression_does_not_find(source: str, text: str) -> None:
    assert not matches(source, text)


@pytest.mark.parametrize(
    "source",
    [
        "/(a+)+/",
        "/(a*)*b/",
        "/(a|a)*/",
        "/(a|ab)+/",
        "/((a+)b?)+/",
        "/(\\w|x){2,}/",
        "/(.*,){30}/",
        "/(a+){99}/",
    ],
)
def test_what_could_take_for_ever_is_refused(source: str) -> None:
    assert "regex-may-hang" in regex(source)[1]


@pytest.mark.parametrize(
    "source", ["/(ab)+/", "/(a|b)*/", "/(?:yes|no)+/", "/(a+)?/", "/a+b+c*/", "/(a{2}){3}/"]
)
def test_harmless_repeats_are_kept(source: str) -> None:
    pattern, codes = regex(source)
    assert codes == ()
    assert isinstance(pattern, Regex)


def test_values_stand_as_literals_inside_and_outside_of_classes() -> None:
    assert matches("/x[#USERNAME#]+y/", "xa.ba.by", USERNAME="a.b")
    assert not matches("/x[#USERNAME#]+y/", "xaxby", USERNAME="a.b")
    assert matches("/^[[#USERNAME#]]$/", "-", USERNAME="a-]")
    assert not matches("/^[[#USERNAME#]]$/", "b", USERNAME="a-c")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30))
def test_any_value_matches_itself_alone(text: str) -> None:
    assert matches("/^[#USERNAME#]\\z/", text, USERNAME=text)
    assert not matches("/^[#USERNAME#]\\z/", text + "x", USERNAME=text)


def test_the_marks_of_tags_are_no_characters_of_a_value() -> None:
    assert matches("/[#USERNAME#][#IP#]/", "\ue0001", USERNAME="\ue000", IP="1")
    assert matches("/[#USERNAME#][#IP#]/", "\ue0012", USERNAME="\ue001", IP="2")


@given(st.text(alphabet="ab*", max_size=8), st.text(alphabet="ab", max_size=12))
def test_wildcards_find_what_a_glob_between_stars_finds_and_end_earliest(pattern: str, text: str) -> None:
    matcher = wildcard(pattern).compiled({})
    span = matcher.find(text, 0)
    pieces = [piece for piece in pattern.split("*") if piece]
    if not pieces:
        return
    shortest = next((end for end in range(len(text) + 1) if contains(pieces, text[:end])), None)
    assert (span[1] if span else None) == shortest


def contains(pieces: list[str], text: str) -> bool:
    for piece in pieces:
        _, found, text = text.partition(piece)
        if not found:
            return False
    return True
