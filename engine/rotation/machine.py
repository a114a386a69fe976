"""The machine itself: `begin(facts)` and `receive(state, event)` give the next state, which holds the next
effect.

Four rules carry it. A candidate is stored before it can be sent. A reply is never believed; a probe
decides. Whoever takes over goes on with the same candidate. A candidate is dropped from sight only when it
is *proven unused*: refused, while an older version opens, with nothing sent since. Even then it stays in
the history, which is probed when nothing else opens.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from engine.rotation.protocol import (
    Adopt,
    Adopted,
    Applied,
    Apply,
    Close,
    Closed,
    Commit,
    Committed,
    Connect,
    Connected,
    Effect,
    Event,
    Facts,
    Fenced,
    Goal,
    Journal,
    Journaled,
    Mark,
    Marked,
    MarkRefused,
    Mode,
    NotConnected,
    NotJournaled,
    Persist,
    Persisted,
    Probe,
    Probed,
    Reply,
    Result,
    Verdict,
    Why,
)


class ProtocolError(Exception):
    """An event that does not answer the outstanding effect: a defect of the shell, never of a target."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """The state of one claim. `effect` is outstanding; None once everything is done."""

    facts: Facts
    effect: Effect | None
    opened: int | None = None  # a version that opened since the last change request
    reply: Reply | None = None  # to the last change request, as far as anybody heard it
    connected: bool = False
    tried: frozenset[int] = field(default=frozenset())  # versions refused since the last change request


def begin(facts: Facts) -> Rotation:
    """The first step of a claim, whether fresh or a take-over."""
    return Machine().begin(facts)


def receive(state: Rotation, event: Event) -> Rotation:
    """The step that follows `event`. Raises ProtocolError."""
    return Machine().receive(state, event)


class Machine:
    """Stateless; a class only so that tests can break single rules in a subclass and see the loss found."""

    def begin(self, facts: Facts) -> Rotation:
        state = Rotation(facts, None, reply=facts.reply, tried=facts.refused)
        if facts.committed or facts.goal in (Goal.ACTIVATE, Goal.DEACTIVATE):
            return self._connect(state)
        if facts.sent or facts.goal is Goal.VERIFY:
            return self._judge(state)
        if facts.candidate is None:
            return replace(state, effect=Journal())
        return self._connect(state)

    def receive(self, state: Rotation, event: Event) -> Rotation:
        if isinstance(event, Fenced):
            return replace(state, effect=None)
        match state.effect, event:
            case Journal(), Journaled(version):
                facts = replace(state.facts, candidate=version, sent=False, refused=frozenset())
                return self._connect(replace(state, facts=facts))
            case Journal(replaces), NotJournaled():
                return self._not_journaled(state, replaces)
            case Connect(), Connected():
                return self._connected(replace(state, connected=True))
            case Connect(), NotConnected(reply):
                return self._not_connected(state, reply)
            case Mark(version), Marked():
                facts = replace(state.facts, sent=True, refused=frozenset())
                return replace(state, facts=facts, effect=Apply(version), opened=None, tried=frozenset())
            case Mark(), MarkRefused():
                return self._forbidden(state)
            case Apply(), Applied(reply):
                return self._applied(replace(state, reply=reply))
            case Probe(version), Probed(probed, verdict) if version == probed:
                return self._probed(state, version, verdict)
            case Commit(version), Committed():
                return self._committed(state, version)
            case Adopt(version), Adopted():
                return self._adopted(state, version)
            case Persist(), Persisted(saved):
                return self._close(state, Result.SUCCEEDED if saved else Result.NOT_SAVED)
            case Close(), Closed():
                return replace(state, effect=None)
        raise ProtocolError(f"{event!r} does not answer {state.effect!r}")

    # Connecting and sending

    def _not_journaled(self, state: Rotation, replaces: int | None) -> Rotation:
        if replaces is None:
            return self._close(state, Result.RETRY, Why.REPLY)
        return self._close(state, Result.FAILED, Why.PROVEN_UNUSED, discard=replaces)

    def _connect(self, state: Rotation) -> Rotation:
        login = None
        if state.facts.mode is Mode.SELF:
            login = state.opened if state.opened is not None else state.facts.current
        return replace(state, effect=Connect(login), connected=False)

    def _connected(self, state: Rotation) -> Rotation:
        if state.facts.committed:
            return replace(state, effect=Persist())
        if state.facts.goal is Goal.CHANGE and state.facts.probes <= 0:
            return self._undecided(state, Why.BUDGET)  # what cannot be proven is not sent
        return replace(state, effect=Mark(state.facts.candidate))

    def _not_connected(self, state: Rotation, reply: Reply) -> Rotation:
        facts = state.facts
        if facts.committed:
            return self._close(state, Result.NOT_SAVED)
        if facts.sent:
            return self._undecided(state, Why.UNREACHABLE)
        if reply is Reply.STOP:
            return self._close(state, Result.FAILED, Why.REPLY, discard=facts.candidate)
        return self._close(state, Result.RETRY, Why.REPLY)

    def _forbidden(self, state: Rotation) -> Rotation:
        """Before the first send of all nothing has happened. Later the candidate was just proven unused,
        or nothing opens."""
        facts = state.facts
        if not facts.sent:
            result = Result.FAILED if facts.replaced else Result.CANCELED
            return self._close(state, result, Why.FORBIDDEN, discard=facts.candidate)
        if state.opened is None:
            return self._close(state, Result.NEEDS_PERSON, Why.FORBIDDEN)
        return self._close(state, Result.FAILED, Why.FORBIDDEN, discard=facts.candidate)

    def _applied(self, state: Rotation) -> Rotation:
        if state.facts.goal in (Goal.CHANGE, Goal.VERIFY):
            return self._judge(state)
        current = state.facts.current
        if current is None:
            ok = state.reply is Reply.OK
            return self._close(state, Result.SUCCEEDED if ok else Result.FAILED, Why.REPLY)
        return self._probe(state, current)

    # Probing

    def _judge(self, state: Rotation) -> Rotation:
        """Decide by what is known; where that is not enough, probe what tells most."""
        facts = state.facts
        candidate = facts.candidate if facts.sent else None
        if candidate is not None and state.opened == candidate:
            return replace(state, effect=Commit(candidate))
        if candidate is not None and candidate not in state.tried:
            return self._probe(state, self._first_look(state, candidate))
        if state.opened is not None:
            return self._older_opens(state, state.opened)
        older = self._next_older(state)
        if older is not None:
            return self._probe(state, older)
        return self._nothing_opens(state)

    def _first_look(self, state: Rotation, candidate: int) -> int:
        """With a budget of one probe, after a doubtful reply the current secret goes first: if it opens, that
        costs nothing.

        Where the target may accept two secrets that would show nothing, so there the candidate goes first.
        """
        facts = state.facts
        doubtful = state.reply is not Reply.OK and facts.budget == 1 and not facts.overlap
        fresh = facts.current is not None and facts.current not in state.tried and state.opened is None
        return facts.current if doubtful and fresh and facts.current is not None else candidate

    def _next_older(self, state: Rotation) -> int | None:
        facts = state.facts
        known = (facts.current, *facts.history)
        if facts.mode is Mode.RESET and facts.sent and facts.resends > 0:
            known = (facts.current,)  # another account can simply send the same candidate again
        return next((v for v in known if v is not None and v not in state.tried), None)

    def _probe(self, state: Rotation, version: int) -> Rotation:
        if state.facts.probes <= 0:
            return self._undecided(state, Why.BUDGET)
        return replace(state, effect=Probe(version))

    def _probed(self, state: Rotation, version: int, verdict: Verdict) -> Rotation:
        if verdict is Verdict.UNKNOWN:
            return self._undecided(state, Why.UNREACHABLE)
        if verdict is Verdict.LOCKED:
            return self._undecided(state, Why.LOCKED)
        facts = state.facts
        if verdict is Verdict.OPENS:
            state = replace(state, opened=version, facts=replace(facts, probes=facts.budget))
        else:
            state = replace(
                state, tried=state.tried | {version}, facts=replace(facts, probes=facts.probes - 1)
            )
        if facts.goal in (Goal.ACTIVATE, Goal.DEACTIVATE):
            wanted = Verdict.OPENS if facts.goal is Goal.ACTIVATE else Verdict.REFUSED
            return self._close(state, Result.SUCCEEDED if verdict is wanted else Result.FAILED, Why.REPLY)
        return self._judge(state)

    # What the probes showed

    def _older_opens(self, state: Rotation, opened: int) -> Rotation:
        """The candidate, if one is out, is refused, and `opened` is in force."""
        facts = state.facts
        if opened != facts.current:
            return replace(state, effect=Adopt(opened))
        if facts.candidate is None or not facts.sent:
            return self._close(state, Result.SUCCEEDED)
        return self._unused(state, facts.candidate)

    def _unused(self, state: Rotation, candidate: int) -> Rotation:
        facts = state.facts
        if state.reply is Reply.POLICY and facts.regenerations > 0:
            facts = replace(
                facts,
                regenerations=facts.regenerations - 1,
                replaced=True,
                history=(candidate, *facts.history),
            )
            return replace(state, facts=facts, effect=Journal(replaces=candidate))
        if state.reply is Reply.LATER:
            return self._close(state, Result.RETRY, Why.PROVEN_UNUSED, discard=candidate)
        if state.reply not in (Reply.STOP, Reply.POLICY) and facts.resends > 0:
            return self._connect(replace(state, facts=replace(facts, resends=facts.resends - 1)))
        return self._close(state, Result.FAILED, Why.PROVEN_UNUSED, discard=candidate)

    def _nothing_opens(self, state: Rotation) -> Rotation:
        """Everything of ours was refused. The round starts anew at the next claim: a late request may
        still arrive."""
        facts = state.facts
        if facts.candidate is None or not facts.sent:
            return self._close(state, Result.DRIFTED, Why.NOTHING_OPENS)
        if facts.mode is Mode.RESET and facts.resends > 0:
            return self._connect(replace(state, facts=replace(facts, resends=facts.resends - 1)))
        return self._close(state, Result.NEEDS_PERSON, Why.NOTHING_OPENS)

    def _undecided(self, state: Rotation, why: Why) -> Rotation:
        facts = state.facts
        pending = facts.candidate is not None and facts.sent
        result = Result.IN_DOUBT if pending else Result.RETRY
        return replace(state, effect=Close(result, why, refused=state.tried, reply=state.reply))

    # Ends

    def _committed(self, state: Rotation, version: int) -> Rotation:
        facts = state.facts
        if not facts.persist:
            return replace(state, effect=None)
        facts = replace(facts, current=version, candidate=None, sent=False, committed=True)
        state = replace(state, facts=facts, opened=version)
        return replace(state, effect=Persist()) if state.connected else self._connect(state)

    def _adopted(self, state: Rotation, version: int) -> Rotation:
        facts = state.facts
        older = tuple(v for v in (facts.current, *facts.history) if v is not None and v != version)
        state = replace(state, facts=replace(facts, current=version, history=older))
        if facts.candidate is None or not facts.sent:
            return self._close(state, Result.ADOPTED)
        return self._judge(state)

    def _close(
        self, state: Rotation, result: Result, why: Why | None = None, discard: int | None = None
    ) -> Rotation:
        return replace(state, effect=Close(result, why, discard))
