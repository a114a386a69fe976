"""What one claim does, from request to proof, and what it leaves behind when something is in the way."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from engine.catalog import lifecycle
from engine.catalog.models import credential
from engine.catalog.states import Action
from engine.operations import service
from engine.operations.errors import NotNow
from engine.operations.models import attempt, operation
from engine.store.clock import now
from engine.store.database import StoreUnavailable
from engine.templating.models import template
from engine.vault.models import secret_version
from engine.work.forkserver.ports import ChildGone, InProcess, SessionPort
from executors.contract import Login, Outcome, Proof, ProofPlan, Report, StepRecord, TemplateError
from executors.fake.target import Behaviour, Reply
from executors.session import Job
from tests.unit.operations.room import ACTOR, Room


class Killed(Exception):
    """The worker ends here, without a word."""


class At:
    """Does something at a point, once."""

    def __init__(self, point: str, deed: object) -> None:
        self.point, self.deed, self.done = point, deed, False

    def __call__(self, point: str) -> None:
        if point == self.point and not self.done:
            self.done = True
            if isinstance(self.deed, BaseException):
                raise self.deed
            assert callable(self.deed)
            self.deed()


def test_a_change_ends_with_a_proven_secret_that_opens(room: Room) -> None:
    ann = room.account("ann")
    asked = room.ask(ann, callback="https://example.test/ann")
    assert room.work(asked.operation_id) == "succeeded"
    assert room.opens("ann", ann)
    assert not room.target.opens("ann", "first-of-ann")
    assert room.state(ann) == "managed"
    assert room.states(asked.operation_id) == ["scheduled", "running", "succeeded"]
    assert room.notices(asked.operation_id) == ["accepted", "running", "succeeded"]
    heard = room.notices(asked.operation_id, "https://example.test/ann")
    assert heard == ["accepted", "running", "succeeded"]


def test_a_target_that_accepts_and_does_nothing_is_no_drift(room: Room) -> None:
    ann = room.account("ann", behaviour=Behaviour(reply=Reply.ACCEPTS_WITHOUT_APPLYING))
    asked = room.ask(ann).operation_id
    for _ in range(12):
        room.due_now()
        room.work(asked)
    assert room.operation(asked).state == "failed"
    assert room.state(ann) == "managed"
    assert room.opens("ann", ann)


def test_a_retry_makes_room_for_a_request_that_came_meanwhile(room: Room) -> None:
    ann = room.account("ann")
    room.target.behave("ann", Behaviour(unreachable_until=room.target.now() + 1000))
    asked = room.ask(ann).operation_id
    later: list[int] = []
    meanwhile = At("connect.before", lambda: later.append(room.ask(ann).operation_id))
    assert room.work(asked, at=meanwhile) == "scheduled"
    assert later != [asked]
    room.target.behave("ann", Behaviour())
    room.due_now()
    assert room.work(asked) == "succeeded"
    assert room.work(later[0]) == "succeeded"
    assert room.opens("ann", ann)


def test_a_secret_stored_between_number_and_row_costs_a_number_and_nothing_else(room: Room) -> None:
    boss = room.admin()
    ann = room.account("ann", auth="boss@box")
    asked = room.ask(ann).operation_id
    meanwhile = At("escrow.after", lambda: room.store(ann, "by-hand"))
    assert room.work(asked, at=meanwhile) == "succeeded"
    assert room.versions(ann) == {1: "history", 2: "previous", 3: "current"}
    assert room.opens("ann", ann)
    assert room.state(boss) == "managed"


def test_a_secret_stored_during_a_verification_is_not_proven_by_it(room: Room) -> None:
    ann = room.account("ann")
    asked = room.ask(ann, Action.VERIFY).operation_id
    meanwhile = At("close.before", lambda: room.store(ann, "by-hand"))
    assert room.work(asked, at=meanwhile) == "succeeded"
    assert room.state(ann) == "unverified"
    with room.database.reading() as connection:
        rows = connection.execute(select(secret_version.c.number, secret_version.c.proof))
        assert dict(rows.all()) == {1: "login", 2: None}


def test_a_refused_login_after_a_secret_was_stored_is_no_drift(room: Room) -> None:
    ann = room.account("ann")
    room.target.set("ann", "by-hand")
    asked = room.ask(ann).operation_id
    assert room.work(asked, at=At("mark_committed.before", lambda: room.store(ann, "by-hand"))) == "failed"
    assert room.state(ann) == "unverified"


@pytest.mark.parametrize("state", ["drifted", "inactive", "in_doubt", "unverified"])
def test_a_verification_that_finds_nobody_leaves_the_state_as_it_was(room: Room, state: str) -> None:
    ann = room.account("ann")
    room.set(credential, ann, state=state)
    room.target.behave("ann", Behaviour(unreachable_until=room.target.now() + 1000))
    assert room.work(room.ask(ann, Action.VERIFY).operation_id) == "scheduled"
    assert room.state(ann) == state


def test_what_is_refused_and_off_stays_inactive(room: Room) -> None:
    ann = room.account("ann", behaviour=Behaviour(disabled=True))
    room.set(credential, ann, state="inactive")
    assert room.work(room.ask(ann, Action.VERIFY).operation_id) == "succeeded"
    assert room.state(ann) == "inactive"


def test_a_failed_reconcile_of_a_drifted_credential_leaves_it_drifted(room: Room) -> None:
    boss = room.admin()
    ann = room.account("ann", reconcile="boss@box")
    room.set(credential, ann, state="drifted")
    room.target.behave("boss", Behaviour(unreachable_until=room.target.now() + 1000))
    assert room.work(room.ask(ann, Action.RECONCILE).operation_id) == "scheduled"
    assert room.state(ann) == "drifted"
    assert room.account_of(boss).in_flight == 0


def test_a_canceled_change_gives_its_tries_back(room: Room) -> None:
    ann = room.account("ann", tries=1)
    asked = room.ask(ann).operation_id

    def cancel() -> None:
        with room.database.writing() as connection:
            service.cancel(connection, asked, ACTOR)

    assert room.work(asked, at=At("mark.before", cancel)) == "canceled"
    assert room.account_of(ann).in_flight == 0
    assert room.state(ann) == "managed"
    assert room.change(ann) == "succeeded"


def test_a_cancel_after_the_change_was_sent_still_ends_by_proof(room: Room) -> None:
    ann = room.account("ann")
    asked = room.ask(ann).operation_id

    def cancel() -> None:
        with room.database.writing() as connection:
            service.cancel(connection, asked, ACTOR)

    assert room.work(asked, at=At("apply.before", cancel)) == "succeeded"
    assert room.opens("ann", ann)


def test_what_is_paused_before_it_is_sent_waits_and_goes_on(room: Room) -> None:
    ann = room.account("ann")
    asked = room.ask(ann).operation_id
    assert room.work(asked, at=At("mark.before", lambda: room.pause("box"))) == "scheduled"
    assert room.work(asked) is None
    room.pause("box", paused=False)
    assert room.work(asked) == "succeeded"


def test_what_expires_before_it_is_sent_is_expired(room: Room) -> None:
    ann = room.account("ann")
    asked = room.ask(ann).operation_id
    expire = At("mark.before", lambda: room.set(operation, asked, expires=now() - 1))
    assert room.work(asked, at=expire) == "expired"
    assert room.operation(asked).finished is not None
    assert room.target.requests("ann") == ()


def test_a_refused_administrator_is_verified_and_those_who_need_it_wait(room: Room) -> None:
    boss = room.admin(tries=2)
    ann, bob = room.account("ann", auth="boss@box"), room.account("bob", auth="boss@box")
    room.target.set("boss", "changed-by-hand", Behaviour(admin=True))
    assert room.change(ann) == "failed"
    assert room.state(ann) == "managed"
    with room.database.reading() as connection:
        which = (operation.c.credential_id == boss, operation.c.action == "verify")
        looked = connection.execute(select(operation.c.id).where(*which)).scalar_one()
    assert room.work(looked) == "failed"
    assert room.state(boss) == "drifted"
    waiting = room.ask(bob).operation_id
    assert room.work(waiting) is None
    assert room.operation(waiting).state == "scheduled"
    room.store(boss, "changed-by-hand")
    room.due_now()
    assert room.work(waiting) == "succeeded"


class Gone(InProcess):
    """Children that end when they are to prove something."""

    def open(self, job: Job) -> SessionPort:
        session = super().open(job)

        def prove(login: Login, plan: ProofPlan) -> Proof:
            raise ChildGone("killed")

        session.prove = prove  # type: ignore[method-assign]
        return session


def test_a_try_whose_end_nobody_knows_counts_as_refused(room: Room) -> None:
    ann = room.account("ann", tries=1)
    asked = room.ask(ann).operation_id
    assert room.work(asked, sessions=Gone()) == "in_doubt"
    assert room.account_of(ann).in_flight == 1
    room.set(operation, asked, due=0.0)
    assert room.work(asked) == "in_doubt"
    assert room.target.failed_logins("ann") == 0
    room.due_now()
    assert room.work(asked) == "succeeded"


def test_a_lockout_at_the_login_is_waited_for(room: Room) -> None:
    lock = Behaviour(lockout_threshold=1, lockout_window=1800.0)
    ann = room.account("ann", behaviour=lock)
    room.target.login("ann", "wrong")
    asked = room.ask(ann).operation_id
    assert room.work(asked) == "scheduled"
    assert room.operation(asked).due > room.database.now() + 1000
    assert room.account_of(ann).failures == 1, "it was no login that opened"


class RefusedBySu(InProcess):
    """The login opens, and `su` refuses the other account's secret."""

    def open(self, job: Job) -> SessionPort:
        session = super().open(job)
        su = StepRecord(1, "dialogue su", Outcome.BAD_LOGIN, 1)
        session.prepare = lambda: Report(Outcome.BAD_LOGIN, "Authentication failure", {}, (su,))  # type: ignore[method-assign]
        return session


