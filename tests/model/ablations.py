"""The protocol with one rule taken out at a time. Each must be found losing, or the search proves nothing.

They are subclasses in the tests, never settings of the engine.
"""

from __future__ import annotations

from dataclasses import replace

from engine.rotation.machine import Machine, Rotation
from engine.rotation.protocol import Close, Commit, Facts, Journal, Probe, Reply, Result, Why
from tests.model.world import NONE, Rules, Store


class NothingPersisted(Rules):
    """The candidate lives in the worker's memory until it is committed."""

    def journal(self, store: Store, _version: int) -> Store:
        return store

    def mark(self, store: Store) -> Store:
        return store


class Forgetful(Rules):
    """A candidate that is not pending any more is deleted."""

    def dropped(self, store: Store, _version: int) -> Store:
        return store._replace(candidate=NONE, sent=False)


class OnePrevious(Rules):
    """One version is kept beside the current one."""

    def kept(self, history: tuple[int, ...]) -> tuple[int, ...]:
        return history[:1]


class Unfenced(Rules):
    fenced = False


class UnfencedOnePrevious(OnePrevious):
    fenced = False


class NoEscrow(Rules):
    def restored(self, backup: Store, _escrowed: range) -> Store:
        return backup


class NoEvidence(Rules):
    """What earlier claims saw refused is forgotten."""

    def noted(self, store: Store, _close: Close) -> Store:
        return store


class CountedAnew(Rules):
    """Each claim may resend as often as the first one."""

    def mark(self, store: Store) -> Store:
        return super().mark(store)._replace(resent=0)


class FailureBelieved(Machine):
    def _applied(self, state: Rotation) -> Rotation:
        if state.reply is Reply.OK:
            return super()._applied(state)
        return self._close(state, Result.FAILED, Why.REPLY, discard=state.facts.candidate)


class SuccessBelieved(Machine):
    def _applied(self, state: Rotation) -> Rotation:
        candidate = state.facts.candidate
        if state.reply is not Reply.OK or candidate is None:
            return super()._applied(state)
        return replace(state, effect=Commit(candidate))


class FreshCandidate(Machine):
    """Whoever takes over makes a candidate of its own."""

    def begin(self, facts: Facts) -> Rotation:
        if facts.candidate is None:
            return super().begin(facts)
        return Rotation(replace(facts, sent=False), Journal(replaces=facts.candidate))


class BudgetIgnored(Machine):
    def _probe(self, state: Rotation, version: int) -> Rotation:
        return replace(state, effect=Probe(version))
