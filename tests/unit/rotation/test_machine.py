"""The rules of the change protocol, one sentence each. `drive` plays the shell and the target."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rotation.machine import ProtocolError, Rotation, begin, receive
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

FRESH = Facts(current=1, history=(0,))
SENT = Facts(current=1, candidate=2, sent=True, history=(0,))
OPENS, REFUSED, UNKNOWN, LOCKED = Verdict.OPENS, Verdict.REFUSED, Verdict.UNKNOWN, Verdict.LOCKED


def drive(facts: Facts, *events: Event) -> Rotation:
    state = begin(facts)
    for event in events:
        state = receive(state, event)
    return state


def ask(facts: Facts, *events: Event) -> Effect | None:
    return drive(facts, *events).effect


def close(facts: Facts, *events: Event) -> Close:
    effect = ask(facts, *events)
    assert isinstance(effect, Close), effect
    return effect


def sent(reply: Reply) -> tuple[Event, ...]:
    """A fresh change up to the reply."""
    return (Journaled(2), Connected(), Marked(), Applied(reply))


def test_a_candidate_is_journaled_before_anything_else() -> None:
    assert ask(FRESH) == Journal()
    assert ask(FRESH, Journaled(2)) == Connect(1)
    assert ask(FRESH, Journaled(2), Connected()) == Mark(2)
    assert ask(FRESH, Journaled(2), Connected(), Marked()) == Apply(2)


@pytest.mark.parametrize("reply", Reply)
def test_a_reply_is_never_believed_the_candidate_is_probed(reply: Reply) -> None:
    assert ask(FRESH, *sent(reply)) == Probe(2)


@pytest.mark.parametrize("reply", Reply)
def test_a_candidate_that_opens_is_committed_whatever_the_reply_was(reply: Reply) -> None:
    assert ask(FRESH, *sent(reply), Probed(2, OPENS)) == Commit(2)
    assert ask(FRESH, *sent(reply), Probed(2, OPENS), Committed()) is None


def test_a_take_over_probes_the_same_candidate() -> None:
    assert ask(SENT) == Probe(2)


def test_a_take_over_of_an_unsent_candidate_sends_that_one() -> None:
    assert ask(replace(SENT, sent=False)) == Connect(1)
    assert ask(replace(SENT, sent=False), Connected()) == Mark(2)


def test_a_candidate_proven_unused_is_sent_again_by_the_login_that_opens() -> None:
    assert ask(SENT, Probed(2, REFUSED)) == Probe(1)
    assert ask(SENT, Probed(2, REFUSED), Probed(1, OPENS)) == Connect(1)
    assert ask(SENT, Probed(2, REFUSED), Probed(1, OPENS), Connected()) == Mark(2)


def test_what_was_seen_before_a_request_proves_nothing_after_it() -> None:
    resent = (Probed(2, REFUSED), Probed(1, OPENS), Connected(), Marked(), Applied(Reply.UNSURE))
    assert ask(SENT, *resent) == Probe(2)


def test_the_last_resend_that_is_proven_unused_fails_and_discards() -> None:
    ended = close(replace(SENT, resends=0), Probed(2, REFUSED), Probed(1, OPENS))
    assert ended == Close(Result.FAILED, Why.PROVEN_UNUSED, discard=2)


@pytest.mark.parametrize("reply", [None, Reply.UNSURE, Reply.POLICY, Reply.RETRY, Reply.LATER, Reply.STOP])
def test_with_one_probe_left_and_a_doubtful_reply_the_current_secret_goes_first(reply: Reply | None) -> None:
    assert ask(replace(SENT, budget=1, probes=1, reply=reply)) == Probe(1)


def test_with_one_probe_left_and_a_clean_reply_the_candidate_goes_first() -> None:
    assert ask(replace(FRESH, budget=1, probes=1), *sent(Reply.OK)) == Probe(2)


def test_a_current_secret_that_opens_costs_nothing_and_the_candidate_is_probed_next() -> None:
    assert ask(replace(SENT, budget=1, probes=1), Probed(1, OPENS)) == Probe(2)


def test_where_two_secrets_may_open_the_candidate_goes_first() -> None:
    assert ask(replace(SENT, budget=1, probes=1, overlap=True)) == Probe(2)


def test_a_spent_budget_leaves_the_operation_in_doubt_with_its_evidence() -> None:
    ended = close(replace(FRESH, budget=1, probes=1), *sent(Reply.OK), Probed(2, REFUSED))
    assert ended == Close(Result.IN_DOUBT, Why.BUDGET, refused=frozenset({2}), reply=Reply.OK)


def test_evidence_carried_over_is_not_probed_again() -> None:
    assert ask(replace(SENT, refused=frozenset({2}))) == Probe(1)
    assert ask(replace(SENT, refused=frozenset({1}), budget=1, probes=1)) == Probe(2)


def test_a_policy_refusal_heard_by_an_earlier_claim_still_leads_to_another_candidate() -> None:
    facts = replace(SENT, budget=1, probes=1, overlap=True, refused=frozenset({2}), reply=Reply.POLICY)
    assert ask(facts, Probed(1, OPENS)) == Journal(replaces=2)


def test_a_resend_that_cannot_connect_keeps_its_evidence() -> None:
    ended = close(SENT, Probed(2, REFUSED), Probed(1, OPENS), NotConnected(Reply.RETRY))
    assert ended == Close(Result.IN_DOUBT, Why.UNREACHABLE, refused=frozenset({2}))


def test_a_candidate_refused_by_policy_is_replaced_only_once_proven_unused() -> None:
    events = (*sent(Reply.POLICY), Probed(2, REFUSED))
    assert ask(FRESH, *events) == Probe(1)
    assert ask(FRESH, *events, Probed(1, OPENS)) == Journal(replaces=2)
    regenerated = drive(FRESH, *events, Probed(1, OPENS), Journaled(3))
    assert regenerated.facts.history == (2, 0)
    assert regenerated.effect == Connect(1)


def test_the_last_regeneration_refused_fails() -> None:
    facts = replace(FRESH, regenerations=0)
    ended = close(facts, *sent(Reply.POLICY), Probed(2, REFUSED), Probed(1, OPENS))
    assert ended == Close(Result.FAILED, Why.PROVEN_UNUSED, discard=2)


def test_a_change_that_came_too_soon_is_tried_again_later_with_another_candidate() -> None:
    ended = close(FRESH, *sent(Reply.LATER), Probed(2, REFUSED), Probed(1, OPENS))
    assert (ended.result, ended.discard) == (Result.RETRY, 2)


def test_a_reply_that_needs_a_person_ends_without_another_try() -> None:
    ended = close(FRESH, *sent(Reply.STOP), Probed(2, REFUSED), Probed(1, OPENS))
    assert ended.result is Result.FAILED


@pytest.mark.parametrize(("verdict", "why"), [(UNKNOWN, Why.UNREACHABLE), (LOCKED, Why.LOCKED)])
def test_a_probe_that_shows_nothing_leaves_a_sent_candidate_in_doubt(verdict: Verdict, why: Why) -> None:
    assert close(SENT, Probed(2, verdict)) == Close(Result.IN_DOUBT, why)


@pytest.mark.parametrize("reply", [Reply.RETRY, Reply.UNSURE, Reply.OK, Reply.POLICY])
def test_before_the_first_send_a_failed_connection_is_tried_again_later(reply: Reply) -> None:
    assert close(FRESH, Journaled(2), NotConnected(reply)).result is Result.RETRY


def test_before_the_first_send_a_disabled_account_ends_the_operation() -> None:
    ended = close(FRESH, Journaled(2), NotConnected(Reply.STOP))
    assert ended == Close(Result.FAILED, Why.REPLY, discard=2)


def test_a_cancel_before_the_first_send_cancels() -> None:
    ended = close(FRESH, Journaled(2), Connected(), MarkRefused())
    assert ended == Close(Result.CANCELED, Why.FORBIDDEN, discard=2)


def test_a_cancel_after_the_send_ends_by_proof() -> None:
    ended = close(SENT, Probed(2, REFUSED), Probed(1, OPENS), Connected(), MarkRefused())
    assert ended == Close(Result.FAILED, Why.FORBIDDEN, discard=2)


def test_a_cancel_while_nothing_opens_keeps_the_candidate_for_a_person() -> None:
    facts = replace(SENT, mode=Mode.RESET, budget=3, probes=3)
    ended = close(facts, Probed(2, REFUSED), Probed(1, REFUSED), Connected(), MarkRefused())
    assert ended == Close(Result.NEEDS_PERSON, Why.FORBIDDEN)


def test_a_self_change_where_nothing_opens_needs_a_person_after_the_history() -> None:
    facts = replace(SENT, budget=3, probes=3)
    assert ask(facts, Probed(2, REFUSED), Probed(1, REFUSED)) == Probe(0)
    ended = close(facts, Probed(2, REFUSED), Probed(1, REFUSED), Probed(0, REFUSED))
    assert ended == Close(Result.NEEDS_PERSON, Why.NOTHING_OPENS)


def test_reset_mode_sends_the_same_candidate_again_without_probing_the_history() -> None:
    facts = replace(SENT, mode=Mode.RESET, budget=3, probes=3)
    assert ask(facts, Probed(2, REFUSED), Probed(1, REFUSED)) == Connect(None)
    assert ask(facts, Probed(2, REFUSED), Probed(1, REFUSED), Connected()) == Mark(2)


def test_what_cannot_be_proven_is_not_sent() -> None:
    ended = close(replace(SENT, mode=Mode.RESET), Probed(2, REFUSED), Probed(1, REFUSED), Connected())
    assert ended == Close(Result.IN_DOUBT, Why.BUDGET, refused=frozenset({1, 2}))
    assert close(replace(FRESH, probes=0), Journaled(2), Connected()) == Close(Result.RETRY, Why.BUDGET)


def test_a_candidate_that_cannot_be_journaled_is_not_sent() -> None:
    assert close(FRESH, NotJournaled()) == Close(Result.RETRY, Why.REPLY)
    refused = (*sent(Reply.POLICY), Probed(2, REFUSED), Probed(1, OPENS))
    assert close(FRESH, *refused, NotJournaled()) == Close(Result.FAILED, Why.PROVEN_UNUSED, discard=2)


def test_reset_mode_probes_the_history_once_no_resend_is_left() -> None:
    facts = replace(SENT, mode=Mode.RESET, resends=0, budget=3, probes=3)
    assert ask(facts, Probed(2, REFUSED), Probed(1, REFUSED)) == Probe(0)


def test_reset_mode_works_without_any_known_secret() -> None:
    facts = Facts(mode=Mode.RESET)
    assert ask(facts, Journaled(0)) == Connect(None)
    assert ask(facts, Journaled(0), Connected(), Marked(), Applied(Reply.OK)) == Probe(0)


def test_an_older_version_that_opens_is_adopted_and_the_candidate_stays_pending() -> None:
    facts = replace(SENT, budget=3, probes=3)
    events = (Probed(2, REFUSED), Probed(1, REFUSED), Probed(0, OPENS))
    assert ask(facts, *events) == Adopt(0)
    after = drive(facts, *events, Adopted())
    assert after.effect == Connect(0)
    assert (after.facts.current, after.facts.candidate, after.facts.history) == (0, 2, (1,))


def test_persist_runs_after_the_commit_over_the_connection_that_made_the_change() -> None:
    events = (*sent(Reply.OK), Probed(2, OPENS))
    facts = replace(FRESH, persist=True)
    assert ask(facts, *events) == Commit(2)
    assert ask(facts, *events, Committed()) == Persist()
    assert close(facts, *events, Committed(), Persisted(True)).result is Result.SUCCEEDED
    assert close(facts, *events, Committed(), Persisted(False)).result is Result.NOT_SAVED


def test_persist_after_a_take_over_connects_with_the_new_secret() -> None:
    assert ask(replace(SENT, persist=True), Probed(2, OPENS), Committed()) == Connect(2)
    later = Facts(current=2, committed=True, persist=True)
    assert ask(later) == Connect(2)
    assert ask(later, Connected()) == Persist()
    assert close(later, NotConnected(Reply.RETRY)).result is Result.NOT_SAVED


VERIFY = replace(FRESH, goal=Goal.VERIFY)


def test_a_verification_succeeds_when_the_current_secret_opens() -> None:
    assert ask(VERIFY) == Probe(1)
    assert close(VERIFY, Probed(1, OPENS)) == Close(Result.SUCCEEDED)


def test_a_verification_adopts_an_older_version_that_opens() -> None:
    assert ask(VERIFY, Probed(1, REFUSED), Probed(0, OPENS)) == Adopt(0)
    assert close(VERIFY, Probed(1, REFUSED), Probed(0, OPENS), Adopted()).result is Result.ADOPTED


def test_a_verification_that_finds_nothing_says_drifted() -> None:
    assert close(VERIFY, Probed(1, REFUSED), Probed(0, REFUSED)).result is Result.DRIFTED


def test_a_verification_out_of_budget_goes_on_later_where_it_stopped() -> None:
    one = replace(VERIFY, budget=1, probes=1)
    assert close(one, Probed(1, REFUSED)) == Close(Result.RETRY, Why.BUDGET, refused=frozenset({1}))
    assert ask(replace(one, refused=frozenset({1}))) == Probe(0)


def test_a_verification_of_a_sent_candidate_judges_it_like_a_change() -> None:
    facts = replace(SENT, goal=Goal.VERIFY)
    resent = (Probed(2, REFUSED), Probed(1, OPENS), Connected(), Marked(), Applied(Reply.OK))
    assert ask(facts) == Probe(2)
    assert ask(facts, *resent) == Probe(2)


@pytest.mark.parametrize(
    ("goal", "verdict", "result"),
    [
        (Goal.ACTIVATE, OPENS, Result.SUCCEEDED),
        (Goal.ACTIVATE, REFUSED, Result.FAILED),
        (Goal.DEACTIVATE, REFUSED, Result.SUCCEEDED),
        (Goal.DEACTIVATE, OPENS, Result.FAILED),
    ],
)
def test_activation_is_proven_by_the_current_secret(goal: Goal, verdict: Verdict, result: Result) -> None:
    facts = Facts(goal=goal, mode=Mode.RESET, current=1)
    assert ask(facts, Connected()) == Mark(None)
    assert ask(facts, Connected(), Marked(), Applied(Reply.UNSURE)) == Probe(1)
    assert close(facts, Connected(), Marked(), Applied(Reply.OK), Probed(1, verdict)).result is result


@pytest.mark.parametrize(("reply", "result"), [(Reply.OK, Result.SUCCEEDED), (Reply.UNSURE, Result.FAILED)])
def test_activation_without_a_secret_has_only_the_reply(reply: Reply, result: Result) -> None:
    facts = Facts(goal=Goal.ACTIVATE, mode=Mode.RESET)
    assert close(facts, Connected(), Marked(), Applied(reply)).result is result


EVENTS: list[Event] = [
    Journaled(2),
    NotJournaled(),
    Connected(),
    NotConnected(Reply.RETRY),
    Marked(),
    MarkRefused(),
    Applied(Reply.OK),
    Probed(1, OPENS),
    Probed(2, OPENS),
    Probed(2, REFUSED),
    Committed(),
    Adopted(),
    Persisted(True),
    Closed(),
]
PATH: list[Event] = [Journaled(2), Connected(), Marked(), Applied(Reply.OK), Probed(2, OPENS), Committed()]


@pytest.mark.parametrize("step", range(len(PATH)))
def test_a_fenced_worker_stops_at_once_at_any_step(step: int) -> None:
    assert ask(FRESH, *PATH[:step], Fenced()) is None


@pytest.mark.parametrize("step", range(len(PATH) + 1))
def test_an_event_that_answers_something_else_is_refused(step: int) -> None:
    state = drive(FRESH, *PATH[:step])
    answers = {Journal: NotJournaled, Connect: NotConnected, Mark: MarkRefused, Probe: Probed}
    for event in EVENTS:
        if step < len(PATH) and isinstance(event, type(PATH[step]) | answers.get(type(state.effect), Fenced)):
            continue
        with pytest.raises(ProtocolError, match="does not answer"):
            receive(state, event)


def test_a_probe_of_another_version_is_refused() -> None:
    with pytest.raises(ProtocolError):
        receive(begin(SENT), Probed(1, OPENS))


def answer(draw: st.DataObject, effect: Effect, fresh: int) -> Event:
    """Any event that may answer `effect`."""
    events: dict[type, list[Event]] = {
        Journal: [Journaled(fresh), NotJournaled()],
        Connect: [Connected(), *map(NotConnected, Reply)],
        Mark: [Marked(), MarkRefused()],
        Apply: [Applied(reply) for reply in Reply],
        Commit: [Committed()],
        Adopt: [Adopted()],
        Persist: [Persisted(True), Persisted(False)],
        Close: [Closed()],
    }
    if isinstance(effect, Probe):
        return draw.draw(st.sampled_from([Probed(effect.version, verdict) for verdict in Verdict]))
    return draw.draw(st.sampled_from(events[type(effect)]))


def any_facts() -> st.SearchStrategy[Facts]:
    budget = st.integers(0, 3)
    return st.builds(
        Facts,
        goal=st.sampled_from([Goal.CHANGE, Goal.VERIFY]),
        mode=st.sampled_from(Mode),
        current=st.just(3),
        candidate=st.sampled_from([None, 4]),
        history=st.sampled_from([(), (2,), (2, 1, 0)]),
        budget=budget,
        refused=st.frozensets(st.integers(0, 4)),
        reply=st.sampled_from([None, *Reply]),
        resends=st.integers(0, 2),
        regenerations=st.integers(0, 2),
        overlap=st.booleans(),
        persist=st.booleans(),
    ).flatmap(
        lambda facts: st.builds(
            lambda probes, is_sent: replace(
                facts, probes=probes, sent=is_sent and facts.candidate is not None
            ),
            st.integers(0, facts.budget),
            st.booleans(),
        )
    )


@given(any_facts(), st.data())
def test_every_claim_ends_within_its_budget_and_sends_nothing_unmarked(
    facts: Facts, data: st.DataObject
) -> None:
    state, refused, steps, before = begin(facts), facts.budget - facts.probes, 0, None
    while state.effect is not None:
        event = answer(data, state.effect, 10 + steps)
        if isinstance(state.effect, Apply):
            assert before == Marked()
        if isinstance(state.effect, Commit | Adopt):
            assert before == Probed(state.effect.version, OPENS)
        if isinstance(event, Probed):
            refused = {OPENS: 0, REFUSED: refused + 1}.get(event.verdict, refused)
        assert refused <= facts.budget
        state, before, steps = receive(state, event), event, steps + 1
        assert steps < 100
