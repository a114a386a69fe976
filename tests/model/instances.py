"""Every instance that is searched, and what must come out."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.rotation.machine import Machine
from engine.rotation.protocol import Mode, Reply
from tests.model import ablations
from tests.model.search import ALL, SAFE, Check, Finding, disorder, lost_to_all, overdrawn, search, unproven
from tests.model.world import Bounds, Rules, World

REFUSED_BY_POLICY = frozenset({1})
LOST: tuple[Check, ...] = (lost_to_all,)
NOTHING: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Instance:
    """`expected` is the first word of the verdict."""

    name: str
    bounds: Bounds
    machine: Machine = field(default_factory=Machine)
    rules: Rules = field(default_factory=Rules)
    checks: tuple[Check, ...] = ALL
    expected: str = SAFE

    def search(self) -> Finding:
        return search(World(self.bounds, self.machine, self.rules), self.checks)


def _both(name: str, small: Bounds) -> list[Instance]:
    return [Instance(f"{name}, {mode} mode", _in(mode, small)) for mode in Mode]


def _in(mode: Mode, bounds: Bounds) -> Bounds:
    from dataclasses import replace

    return replace(bounds, mode=mode)