def test_a_refusal_by_su_is_counted_for_the_account_whose_rights_were_wanted(room: Room) -> None:
    boss, other = room.admin(), room.account("root")
    ann = room.account("ann", auth="boss@box", become="root@box")
    assert room.work(room.ask(ann).operation_id, sessions=RefusedBySu()) == "failed"
    counted = [(room.account_of(each).failures, room.account_of(each).in_flight) for each in (boss, other)]
    assert counted == [(0, 0), (1, 0)]


def test_an_account_whose_rights_were_taken_on_has_its_window_cleared(room: Room) -> None:
    other = room.account("root")
    room.admin()
    ann = room.account("ann", auth="boss@box", become="root@box")
    assert room.work(room.ask(ann).operation_id) == "succeeded"
    assert room.account_of(other).in_flight == 0


def no_such_tag(*arguments: object) -> Job:
    raise TemplateError(3, "no such tag")


def test_a_template_that_needs_what_is_not_there_costs_no_try(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = room.account("ann", tries=1)
    asked = room.ask(ann).operation_id
    monkeypatch.setattr("engine.work.conductor.job_for", no_such_tag)
    assert room.work(asked) == "failed"
    assert room.account_of(ann).in_flight == 0


@pytest.mark.parametrize("text", ["x" * 5000, "a\0b", "half \ud800 pair"])
def test_whatever_a_target_says_the_claim_comes_to_its_end(room: Room, text: str) -> None:
    class Talkative(InProcess):
        def open(self, job: Job) -> SessionPort:
            session = super().open(job)
            step = StepRecord(1, text, Outcome.PERMISSION_DENIED, 1)
            session.prepare = lambda: Report(Outcome.PERMISSION_DENIED, text, {}, (step,))  # type: ignore[method-assign]
            return session

    ann = room.account("ann")
    asked = room.ask(ann).operation_id
    assert room.work(asked, sessions=Talkative()) == "failed"
    assert room.state(ann) == "suspended"


def test_nothing_is_looked_at_before_it_can_show(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.policy("slow", settle_seconds=600.0, lockout={"threshold": 4, "window_seconds": 1800.0})
    ann = room.account("ann", behaviour=Behaviour(applies_after=300.0))
    room.use_policy(ann, "slow")
    monkeypatch.setattr("engine.work.conductor.LONGEST_SETTLE", 0.0)
    asked = room.ask(ann).operation_id
    assert room.work(asked) == "in_doubt"
    assert room.operation(asked).due > room.database.now() + 500
    assert room.target.failed_logins("ann") == 0
    room.set(operation, asked, due=0.0)
    assert room.work(asked) is None, "whoever takes over waits, too"
    room.target.advance(600)
    with room.database.writing() as connection:
        connection.execute(update(secret_version).values(sent_at=secret_version.c.sent_at - 600))
    room.due_now()
    assert room.work(asked) == "succeeded"
    assert room.opens("ann", ann)


@pytest.mark.parametrize("point", ["journal.before", "connect.after", "apply.after", "close.before"])
def test_a_database_that_is_away_leaves_the_claim_to_the_next_worker(room: Room, point: str) -> None:
    ann = room.account("ann", behaviour=Behaviour(reply=Reply.DROPS_AFTER_APPLYING))
    asked = room.ask(ann).operation_id
    away = At(point, StoreUnavailable("away"))
    if point == "close.before":
        room.target.behave("ann", Behaviour(unreachable_until=room.target.now() + 1000))
    with pytest.raises(StoreUnavailable):
        room.work(asked, at=away)
    assert room.operation(asked).state == "running"
    assert room.work(asked) is None
    room.target.behave("ann", Behaviour())
    room.leases_end()
    room.due_now()
    for _ in range(3):
        room.due_now()
        room.work(asked)
    assert room.operation(asked).state == "succeeded"
    assert room.opens("ann", ann)


def test_an_operation_that_ends_every_worker_is_given_to_a_person(room: Room) -> None:
    ann = room.account("ann")
    asked = room.ask(ann).operation_id
    for _ in range(10):
        with pytest.raises(Killed):
            room.work(asked, at=At("probe.before", Killed()))
        room.leases_end()
        room.due_now()
    assert room.work(asked) is None
    found = room.operation(asked)
    assert (found.state, found.needs_person) == ("in_doubt", True)
    assert "10 workers" in found.reason
    assert room.state(ann) == "in_doubt"
    assert room.ask(ann, Action.VERIFY).operation_id == asked
    assert room.work(asked) == "succeeded"
    assert room.opens("ann", ann)


def test_one_that_never_sent_anything_fails_when_its_template_is_gone(room: Room) -> None:
    ann = room.account("ann")
    asked = room.ask(ann).operation_id
    with pytest.raises(Killed):
        room.work(asked, at=At("connect.before", Killed()))
    with room.database.writing() as connection:
        connection.execute(update(template).values(content="no template at all"))
    room.leases_end()
    room.due_now()
    assert room.work(asked) is None
    assert room.operation(asked).state == "failed"
    assert room.state(ann) == "managed"
    assert room.audited(asked)[-1] == "operation.failed"
    assert room.notices(asked)[-1] == "failed"


def test_not_saved_yet_is_not_canceled_nor_joined(room: Room) -> None:
    ann = room.account("ann", behaviour=Behaviour(save_fails=True))
    asked = room.ask(ann).operation_id
    assert room.work(asked) == "scheduled"
    with room.database.writing() as connection, pytest.raises(NotNow, match="in force"):
        service.cancel(connection, asked, ACTOR)
    again = room.ask(ann).operation_id
    assert again != asked
    room.target.behave("ann", Behaviour())
    room.due_now()
    assert room.work(asked) == "succeeded"
    assert len(room.target.requests("ann")) == 1
    assert room.work(again) == "succeeded"
    assert len(room.target.requests("ann")) == 2


def test_what_a_person_suspends_before_its_turn_is_not_changed(room: Room) -> None:
    ann = room.account("ann")
    asked = room.ask(ann).operation_id
    with room.database.writing() as connection:
        lifecycle.suspend(connection, ACTOR, ann, "under investigation")
    assert room.work(asked) is None
    assert room.state(ann) == "suspended"
    assert room.operation(asked).state == "failed"
    assert "under investigation" in room.operation(asked).reason
    assert room.target.requests("ann") == ()


def test_a_proof_before_the_enabling_counts(room: Room) -> None:
    ann = room.account("ann")
    room.set(credential, ann, state="unverified", enabled=False)
    assert room.work(room.ask(ann, Action.VERIFY).operation_id) == "succeeded"
    assert room.state(ann) == "unverified"
    with room.database.writing() as connection:
        assert lifecycle.enable(connection, ACTOR, ann) == "managed"


def test_a_secret_set_by_hand_is_a_way_out_of_doubt(room: Room) -> None:
    ann = room.account("ann")
    asked = room.ask(ann).operation_id
    with pytest.raises(Killed):
        room.work(asked, at=At("apply.before", Killed()))
    room.target.set("ann", "by-hand")
    room.leases_end()
    for _ in range(12):
        room.due_now()
        if room.operation(asked).needs_person:
            break
        room.work(asked)
    assert room.operation(asked).needs_person
    room.store(ann, "by-hand")
    room.ask(ann, Action.VERIFY)
    for _ in range(6):
        room.due_now()
        room.work(asked)
    assert room.operation(asked).state in ("succeeded", "failed")
    assert room.opens("ann", ann)
    assert room.state(ann) == "managed"


def test_every_attempt_that_came_to_an_end_says_so(room: Room) -> None:
    ann = room.account("ann")
    asked = room.ask(ann).operation_id
    room.work(asked)
    with room.database.reading() as connection:
        found = connection.execute(select(attempt).where(attempt.c.operation_id == asked)).one()
    assert (found.outcome, found.proof, found.login) == ("ok", "login", "ann@box")
    assert found.finished is not None
