"""The engine with one rule taken out at a time. The harness must find each losing, or it proves nothing.

They are subclasses in the tests, never settings. `tests.model.ablations` does the same to the model, and has
those that need more than a crash, a pause, a late request or a restore.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, exists

from engine.operations.claims import Claim
from engine.operations.ledger import Evidence, Ledger, Tried
from engine.operations.states import OperationState
from engine.rotation.protocol import Close
from engine.vault.journal import JournalWriter, Record
from engine.vault.models import secret_version
from tests.faults.process import Parts
from tests.faults.scenarios import CHANGE, SCENARIOS, Scenario, own
from tests.model.ablations import FailureBelieved, FreshCandidate


class NoEscrow(JournalWriter):
    def append(self, records: Sequence[Record]) -> None:
        pass

    def mark_committed(self, records: Iterable[Record]) -> None:
        pass


class NothingPersisted(Ledger):
    """The candidate lives in the worker's memory until it is proven."""

    held: Callable[[], None]

    def journaled(
        self, claim: Claim, record: Record, replaces: int | None, parent_version: int | None
    ) -> None:
        journaled = super().journaled
        self.held = lambda: journaled(claim, record, replaces, parent_version)

    def committed(
        self, claim: Claim, number: int, tried: Sequence[Tried], evidence: Evidence, ends: bool
    ) -> None:
        self.held()
        super().committed(claim, number, tried, evidence, ends)


class Forgetful(Ledger):
    """A candidate that is given up is deleted."""

    def journaled(
        self, claim: Claim, record: Record, replaces: int | None, parent_version: int | None
    ) -> None:
        super().journaled(claim, record, replaces, parent_version)
        if replaces is not None:
            self._forget(claim, secret_version.c.number == replaces)

    def closed(
        self, claim: Claim, close: Close, tried: Sequence[Tried], evidence: Evidence
    ) -> OperationState:
        state = super().closed(claim, close, tried, evidence)
        if close.discard is not None:
            self._forget(claim, secret_version.c.number == close.discard)
        return state

    def _forget(self, claim: Claim, *which: object) -> None:
        with self._database.writing() as connection:
            mine = secret_version.c.credential_id == claim.credential.id
            connection.execute(delete(secret_version).where(mine, *which))  # type: ignore[arg-type]


class OnePrevious(Forgetful):
    """One version is kept beside the current one."""

    def committed(
        self, claim: Claim, number: int, tried: Sequence[Tried], evidence: Evidence, ends: bool
    ) -> None:
        super().committed(claim, number, tried, evidence, ends)
        self._forget(claim, secret_version.c.status.in_(("history", "unused")))


class UnfencedOnePrevious(OnePrevious):
    """A worker whose lease was taken over writes, and sends, as if nothing had happened."""

    def _guard(self, connection: Connection, claim: Claim) -> None:
        pass

    def marked(self, claim: Claim, number: int | None, tried: Sequence[Tried]) -> bool:
        there = exists().where(
            secret_version.c.credential_id == claim.credential.id, secret_version.c.status == "candidate"
        )
        with self._database.reading() as connection:
            fresh = connection.execute(there.select()).scalar()
        return super().marked(claim, number, tried) if fresh else True


@dataclass(frozen=True)
class Ablation:
    parts: Parts
    scenario: Scenario


def scene(name: str) -> Scenario:
    return next(each for each in SCENARIOS if each.name == name)


BY_CRASH = {
    "nothing persisted before sending": Ablation(
        Parts(ledger=NothingPersisted, journal=NoEscrow), scene("self-change")
    ),
    "a failure believed, its candidate dropped": Ablation(
        Parts(machine=FailureBelieved, ledger=Forgetful, journal=NoEscrow), scene("refuses and does it")
    ),
    "a take-over makes another candidate": Ablation(
        Parts(machine=FreshCandidate, ledger=Forgetful, journal=NoEscrow), scene("self-change")
    ),
    "one previous version kept, a late request": Ablation(
        Parts(ledger=OnePrevious, journal=NoEscrow), scene("late request")
    ),
}
BY_PAUSE = {
    "no fencing, one previous version kept": Ablation(
        Parts(ledger=UnfencedOnePrevious, journal=NoEscrow),
        Scenario("changed three times", own(), (CHANGE, CHANGE, CHANGE)),
    ),
}
BY_RESTORE = ("an old backup, no escrow journal",)
"""Found by `test_restore`: what a crash, a pause or a restore alone can reach are these three lists."""
