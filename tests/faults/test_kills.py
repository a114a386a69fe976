"""Processes that run the real engine are killed at every point; the target says whether a secret was lost."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.ablations import BY_CRASH, Ablation
from tests.faults.kills import Campaign, Running, Tally, campaign, workspace

KILLS = 2000
ENOUGH = 150  # rounds within which a broken rule must show


@pytest.fixture
def base() -> Iterator[Path]:
    made = workspace()
    yield made
    shutil.rmtree(made)


@pytest.mark.timeout(2700)
def test_two_thousand_kills_lose_nothing_and_reach_every_point() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    tally = campaign(KILLS, seed)
    print(tally.report())
    assert tally.good, tally.report()
    assert tally.kills >= KILLS


@pytest.mark.parametrize("name", BY_CRASH)
def test_a_broken_rule_is_found_losing(base: Path, name: str) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    tally = Running(base / "rounds", lambda made: losing(made, BY_CRASH[name], seed)).tally()
    assert tally.lost, f"{name}: nothing lost in {tally.rounds} rounds, seed {seed}; {tally.wrong}"


def losing(base: Path, ablation: Ablation, seed: int) -> Tally:
    made = Campaign(base, seed, ablation.parts, (ablation.scenario,))
    while not made.tally.lost and made.tally.rounds < ENOUGH:
        made.one()
    return made.tally
