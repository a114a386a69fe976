"""Real workers over PostgreSQL and Redis change real accounts while all of these break; nothing is lost."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.outage import outage
from tests.faults.storm import CHANGES, KILL, UNFINISHED, storm
from tests.peers import postgres as postgres_peer
from tests.peers import redis as redis_peer
from tests.peers import sshd as sshd_peer
from tests.peers.availability import require_peer

KILLS, OTHERS = 30, 5


@pytest.mark.timeout(2700)
def test_a_storm_of_faults_loses_nothing_and_everything_ends(tmp_path: Path) -> None:
    require_peer("sshd", sshd_peer.available(), sshd_peer.HOW)
    require_peer("postgresql", postgres_peer.available(), postgres_peer.HOW)
    require_peer("redis", redis_peer.available(), redis_peer.HOW)
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    tally = storm(tmp_path, KILLS, OTHERS, CHANGES, seed)
    print(tally.report())
    assert tally.good, tally.report()
    assert tally.changes >= CHANGES
    assert sum(tally.ended.values()) == tally.changes
    assert tally.faults.pop(KILL) == KILLS
    assert set(tally.faults.values()) == {OTHERS}
    assert tally.least_unfinished >= UNFINISHED
    assert sum(tally.at_work) >= KILLS, "workers were killed that did nothing"


@pytest.mark.timeout(1500)
def test_while_the_database_is_away_nothing_is_sent_and_afterwards_all_goes_on(tmp_path: Path) -> None:
    require_peer("postgresql", postgres_peer.available(), postgres_peer.HOW)
    require_peer("redis", redis_peer.available(), redis_peer.HOW)
    assert outage(tmp_path, 5.0) == ""
