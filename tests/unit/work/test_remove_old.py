"""A target that keeps two secrets: an operation of its own, with its own proof, removes what was replaced."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Row, select

from engine.catalog import lifecycle
from engine.catalog.credentials import NewCredential, add_credential
from engine.catalog.models import credential
from engine.catalog.rules import add_profile
from engine.catalog.ssh_keys import generate_key, public_key
from engine.catalog.states import Action, CredentialKind, CredentialState
from engine.operations.errors import NotNow
from engine.operations.models import operation
from engine.operations.plan import plan_for
from engine.store.clock import now
from engine.templating.store import newest
from engine.templating.values import MAX_TEXT
from engine.vault.service import import_secret
from engine.work.jobs import Secrets, job_for
from executors.contract import Value
from executors.fake.target import Behaviour, Reply
from tests.unit.operations.room import ACTOR, Room
from tests.unit.work.test_conductor import At, Killed

FOR_EVER = 1e9
KEEPS_BOTH = Behaviour(overlap=FOR_EVER)
OVERLAP = 3600.0


@pytest.fixture
def two(room: Room) -> Room:
    """Its targets keep what was replaced until they are told to let go of it."""
    templates = {"change_secret": "fake-own-password", "remove_old_secret": "fake-remove-old"}
    rules = {"name": "keeps-both", "executor": "fake", "service": "fake", "templates": templates}
    with room.database.writing() as connection:
        add_profile(connection, ACTOR, rules | {"login": "self", "priority": 1})
    room.policy("overlaps", overlap_seconds=OVERLAP)
    return room


def removals(room: Room, of: int) -> list[Row[Any]]:
    return asked(room, of, Action.REMOVE_OLD_SECRET)


def asked(room: Room, of: int, action: Action) -> list[Row[Any]]:
    with room.database.reading() as connection:
        mine = (operation.c.credential_id == of, operation.c.action == action)
        return list(connection.execute(select(operation).where(*mine).order_by(operation.c.id)))


def test_the_commit_asks_for_the_removal_when_the_overlap_is_over(two: Room) -> None:
    ann = two.account("ann", behaviour=KEEPS_BOTH, policy="overlaps")
    changed = two.ask(ann).operation_id
    assert two.work(changed) == "succeeded"
    [removal] = removals(two, ann)
    assert (removal.state, removal.parent_operation_id) == ("scheduled", changed)
    assert removal.due - removal.created == pytest.approx(OVERLAP, abs=5)
    assert two.target.opens("ann", "first-of-ann")
    assert two.work(removal.id) is None
    two.due_now()
    assert two.work(removal.id) == "succeeded"
    assert two.opens("ann", ann)
    assert not two.target.opens("ann", "first-of-ann")
    assert two.state(ann) == "managed"
    assert two.account_of(ann).failures == 0, "the refusal that was wanted costs nothing"


def test_it_works_where_only_one_refused_login_is_allowed(two: Room) -> None:
    ann = two.account("ann", tries=1, behaviour=KEEPS_BOTH)
    for _ in range(3):
        assert two.change(ann) == "succeeded"
        assert two.work(removals(two, ann)[-1].id) == "succeeded"
    assert two.account_of(ann).failures == 0


def test_where_the_profile_has_no_such_template_nothing_is_asked_for(room: Room) -> None:
    ann = room.account("ann")
    assert room.change(ann) == "succeeded"
    assert removals(room, ann) == []


def test_a_later_change_puts_it_off_and_a_person_may_ask_for_it_sooner(two: Room) -> None:
    ann = two.account("ann", behaviour=KEEPS_BOTH, policy="overlaps")
    assert two.change(ann) == "succeeded"
    [first] = removals(two, ann)
    two.set(operation, first.id, due=now() + 1)
    assert two.change(ann) == "succeeded"
    [second] = removals(two, ann)
    assert second.id == first.id
    assert second.due > first.created + OVERLAP - 1
    assert two.ask(ann, Action.REMOVE_OLD_SECRET).joined
    assert two.work(first.id) == "succeeded"
    assert not two.target.opens("ann", "first-of-ann")


def test_a_removal_that_did_nothing_is_no_success_and_the_account_is_looked_at(two: Room) -> None:
    ann = two.account("ann", behaviour=KEEPS_BOTH)
    assert two.change(ann) == "succeeded"
    two.target.behave("ann", replace(KEEPS_BOTH, reply=Reply.ACCEPTS_WITHOUT_APPLYING))
    [removal] = removals(two, ann)
    assert two.work(removal.id) == "failed"
    ended = two.operation(removal.id)
    assert (ended.outcome, "still opens" in ended.reason) == ("unknown", True)
    [verification] = asked(two, ann, Action.VERIFY)
    assert two.work(verification.id) == "succeeded"
    assert two.state(ann) == "managed"
    assert two.account_of(ann).failures == 0


def test_a_current_secret_that_is_refused_is_found_to_have_drifted(two: Room) -> None:
    ann = two.account("ann", behaviour=KEEPS_BOTH)
    assert two.change(ann) == "succeeded"
    two.target.set("ann", "by somebody else")
    two.target.forget("ann")
    [removal] = removals(two, ann)
    assert two.work(removal.id) == "failed"
    [verification] = asked(two, ann, Action.VERIFY)
    two.due_now()
    assert two.work(verification.id) == "failed"
    assert two.state(ann) == "drifted"


@pytest.mark.parametrize("point", ["claim.after", "mark.after", "apply.after", "probe.after", "close.before"])
def test_whoever_takes_a_killed_removal_over_ends_it(two: Room, point: str) -> None:
    ann = two.account("ann", behaviour=KEEPS_BOTH)
    assert two.change(ann) == "succeeded"
    [removal] = removals(two, ann)
    with pytest.raises(Killed):
        two.work(removal.id, at=At(point, Killed()))
    two.leases_end()
    two.due_now()
    assert two.work(removal.id) == "succeeded"
    assert two.opens("ann", ann)
    assert not two.target.opens("ann", "first-of-ann")


def test_a_target_that_is_away_is_asked_again(two: Room) -> None:
    ann = two.account("ann", behaviour=KEEPS_BOTH)
    assert two.change(ann) == "succeeded"
    [removal] = removals(two, ann)
    two.target.behave("ann", replace(KEEPS_BOTH, unreachable_until=two.target.now() + 1000))
    assert two.work(removal.id) == "scheduled"
    two.target.behave("ann", KEEPS_BOTH)
    two.due_now()
    assert two.work(removal.id) == "succeeded"


def test_nothing_is_removed_while_the_current_secret_is_not_proven(two: Room) -> None:
    ann = two.account("ann", behaviour=KEEPS_BOTH)
    assert two.change(ann) == "succeeded"
    [removal] = removals(two, ann)
    two.store(ann, "by-hand")
    assert two.work(removal.id) is None
    assert two.operation(removal.id).state == "failed"
    assert two.target.opens("ann", "first-of-ann")
    with pytest.raises(NotNow, match="is unverified"):
        two.ask(ann, Action.REMOVE_OLD_SECRET)


def test_it_waits_while_nobody_knows_which_secret_is_in_force(two: Room) -> None:
    ann = two.account("ann", behaviour=KEEPS_BOTH)
    assert two.change(ann) == "succeeded"
    [removal] = removals(two, ann)
    two.set(credential, ann, state=CredentialState.IN_DOUBT)
    assert two.work(removal.id) is None
    assert two.operation(removal.id).state == "scheduled"
    two.set(credential, ann, state=CredentialState.MANAGED)
    two.due_now()
    assert two.work(removal.id) == "succeeded"


def test_what_a_person_has_stopped_is_left_alone(two: Room) -> None:
    ann = two.account("ann", behaviour=KEEPS_BOTH)
    assert two.change(ann) == "succeeded"
    with two.database.writing() as connection:
        lifecycle.suspend(connection, ACTOR, ann, "wait")
    [removal] = removals(two, ann)
    assert two.work(removal.id) is None
    assert two.target.opens("ann", "first-of-ann")


def test_a_plan_knows_that_two_secrets_may_open(two: Room) -> None:
    ann = two.account("ann")
    two.admin()
    bob = two.account("bob", auth="boss@box")
    with two.database.reading() as connection:
        assert plan_for(connection, ann, Action.CHANGE_SECRET).overlaps
        assert not plan_for(connection, bob, Action.CHANGE_SECRET).overlaps


def keys(room: Room, versions: int, name: str = "ann") -> tuple[int, list[str]]:
    """A credential with so many imported keys, and the public halves, oldest first."""
    made = [generate_key("ed25519") for _ in range(versions)]
    with room.database.writing() as connection:
        number = add_credential(
            connection, ACTOR, NewCredential(f"{name}@box", kind=CredentialKind.SSH_KEY)
        ).id
        for one in made:
            import_secret(connection, room.journal, number, one, ACTOR)
    room.set(credential, number, enabled=True, state=CredentialState.MANAGED)
    return number, [public_key(one) or "" for one in made]


def values_of(room: Room, ann: int, template: str, candidate: int | None = None) -> dict[str, Value]:
    """What the child would be handed for a template of SSH keys."""
    claim = room.claim(room.ask(ann).operation_id)
    with room.database.reading() as connection:
        plan = replace(claim.plan, template=newest(connection, template))
    secrets = Secrets(replace(claim, plan=plan), room.keys)
    if candidate is not None:
        secrets.remember(candidate, generate_key("ed25519"))
    job = job_for(replace(claim, plan=plan), secrets, claim.facts.current, candidate, 60.0)
    assert len(job.redact) == len(secrets.known()) <= 2, "old keys were not handed over"
    return dict(job.values)


def test_a_change_is_handed_the_new_public_key_and_all_that_it_replaces(two: Room) -> None:
    ann, public = keys(two, 3, "ann lee")
    values = values_of(two, ann, "linux-ssh-key", candidate=4)
    new = values["NEW_PUBLIC_KEY"].reveal().split(" ")
    assert (new[0], new[2:]) == ("ssh-ed25519", ["keyturn:ann_lee@box:4"])
    assert values["OLD_PUBLIC_KEYS"].reveal().split(" ") == [each.split()[1] for each in reversed(public)]
    assert not any(value.is_secret for value in values.values())


def test_a_removal_never_names_the_key_in_force_even_if_an_older_version_is_the_same(two: Room) -> None:
    ann, public = keys(two, 2)
    two.store(ann, two.secret(ann, "previous"))  # the first one is in force again
    two.set(credential, ann, state=CredentialState.MANAGED)
    values = values_of(two, ann, "linux-ssh-key-remove-old")
    assert values["CURRENT_PUBLIC_KEY"].reveal() == f"{public[0]} keyturn:ann@box:3"
    assert values["OLD_PUBLIC_KEYS"].reveal() == public[1].split()[1]


def test_as_many_old_keys_are_named_as_fit_the_newest_first(two: Room) -> None:
    ann, public = keys(two, 70)
    named = values_of(two, ann, "linux-ssh-key-remove-old")["OLD_PUBLIC_KEYS"].reveal()
    blobs = named.split(" ")
    assert len(named) <= MAX_TEXT < len(named) + len(blobs[0]) + 1
    assert blobs == [each.split()[1] for each in reversed(public[:-1])][: len(blobs)]
