"""Every instance that is searched, and what must come out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from engine.rotation.machine import Machine
from engine.rotation.protocol import Mode, Reply
from tests.model import ablations
from tests.model.search import ALL, SAFE, Check, Finding, lost_to_all, overdrawn, search, unproven
from tests.model.world import Bounds, Rules, World

REFUSED_BY_POLICY = frozenset({1})
LOST: tuple[Check, ...] = (lost_to_all,)
PLAIN_REPLIES = (Reply.OK, Reply.UNSURE)


@dataclass(frozen=True)
class Instance:
    """`expected` is the verdict up to its colon."""

    name: str
    bounds: Bounds
    machine: Machine = field(default_factory=Machine)
    rules: Rules = field(default_factory=Rules)
    checks: tuple[Check, ...] = ALL
    expected: str = SAFE

    def search(self) -> Finding:
        return search(World(self.bounds, self.machine, self.rules), self.checks)


def _both(name: str, bounds: Bounds) -> list[Instance]:
    return [Instance(f"{name}, {mode} mode", replace(bounds, mode=mode)) for mode in Mode]


SMALL = Bounds(versions=2, kills=1, pauses=1)
OUTSIDE = Bounds(versions=2, kills=0, pauses=0, outsiders=1, cancels=False)
STALE = Bounds(versions=2, kills=0, pauses=1, stale_go_on=True, cancels=False, replies=PLAIN_REPLIES)
POLICY = replace(SMALL, versions=3, refuses=REFUSED_BY_POLICY)

PROTOCOL = [
    *_both("the whole protocol", SMALL),
    *_both("one probe in a window", replace(SMALL, budget=1)),
    *_both("two secrets open for a while", replace(SMALL, overlap=True)),
    *_both("two secrets open for a while, one probe in a window", replace(SMALL, overlap=True, budget=1)),
    Instance(
        "a self-change that never asks for the old secret",
        replace(SMALL, versions=3, kills=0, pauses=0, asks_old=False),
    ),
    *_both("the first candidate is refused by policy", POLICY),
    *_both("refused by policy, one probe in a window", replace(POLICY, budget=1)),
    Instance("refused by policy, overlap, one probe in a window", replace(POLICY, overlap=True, budget=1)),
    *_both("an old backup is restored, with the escrow journal", replace(SMALL, restores=True)),
    *_both("somebody changes the secret outside", OUTSIDE),
    *_both("changed outside, one probe in a window", replace(OUTSIDE, budget=1)),
    Instance("stale workers go on to their next write, self mode", STALE),
]

WHOLE = [
    *_both("three versions", replace(SMALL, versions=3)),
    *_both("three versions, one probe in a window", replace(SMALL, versions=3, budget=1)),
    *_both("two kills and two pauses", replace(SMALL, kills=2, pauses=2)),
    *_both("two resends", replace(SMALL, resends=2, kills=2)),
    *_both("restored with three versions, one probe", replace(SMALL, versions=3, budget=1, restores=True)),
    *_both("changed outside, with a kill", replace(OUTSIDE, kills=1)),
    *_both("changed outside and refused by policy", replace(OUTSIDE, versions=3, refuses=REFUSED_BY_POLICY)),
    *_both("stale workers go on, with a kill", replace(STALE, kills=1)),
    # The one rule whose loss the machine survives as long as every version is kept.
    Instance(
        "no fencing, full history kept: neither lost nor stuck",
        replace(STALE, budget=1, in_flight=1, resends=0, regenerations=0, replies=(Reply.OK,)),
        rules=ablations.Unfenced(),
        checks=LOST,
    ),
]

ABLATIONS = [
    Instance(
        "nothing is persisted before the change is sent",
        SMALL,
        rules=ablations.NothingPersisted(),
        checks=LOST,
        expected="lost",
    ),
    Instance(
        "a failure reply is believed and the candidate dropped",
        SMALL,
        ablations.FailureBelieved(),
        ablations.Forgetful(),
        LOST,
        "lost",
    ),
    Instance(
        "a take-over makes a new candidate and drops the old one",
        replace(SMALL, versions=3),
        ablations.FreshCandidate(),
        ablations.Forgetful(),
        LOST,
        "lost",
    ),
    Instance(
        "no fencing, and only one previous version is kept",
        replace(STALE, versions=3),
        rules=ablations.UnfencedOnePrevious(),
        checks=LOST,
        expected="lost",
    ),
    Instance(
        "only one previous version is kept, reset mode, a late request",
        Bounds(mode=Mode.RESET, versions=4, kills=0, pauses=0, cancels=False, replies=PLAIN_REPLIES),
        rules=ablations.OnePrevious(),
        checks=LOST,
        expected="lost",
    ),
    Instance(
        "an old backup is restored without an escrow journal",
        replace(SMALL, restores=True),
        rules=ablations.NoEscrow(),
        checks=LOST,
        expected="lost",
    ),
    Instance(
        "no evidence is carried over, one probe in a window",
        replace(SMALL, budget=1),
        rules=ablations.NoEvidence(),
        checks=LOST,
        expected="stuck",
    ),
    Instance(
        "resends are counted anew at each claim",
        replace(OUTSIDE, mode=Mode.RESET, refuses=REFUSED_BY_POLICY),
        rules=ablations.CountedAnew(),
        checks=LOST,
        expected="stuck",
    ),
    Instance(
        "a success reply is believed",
        SMALL,
        ablations.SuccessBelieved(),
        checks=(unproven,),
        expected="unproven",
    ),
    Instance(
        "probes are not budgeted", SMALL, ablations.BudgetIgnored(), checks=(overdrawn,), expected="overdrawn"
    ),
]
