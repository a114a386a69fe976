"""The credential states are declared whole, and say what they mean."""

from __future__ import annotations

from engine.catalog.states import MEANING, TRANSITIONS, Action, CredentialState, allowed

S = CredentialState


def test_every_state_has_a_meaning() -> None:
    assert set(MEANING) == set(CredentialState)
    assert all(sentence.endswith(".") for sentence in MEANING.values())


def test_every_transition_says_when_it_happens() -> None:
    assert all(when for when in TRANSITIONS.values())
    assert all(before is not after for before, after in TRANSITIONS)


def test_every_state_can_be_reached_from_an_import() -> None:
    reached, frontier = {S.UNVERIFIED}, [S.UNVERIFIED]
    while frontier:
        state = frontier.pop()
        for before, after in TRANSITIONS:
            if before is state and after not in reached:
                reached.add(after)
                frontier.append(after)
    assert reached == set(S)


def test_nothing_leaves_retired() -> None:
    assert not [pair for pair in TRANSITIONS if pair[0] is S.RETIRED]


def test_doubt_is_never_ended_by_putting_the_credential_aside() -> None:
    assert not allowed(S.IN_DOUBT, S.SUSPENDED)
    assert not allowed(S.IN_DOUBT, S.UNMANAGED)
    assert not allowed(S.CHANGING, S.RETIRED)


def test_accounts_put_aside_are_proven_or_unverified_before_they_change_again() -> None:
    for state in (S.SUSPENDED, S.INACTIVE, S.UNMANAGED, S.RETIRED):
        assert not allowed(state, S.CHANGING)


def test_a_journal_can_put_every_live_state_in_doubt() -> None:
    for state in (S.UNVERIFIED, S.MANAGED, S.CHANGING, S.DRIFTED, S.SUSPENDED):
        assert allowed(state, S.IN_DOUBT)


def test_all_nineteen_actions_exist() -> None:
    assert len(Action) == 19
    assert {"change_secret", "verify", "reconcile", "run_task", "discover"} <= set(Action)
