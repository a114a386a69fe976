"""Policies are the same after a trip through JSON, and count tries as the table says."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.catalog.generator import bits
from engine.catalog.policies import DEFAULT, SHIPPED, LockoutBudget, PolicyData, Retry


@given(st.builds(PolicyData, settle_seconds=st.floats(0, 86400), overlap_seconds=st.floats(0, 86400)))
def test_a_policy_survives_json(policy: PolicyData) -> None:
    stored = json.dumps(policy.model_dump(mode="json"))
    assert PolicyData.model_validate(json.loads(stored)) == policy
    assert PolicyData.model_validate_json(stored) == policy


@pytest.mark.parametrize(
    ("threshold", "probes"), [(None, 1), (1, 0), (2, 0), (3, 1), (4, 2), (5, 2), (100, 2)]
)
def test_probes_leave_people_a_try_of_their_own(threshold: int | None, probes: int) -> None:
    assert LockoutBudget(threshold=threshold).probes_allowed == probes


@given(st.integers(1, 10_000), st.floats(0.1, 100), st.floats(0.1, 10_000), st.randoms(use_true_random=False))
def test_a_delay_is_between_nothing_and_the_doubled_base_and_never_over_the_cap(
    failed: int, base: float, cap: float, choose: random.Random
) -> None:
    delay = Retry(base_seconds=base, cap_seconds=cap).delay(failed, choose)
    assert 0 <= delay <= cap
    assert delay <= base * 2.0 ** min(failed - 1, 1000)


def test_jitter_is_full() -> None:
    choose = random.Random(7)
    delays = [Retry(base_seconds=100.0).delay(1, choose) for _ in range(500)]
    assert min(delays) < 5
    assert max(delays) > 95


@pytest.mark.parametrize(
    "wrong",
    [
        {"retry": {"attempts": 0}},
        {"retry": {"base_seconds": -1}},
        {"retry": {"cap_seconds": float("inf")}},
        {"lockout": {"threshold": 0}},
        {"lockout": {"threshold": "4"}},
        {"settle_seconds": float("nan")},
        {"settle_seconds": True},
        {"generator": {"length": 0}},
        {"colour": "red"},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PolicyData.model_validate(wrong)


def test_the_shipped_default_is_strong() -> None:
    assert SHIPPED == {"default": DEFAULT}
    assert bits(DEFAULT.generator) >= 128
    assert DEFAULT.lockout.probes_allowed == 1
