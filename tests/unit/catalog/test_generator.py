"""Generated passwords meet every rule, and each password that does is equally likely."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.catalog.generator import (
    FIRST_CLASSES,
    GeneratorRules,
    UnsatisfiablePolicy,
    bits,
    class_of,
    generate,
    satisfiable,
    weakness,
)

PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
MINIMUM = st.integers(0, 2)
RULES = st.builds(
    GeneratorRules,
    length=st.integers(1, 20),
    alphabet=st.text(PRINTABLE, max_size=30) | st.just(PRINTABLE),
    exclude=st.text(PRINTABLE, max_size=10),
    min_lower=MINIMUM,
    min_upper=MINIMUM,
    min_digit=MINIMUM,
    min_symbol=MINIMUM,
    first=st.sampled_from(sorted(FIRST_CLASSES)),
    max_repeat=st.integers(0, 3),
)
SMALL = st.builds(
    GeneratorRules,
    length=st.integers(1, 4),
    alphabet=st.text("abA12-_", max_size=6),
    exclude=st.text("a1-", max_size=1),
    min_lower=st.integers(0, 1),
    min_upper=st.integers(0, 1),
    min_digit=st.integers(0, 2),
    min_symbol=st.integers(0, 1),
    first=st.sampled_from(sorted(FIRST_CLASSES)),
    max_repeat=st.integers(0, 3),
)


def meets(rules: GeneratorRules, password: str) -> bool:
    """The rules once more, the obvious way."""
    classes = Counter(class_of(char) for char in password)
    longest_run = max(len(list(run)) for _, run in itertools.groupby(password))
    return (
        len(password) == rules.length
        and set(password) <= set(rules.alphabet) - set(rules.exclude)
        and classes["lower"] >= rules.min_lower
        and classes["upper"] >= rules.min_upper
        and classes["digit"] >= rules.min_digit
        and classes["symbol"] >= rules.min_symbol
        and class_of(password[0]) in FIRST_CLASSES[rules.first]
        and password[0] != "-"
        and (rules.max_repeat == 0 or longest_run <= rules.max_repeat)
    )


def brute_force(rules: GeneratorRules) -> list[str]:
    texts = itertools.product(sorted(set(rules.alphabet)), repeat=rules.length)
    return ["".join(text) for text in texts if meets(rules, "".join(text))]


class Nth(random.Random):
    """Chooses a given number, and remembers out of how many."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.out_of = 0

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:  # noqa: ARG002 - Random's own
        self.out_of = start
        return self.number


@given(RULES, st.randoms(use_true_random=False))
@settings(max_examples=300)
def test_a_generated_password_meets_every_rule(rules: GeneratorRules, choose: random.Random) -> None:
    try:
        password = generate(rules, choose)
    except UnsatisfiablePolicy:
        assume(False)
        raise
    assert meets(rules, password.reveal())


@given(SMALL)
@settings(max_examples=300)
def test_every_password_that_meets_the_rules_has_exactly_one_number(rules: GeneratorRules) -> None:
    expected = brute_force(rules)
    if not expected:
        with pytest.raises(UnsatisfiablePolicy):
            generate(rules)
        return
    counter = Nth(0)
    generate(rules, counter)
    drawn = [generate(rules, Nth(number)).reveal() for number in range(counter.out_of)]
    assert sorted(drawn) == sorted(expected)
    assert bits(rules) == pytest.approx(math.log2(len(expected)))


def test_the_default_is_strong_and_safe() -> None:
    rules = GeneratorRules()
    assert bits(rules) >= 128
    assert weakness(rules) is None
    assert not set(rules.alphabet) & set("\"'`\\$!&|;<>(){}[]*?#~^ /")
    assert meets(rules, generate(rules).reveal())


def test_two_passwords_differ() -> None:
    assert generate(GeneratorRules()) != generate(GeneratorRules())


def test_twenty_two_letters_and_digits_have_131_bits() -> None:
    rules = GeneratorRules(
        length=22,
        exclude="-_.+:,=%@",
        min_lower=0,
        min_upper=0,
        min_digit=0,
        min_symbol=0,
        first="any",
        max_repeat=0,
    )
    assert bits(rules) == pytest.approx(22 * math.log2(62))


def test_a_weak_policy_is_warned_about() -> None:
    racf = GeneratorRules(
        length=8, alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_lower=0, min_symbol=0, first="upper"
    )
    warning = weakness(racf)
    assert warning is not None
    assert "fewer than 128" in warning


def test_a_password_never_begins_with_a_dash_even_where_symbols_may_come_first() -> None:
    rules = GeneratorRules(
        length=1, alphabet="-_", first="any", min_lower=0, min_upper=0, min_digit=0, min_symbol=1
    )
    assert {generate(rules).reveal() for _ in range(50)} == {"_"}


def test_rules_narrow_to_what_the_way_to_the_target_carries() -> None:
    narrowed = GeneratorRules().within("ABCabc123_", max_length=10)
    password = generate(narrowed).reveal()
    assert set(password) <= set("ABCabc123_")
    assert len(password) == 10
    assert GeneratorRules().within("") == GeneratorRules()


@pytest.mark.parametrize(
    ("rules", "executor_alphabet", "max_length", "reason"),
    [
        (GeneratorRules(), "ABCabc", None, "class digit"),
        (GeneratorRules(), "\u00e9", None, "no character is left of its alphabet"),
        (GeneratorRules(), "", 3, "lengthen it"),
        (GeneratorRules(first="digit", exclude="0123456789", min_digit=0), "", None, "first place"),
        (
            GeneratorRules(alphabet="-", first="any", min_lower=0, min_upper=0, min_digit=0),
            "",
            None,
            "first place",
        ),
        (
            GeneratorRules(alphabet="a", length=3, max_repeat=2, min_upper=0, min_digit=0, min_symbol=0),
            "",
            None,
            "contradict each other",
        ),
        (
            GeneratorRules(length=1, first="digit", min_upper=0, min_digit=0, min_symbol=0),
            "",
            None,
            "contradict",
        ),
    ],
)
def test_an_impossible_policy_is_refused_with_the_reason(
    rules: GeneratorRules, executor_alphabet: str, max_length: int | None, reason: str
) -> None:
    with pytest.raises(UnsatisfiablePolicy, match=reason):
        satisfiable(rules, executor_alphabet, max_length)


@pytest.mark.parametrize(
    "wrong",
    [
        {"length": 0},
        {"length": 65},
        {"length": "24"},
        {"length": True},
        {"alphabet": "abc "},
        {"alphabet": "abc\n"},
        {"alphabet": "\u00e4"},
        {"first": "vowel"},
        {"min_digit": -1},
        {"max_repeat": 4},
        {"lenght": 20},
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        GeneratorRules.model_validate(wrong)


def test_the_longest_default_rules_stay_within_the_recursion_limit() -> None:
    rules = GeneratorRules(length=64)
    assert meets(rules, generate(rules).reveal())
