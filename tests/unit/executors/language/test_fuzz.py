"""No body makes the parser raise, no value is altered; `python -m tests.fuzz` does the same for longer."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executors.language.parsing import parse
from tests.fuzz import NAMES, SCRAPS, WORDS, dialogues, encoders, parsing

SEED = 20261122

PIECES = [*SCRAPS, *(f"\n{word} " for word in WORDS)]
bodies = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.text(max_size=40), st.binary(max_size=40)
)


@settings(max_examples=10_000, suppress_health_check=[HealthCheck.too_slow])
@given(bodies, st.sampled_from(NAMES))
def test_no_body_makes_the_parser_raise(body: str | bytes, executor: str) -> None:
    parsed = parse(body, executor, "change_secret")
    assert parsed.steps or parsed.findings


@pytest.mark.parametrize("executor", NAMES)
def test_bent_templates_have_findings_and_no_errors(executor: str) -> None:
    assert list(parsing(Random(SEED), 200, executor)) == []


def test_dialogues_send_what_they_should() -> None:
    assert list(dialogues(Random(SEED), 500)) == []


def test_encoded_values_are_read_back_as_they_were() -> None:
    assert list(encoders(Random(SEED), 500)) == []


@pytest.mark.parametrize(
    "body",
    [
        'expect-regex "/' + "(" * 400 + '/"',
        'expect-regex "/' + "(a|b)" * 150 + '/"',
        'expect "' + "*" * 16000 + '"',
        'exec "' + "\\" * 16000 + '"',
        'exec "' + '\\"' * 8000,
        "use ssh script\n" + "expect { a {" * 2000,
        "use ssh script\n" + "{" * 16000,
        'use ssh script\nsend "' + "\\x" * 7000,
        "x = " + "(" * 8000,
        "x = " + "-" * 16000 + "1",
        "select " + "'" * 16001,
        "[#" * 8000,
        "\n" * 4999 + "#",
    ],
    ids=lambda body: body[:24],
)
@pytest.mark.parametrize("executor", ["ssh", "tk_expect", "selenium", "oracle", "ldap", "http", "winrm"])
def test_deep_and_long_bodies_are_harmless(body: str, executor: str) -> None:
    parsed = parse(body, executor, "change_secret")
    assert parsed.findings
