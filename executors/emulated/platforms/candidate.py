"""Devices whose changes wait in a candidate configuration until they are committed."""

from __future__ import annotations

from typing import Final

from executors.emulated.account import Refusal
from executors.emulated.cli import Cli
from executors.emulated.trouble import Point

MOST_STAGED: Final = 100


class Candidate(Cli):
    """`staged`: the passwords that the next commit sets, by account."""

    failure: Refusal | None = None

    def enter(self, mode: str, where: str = "") -> None:
        if mode == self.first and not self.mode:
            self.staged: dict[str, str] = {}
        super().enter(mode, where)

    def stage(self, name: str, new: str) -> None:
        if name in self.staged or len(self.staged) < MOST_STAGED:
            self.staged[name] = new

    def commit_staged(self, armed: float | None = None) -> Refusal | None:
        """All or nothing by the rules. `armed`: undone after so many seconds unless committed again."""
        self.at(Point.BEFORE_SAVE)
        made = self.made(self.staged)
        self.failure = next(filter(None, (self.device.judge(*each) for each in self.staged.items())), None)
        if self.failure:
            self.unmade(made)
            return self.failure
        self.device.disarm()
        if armed is not None:
            self.device.arm(armed)
        for name, new in self.staged.items():
            self.failure = self.change(name, new) or self.failure
        self.staged.clear()
        self.at(Point.AFTER_SAVE)
        return self.failure
