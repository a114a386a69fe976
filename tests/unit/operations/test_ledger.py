"""What a worker writes: repeated it changes nothing, stale it is refused, and every state is told."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from engine.catalog.models import account
from engine.operations.claims import Claim
from engine.operations.errors import LeaseLost, NumberTaken
from engine.operations.ledger import Evidence, Tried
from engine.operations.models import cascade, operation
from engine.rotation.protocol import Close, Result, Why
from engine.templating.models import template
from engine.vault.journal import Kind, Record
from engine.vault.sealing import key_id, seal
from executors.contract import Outcome, Secret
from tests.unit.operations.room import Room


def record(room: Room, claimed: Claim, number: int) -> Record:
    public = room.keys.public("default")
    own = claimed.credential
    sealed = seal(Secret(f"candidate-{number}"), public, own.context(number))
    names = (own.authority, own.account, own.slot)
    return Record(
        Kind.CANDIDATE, claimed.incarnation, claimed.epoch, *names, number, sealed, key_id(public), 1.0
    )


def sent(room: Room, name: str = "ann") -> Claim:
    made = room.account(name)
    claimed = room.claim(room.ask(made).operation_id)
    room.ledger().journaled(claimed, record(room, claimed, 2), None, None)
    assert room.ledger().marked(claimed, 2, [])
    return claimed


def test_a_number_that_is_taken_is_not_written_over(room: Room) -> None:
    claimed = room.claim(room.ask(room.account("ann")).operation_id)
    with pytest.raises(NumberTaken):
        room.ledger().journaled(claimed, record(room, claimed, 1), None, None)


def test_a_commit_that_is_repeated_changes_nothing(room: Room) -> None:
    ann = room.account("ann")
    child_of = room.account("bob", parent="ann@box", link="own")
    claimed = room.claim(room.ask(ann).operation_id)
    room.ledger().journaled(claimed, record(room, claimed, 2), None, None)
    room.ledger().marked(claimed, 2, [])
    for _ in range(3):
        room.ledger().committed(claimed, 2, [], Evidence(Outcome.OK, proof="login"), ends=True)
    assert room.states(claimed.operation_id).count("succeeded") == 1
    assert room.notices(claimed.operation_id).count("succeeded") == 1
    with room.database.reading() as connection:
        assert len(connection.execute(select(cascade)).all()) == 1
    assert room.state(child_of) == "managed"


def test_nothing_stale_is_written(room: Room) -> None:
    claimed = sent(room)
    room.leases_end()
    room.claim(claimed.operation_id, worker="worker-2")
    ledger = room.ledger()
    evidence = Evidence(Outcome.OK)
    writes = (
        lambda: ledger.renew(claimed),
        lambda: ledger.journaled(claimed, record(room, claimed, 3), 2, None),
        lambda: ledger.marked(claimed, 2, []),
        lambda: ledger.charged(claimed, claimed.credential.account_id, []),
        lambda: ledger.committed(claimed, 2, [], evidence, ends=True),
        lambda: ledger.adopted(claimed, 1, [], "login"),
        lambda: ledger.identified(claimed, "uid 1"),
        lambda: ledger.closed(claimed, Close(Result.SUCCEEDED), [], evidence),
    )
    for write in writes:
        with pytest.raises(LeaseLost):
            write()
    assert room.versions(claimed.credential.id) == {1: "current", 2: "sent"}


def test_nothing_is_sent_after_the_lease_has_ended(room: Room) -> None:
    claimed = room.claim(room.ask(room.account("ann")).operation_id)
    room.ledger().journaled(claimed, record(room, claimed, 2), None, None)
    room.leases_end()
    assert not room.ledger().marked(claimed, 2, [])


@pytest.mark.parametrize("obstacle", ["canceled", "engine", "device", "restored", "expired", "template"])
def test_every_obstacle_refuses_the_first_sending(room: Room, obstacle: str) -> None:
    claimed = room.claim(room.ask(room.account("ann")).operation_id)
    room.ledger().journaled(claimed, record(room, claimed, 2), None, None)
    _put(room, claimed, obstacle)
    assert not room.ledger().marked(claimed, 2, [])
    assert room.versions(claimed.credential.id)[2] == "candidate"


@pytest.mark.parametrize(
    ("obstacle", "permitted"),
    [
        ("canceled", False),
        ("engine", False),
        ("template", False),
        ("restored", False),
        ("device", True),
        ("expired", True),
    ],
)
def test_sending_again_needs_the_template_and_no_stop_for_all(
    room: Room, obstacle: str, permitted: bool
) -> None:
    claimed = sent(room)
    _put(room, claimed, obstacle)
    assert room.ledger().marked(claimed, 2, []) is permitted


def _put(room: Room, claimed: Claim, obstacle: str) -> None:
    match obstacle:
        case "canceled":
            room.set(operation, claimed.operation_id, cancel_requested=True)
        case "expired":
            room.set(operation, claimed.operation_id, expires=0.0)
        case "device":
            room.pause("box")
        case "template":
            assert claimed.plan.template is not None
            room.set(template, claimed.plan.template.id, retired=True)
        case "engine":
            room.engine(paused=True)
        case "restored":
            room.engine(restored=True)


def test_a_failed_operation_says_what_to_do_and_frees_the_account(room: Room) -> None:
    claimed = room.claim(room.ask(room.account("ann")).operation_id)
    tried = [Tried(claimed.credential.account_id, True)]
    close = Close(Result.FAILED, Why.REPLY)
    state = room.ledger().closed(claimed, close, tried, Evidence(Outcome.ACCOUNT_MISSING))
    assert state == "failed"
    assert "create it or retire it" in room.operation(claimed.operation_id).reason
    assert room.row(account, claimed.credential.account_id).lease_until is None
    assert room.state(claimed.credential.id) == "suspended"


def test_a_login_that_a_person_must_mend_is_not_tried_again_by_itself(room: Room) -> None:
    claimed = sent(room)
    close = Close(Result.IN_DOUBT, Why.UNREACHABLE)
    room.ledger().closed(claimed, close, [], Evidence(Outcome.PERMISSION_DENIED, "no right"))
    assert room.operation(claimed.operation_id).needs_person
    other = sent(room, "bob")
    room.ledger().closed(other, close, [], Evidence(Outcome.UNREACHABLE, "away"))
    assert not room.operation(other.operation_id).needs_person
