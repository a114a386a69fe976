"""A template that only an emulation has met changes one account first; then everything may use it."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from engine.catalog.models import credential
from engine.catalog.states import Action
from engine.operations import trials
from engine.operations.models import operation
from engine.operations.requests import Ask, ask_for
from engine.operations.trials import NoTrialNeeded, TemplateUntried
from engine.templating import store
from engine.templating.header import parse_file
from executors.fake.target import Behaviour
from tests.unit.operations.room import ACTOR, Room

NAME = "fake-own-password"


def emulated(room: Room, more: str = "") -> None:
    """The fake's own template, as if it had met an emulation only."""
    shipped = dict(store.shipped_contents())[f"fake/{NAME}.template"].decode()
    with room.database.writing() as connection:
        text = shipped.replace("version: 1\n", f"version: 2\ntier: emulated\n{more}", 1)
        file = parse_file(text, NAME)
        store.put(connection, file, text, source=store.SHIPPED, author=ACTOR)
        store.retire_others_of(connection, NAME, file.sha256)


def prepare(room: Room, credential_id: int, name: str = NAME) -> Action:
    with room.database.writing() as connection:
        return trials.prepare(connection, ACTOR, name, credential_id)


def known(room: Room) -> list[tuple[str, str]]:
    with room.database.reading() as connection:
        return [(each.template, each.credential) for each in trials.trials(connection)]


def test_a_profile_may_not_use_it_and_the_refusal_offers_a_trial(room: Room) -> None:
    ann = room.account("ann")
    emulated(room)
    with pytest.raises(TemplateUntried, match=f"keyturn template trial {NAME} USER@DEVICE"):
        room.ask(ann)
    assert room.target.requests("ann") == ()


def test_a_proven_trial_opens_it_to_all(room: Room) -> None:
    ann, bob = room.account("ann"), room.account("bob")
    emulated(room)
    assert prepare(room, ann) is Action.CHANGE_SECRET
    assert room.change(ann) == "succeeded"
    assert known(room) == [(NAME, "ann@box")]
    assert room.change(bob) == "succeeded"
    assert known(room) == [(NAME, "ann@box")]


def test_a_trial_that_fails_opens_it_to_nobody(room: Room) -> None:
    ann, bob = room.account("ann", behaviour=Behaviour(minimum_length=1000)), room.account("bob")
    emulated(room)
    prepare(room, ann)
    assert room.change(ann) == "failed"
    assert known(room) == []
    with pytest.raises(TemplateUntried):
        room.ask(bob)


def test_only_a_person_tries(room: Room) -> None:
    ann = room.account("ann")
    emulated(room)
    prepare(room, ann)
    with room.database.writing() as connection, pytest.raises(TemplateUntried):
        ask_for(connection, Ask(ann, Action.CHANGE_SECRET, "parent", "parent_changed"))


def test_what_was_asked_for_before_the_template_came_is_refused_when_it_is_its_turn(room: Room) -> None:
    ann = room.account("ann")
    asked = room.ask(ann).operation_id
    emulated(room)
    assert room.work(asked) is None
    assert room.operation(asked).state == "failed"
    assert "never a real device" in room.operation(asked).reason
    assert room.target.requests("ann") == ()


def test_another_content_needs_a_trial_of_its_own(room: Room) -> None:
    ann, bob = room.account("ann"), room.account("bob")
    emulated(room)
    prepare(room, ann)
    assert room.change(ann) == "succeeded"
    emulated(room, "undo: 300\n")
    with pytest.raises(TemplateUntried):
        room.ask(bob)


def test_what_is_proven_needs_no_trial(room: Room) -> None:
    with pytest.raises(NoTrialNeeded, match="every policy may use it"):
        prepare(room, room.account("ann"))


def test_a_change_that_the_target_takes_back_unless_confirmed_is_looked_at_again(room: Room) -> None:
    """Not saved means: after `undo` seconds the old secret is in force. It is found, and is current again."""
    ann = room.account("ann", behaviour=Behaviour(save_fails=True))
    before = room.secret(ann)
    emulated(room, "undo: 300\n")
    prepare(room, ann)
    asked = room.ask(ann).operation_id
    while room.work(asked) == "scheduled":
        room.due_now()
    assert room.operation(asked).outcome == "not_saved"
    with room.database.reading() as connection:
        statement = select(operation).where(operation.c.trigger == "not_saved")
        look = connection.execute(statement).one()
    assert (look.action, look.state, look.parent_operation_id) == ("verify", "scheduled", asked)
    assert look.due > room.database.now() + 300
    room.target.set("ann", before)  # the device has taken it back
    room.due_now()
    assert room.work(look.id) == "succeeded"
    assert room.secret(ann) == before
    assert room.opens("ann", ann)


def test_the_credential_keeps_the_template_as_its_own(room: Room) -> None:
    ann = room.account("ann")
    emulated(room)
    prepare(room, ann)
    assert room.row(credential, ann).template == NAME
    room.set(credential, ann, template=None)
    with pytest.raises(TemplateUntried):
        room.ask(ann)
