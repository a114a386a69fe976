"""Many accounts of one device over one administrative connection, each an operation of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import select

from engine.catalog import lifecycle
from engine.catalog.models import account, device
from engine.catalog.states import Action
from engine.operations import service
from engine.operations.batches import following
from engine.operations.claims import Claim, boottime
from engine.operations.models import attempt, operation
from engine.settings import Settings
from engine.vault.refs import credential_ref
from engine.vault.sealing import Purpose, open_bytes
from engine.work import conductor as conducting
from engine.work.conductor import Conductor, Observer, nothing
from engine.work.forkserver.ports import ChildGone, InProcess, SessionPort
from engine.work.worker import Worker
from executors.contract import Outcome, Report
from executors.fake.target import Behaviour, Reply
from executors.session import Job, Session
from tests.unit.operations.room import ACTOR, Room

NAMES = ("ann", "bob", "cat", "dan", "eve")


class Watched(InProcess):
    """Sessions in this process; `opened` are the jobs that got one of their own, `kept` the living ones."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[Job] = []
        self.alive: set[int] = set()
        self.sessions: list[Watching] = []

    def open(self, job: Job) -> SessionPort:
        session = super().open(job)
        assert isinstance(session, Session)
        self.opened.append(job)
        self.sessions.append(Watching(session, self))
        return cast(SessionPort, self.sessions[-1])


class Watching:
    """Passes everything on. `dies_at` is a verb that its process does not survive."""

    def __init__(self, inner: Session, among: Watched) -> None:
        self._inner, self._among = inner, among
        self.dies_at = ""
        among.alive.add(id(self))

    def hang_up(self) -> None:
        """The target does, and nobody is told."""
        self._inner.close()

    def __getattr__(self, verb: str) -> Callable[..., object]:
        if verb == self.dies_at:
            self._inner.close()
            raise ChildGone("it was killed")
        if verb == "close":
            self._among.alive.discard(id(self))
        found: Callable[..., object] = getattr(self._inner, verb)
        return found


class Batch:
    """Several accounts that `boss` changes, all asked for, and a conductor that goes on over a connection."""

    def __init__(self, room: Room, names: Sequence[str] = NAMES) -> None:
        self.room = room
        self.boss = room.admin()
        self.sessions = Watched()
        self.ids = {name: room.account(name, auth="boss@box") for name in names}
        self.asked: dict[str, int] = {}

    def ask(self) -> int:
        """Ask for all; the first operation."""
        self.asked = {name: self.room.ask(which).operation_id for name, which in self.ids.items()}
        return next(iter(self.asked.values()))

    def conductor(self, at: Observer = nothing) -> Conductor:
        room = self.room
        return Conductor(
            room.ledger(), self.sessions, room.keys, room.journal, 240.0, at=at, following=self.following
        )

    def following(self, claim: Claim) -> Sequence[int]:
        with self.room.database.reading() as connection:
            return following(connection, claim)

    def work(self, at: Observer = nothing) -> str | None:
        return self.conductor(at).conduct(self.ask())

    def states(self) -> dict[str, str]:
        return {name: self.room.operation(asked).state for name, asked in self.asked.items()}

    def all_open(self) -> bool:
        """By the target's own record."""
        return all(self.room.opens(name, which) for name, which in self.ids.items())


@pytest.fixture
def batch(room: Room) -> Batch:
    return Batch(room)


def at(point: str, nth: int, deed: Callable[[], object]) -> Observer:
    """Does `deed` at the nth pass of the point."""
    passed = 0

    def observe(passing: str) -> None:
        nonlocal passed
        passed += passing == point
        if passing == point and passed == nth:
            deed()

    return observe


def test_many_accounts_are_changed_over_one_administrative_login(batch: Batch) -> None:
    assert batch.work() == "succeeded"
    assert set(batch.states().values()) == {"succeeded"}
    assert batch.all_open()
    assert batch.room.target.logins("boss") == 1
    assert all(batch.room.target.logins(name) == 1 for name in NAMES), "each proof is a login of its own"
    assert len(batch.sessions.opened) == 1
    assert not batch.sessions.alive


def test_without_one_that_follows_each_has_a_connection_of_its_own(batch: Batch) -> None:
    batch.ask()
    for asked in batch.asked.values():
        batch.room.work(asked)
    assert batch.room.target.logins("boss") == len(NAMES)


def test_the_tries_that_were_charged_for_logins_that_nobody_made_come_back(batch: Batch) -> None:
    batch.work()
    row = batch.room.account_of(batch.boss)
    assert (row.failures, row.in_flight) == (0, 0)


def test_each_operation_has_a_claim_and_a_transcript_of_its_own(batch: Batch) -> None:
    batch.work()
    for name, asked in batch.asked.items():
        assert batch.room.states(asked) == ["scheduled", "running", "succeeded"]
        assert batch.room.audited(asked).count("operation.claimed") == 1
        assert batch.room.row(account, batch.room.account_of(batch.ids[name]).id).lease_until is None


def test_one_that_fails_in_the_middle_neither_stops_nor_harms_the_others(batch: Batch) -> None:
    batch.room.target.behave("cat", Behaviour(disabled=True))
    batch.work()
    assert batch.states() == dict(
        zip(NAMES, ("succeeded",) * 2 + ("failed",) + ("scheduled",) * 2, strict=True)
    )
    assert not batch.sessions.alive, "after anything that is not clean nothing is used again"
    assert batch.conductor().conduct(batch.asked["dan"]) == "succeeded"
    assert batch.states() == {**dict.fromkeys(NAMES, "succeeded"), "cat": "failed"}
    assert batch.room.state(batch.ids["cat"]) == "suspended"


@pytest.mark.parametrize(
    "reply", [Reply.DROPS_AFTER_APPLYING, Reply.REFUSES_AFTER_APPLYING, Reply.DROPS_WITHOUT_APPLYING]
)
def test_a_connection_on_which_something_went_wrong_is_not_used_again(batch: Batch, reply: Reply) -> None:
    batch.room.target.behave("bob", Behaviour(reply=reply))
    batch.work()
    assert batch.states()["ann"] == "succeeded"
    assert batch.states()["cat"] == "scheduled"
    assert not batch.sessions.alive
    assert batch.room.target.logins("boss") >= 1


def test_a_connection_that_is_dead_when_it_is_needed_is_made_anew(batch: Batch) -> None:
    def hang_up() -> None:
        batch.sessions.sessions[0].hang_up()

    conductor = batch.conductor(at("proceed.after", 2, hang_up))
    assert conductor.conduct(batch.ask()) == "succeeded"
    assert set(batch.states().values()) == {"succeeded"}
    assert batch.room.target.logins("boss") == 2
    row = batch.room.account_of(batch.boss)
    assert (row.failures, row.in_flight) == (0, 0)
    assert not batch.sessions.alive


@pytest.mark.parametrize("verb", ["proceed", "prepare", "apply", "prove", "persist"])
def test_a_child_that_dies_with_one_operation_leaves_the_others_to_new_ones(batch: Batch, verb: str) -> None:
    def die() -> None:
        batch.sessions.sessions[0].dies_at = verb

    batch.work(at("claim.after", 3, die))
    for _ in range(4):
        batch.room.due_now()
        for asked in batch.asked.values():
            batch.conductor().conduct(asked)
    assert set(batch.states().values()) == {"succeeded"}
    assert batch.all_open()
    assert not batch.sessions.alive


def test_what_was_canceled_paused_or_waits_for_a_person_is_passed_over(batch: Batch) -> None:
    room = batch.room
    batch.ask()
    with room.database.writing() as connection:
        service.cancel(connection, batch.asked["bob"], ACTOR)
    room.set(operation, batch.asked["cat"], state="in_doubt", needs_person=True)
    with room.database.writing() as connection:
        lifecycle.suspend(connection, ACTOR, batch.ids["dan"], "not now")
    assert batch.conductor().conduct(batch.asked["ann"]) == "succeeded"
    assert batch.states()["eve"] == "succeeded"
    assert batch.states()["bob"] == "canceled"
    assert batch.states()["cat"] == "in_doubt"
    for name in ("bob", "cat", "dan"):
        assert room.target.requests(name) == (), name
    assert room.target.logins("boss") == 1


def test_a_pause_ends_the_batch_before_the_next_claim(batch: Batch) -> None:
    batch.work(at("commit.after", 2, lambda: batch.room.pause("box")))
    assert list(batch.states().values()) == ["succeeded"] * 2 + ["scheduled"] * 3
    assert not batch.sessions.alive


def test_a_cancel_after_the_claim_sends_nothing_over_the_connection(batch: Batch) -> None:
    def cancel() -> None:
        with batch.room.database.writing() as connection:
            service.cancel(connection, batch.asked["bob"], ACTOR)

    batch.work(at("mark.before", 2, cancel))
    assert batch.states()["bob"] == "canceled"
    assert batch.room.target.requests("bob") == ()
    assert not batch.sessions.alive


def test_another_secret_of_the_login_is_never_used_over_the_old_one_s_connection(batch: Batch) -> None:
    def changed() -> None:
        batch.room.target.set("boss", "set by hand")
        batch.room.store(batch.boss, "set by hand")

    batch.work(at("claim.before", 3, changed))
    assert set(batch.states().values()) == {"succeeded"}
    assert batch.room.target.logins("boss") == 2


def test_another_address_of_the_device_needs_another_connection(batch: Batch) -> None:
    def moved() -> None:
        (batch.room.folder / "elsewhere").symlink_to(batch.room.folder / "target")
        with batch.room.database.writing() as connection:
            elsewhere = str(batch.room.folder / "elsewhere")
            connection.execute(device.update().where(device.c.name == "box").values(address=elsewhere))

    batch.work(at("claim.before", 3, moved))
    assert set(batch.states().values()) == {"succeeded"}
    assert batch.room.target.logins("boss") == 2


def test_only_accounts_that_the_same_login_changes_follow(batch: Batch) -> None:
    room = batch.room
    room.device("other")
    chief = room.admin("chief")
    others = {
        "of another login": room.ask(room.account("fay", auth="chief@box")).operation_id,
        "changing itself": room.ask(room.account("gus")).operation_id,
        "the login of others": room.ask(chief).operation_id,
        "on another device": room.ask(room.account("hal", on="other", auth="boss@box")).operation_id,
        "only looked at": room.ask(room.account("ida", auth="boss@box"), Action.VERIFY).operation_id,
    }
    batch.work()
    assert set(batch.states().values()) == {"succeeded"}
    for why, asked in others.items():
        assert room.operation(asked).state == "scheduled", why


def test_a_change_of_the_login_itself_waits_for_no_batch_and_joins_none(batch: Batch) -> None:
    own = batch.room.ask(batch.boss).operation_id
    first = batch.ask()
    assert batch.conductor().conduct(first) is None, "who logs in goes first"
    assert batch.conductor().conduct(own) == "succeeded"
    batch.room.due_now()
    assert batch.conductor().conduct(first) == "succeeded"
    assert set(batch.states().values()) == {"succeeded"}


def test_the_most_urgent_comes_first_and_another_login_s_is_not_held_up(batch: Batch) -> None:
    room = batch.room
    batch.ask()
    room.set(operation, batch.asked["eve"], priority=5)
    room.set(operation, batch.asked["ann"], priority=9)
    claim = room.claim(batch.asked["ann"])
    assert list(batch.following(claim)) == [batch.asked["eve"]]
    room.admin("chief")
    urgent = room.ask(room.account("fay", auth="chief@box")).operation_id
    room.set(operation, urgent, priority=7)
    assert list(batch.following(claim)) == []
    room.set(operation, urgent, priority=4)
    assert list(batch.following(claim)) == [batch.asked["eve"]]


def test_those_that_are_due_longest_come_first(batch: Batch) -> None:
    batch.ask()
    claim = batch.room.claim(batch.asked["ann"])
    earlier = batch.room.operation(batch.asked["bob"]).due - 60
    batch.room.set(operation, batch.asked["dan"], due=earlier)
    batch.room.set(operation, batch.asked["eve"], due=earlier + 3600)
    assert list(batch.following(claim)) == [batch.asked[name] for name in ("dan", "bob", "cat")]


def test_a_reconcile_by_the_same_login_joins_the_batch(batch: Batch) -> None:
    room = batch.room
    room.target.set("bob", "a stranger's")
    asked = room.ask(batch.ids["bob"], Action.RECONCILE).operation_id
    del batch.ids["bob"]
    batch.work()
    assert room.operation(asked).state == "succeeded"
    assert room.target.logins("boss") == 1


def test_a_batch_has_an_end(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conducting, "LONGEST_BATCH", 3)
    batch.work()
    assert list(batch.states().values()) == ["succeeded"] * 3 + ["scheduled"] * 2
    assert not batch.sessions.alive


def test_a_batch_ends_when_one_child_s_time_is_over(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    past = 0.0

    def later() -> None:
        nonlocal past
        past = 1000.0

    monkeypatch.setattr(conducting, "boottime", lambda: boottime() + past)
    batch.work(at("close.after", 2, later))
    assert list(batch.states().values()) == ["succeeded"] * 2 + ["scheduled"] * 3
    assert not batch.sessions.alive


def test_a_refusal_by_sudo_over_the_connection_counts_for_the_login(batch: Batch) -> None:
    """The secret that logged in is asked for once more, and meanwhile somebody has set another one."""

    def refused(report: Report) -> Report:
        return replace(report, outcome=Outcome.BAD_LOGIN, message="sudo refuses")

    def meanwhile() -> None:
        session = batch.sessions.sessions[0]._inner
        prepare = session.prepare
        session.prepare = lambda: refused(prepare())  # type: ignore[method-assign]

    batch.work(at("claim.after", 2, meanwhile))
    assert batch.states()["bob"] == "failed"
    assert batch.room.account_of(batch.boss).failures == 1
    assert batch.room.account_of(batch.boss).in_flight == 0
    assert batch.room.target.logins("boss") == 1, "a login would only have tried the same secret again"
    assert batch.room.target.requests("bob") == ()


def test_the_next_account_waits_while_the_login_has_no_try_left(batch: Batch) -> None:
    def spend() -> None:
        which = batch.room.account_of(batch.boss).id
        batch.room.set(account, which, failures=9, failures_since=batch.room.database.now())

    batch.work(at("commit.after", 2, spend))
    assert list(batch.states().values()) == ["succeeded"] * 2 + ["scheduled"] * 3
    with batch.room.database.reading() as connection:
        due = select(operation.c.due).where(operation.c.id == batch.asked["cat"])
        assert connection.execute(due).scalar_one() > batch.room.database.now()


@pytest.fixture
def worker(batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    monkeypatch.setattr("engine.work.worker.full_volumes", lambda _: ())
    room = batch.room
    settings = Settings(data=tmp_path)
    return Worker(settings, room.database, room.keys, room.journal, batch.sessions, "worker-1")


def test_a_worker_goes_on_over_the_connection(batch: Batch, worker: Worker) -> None:
    worker.operation(batch.ask())
    assert set(batch.states().values()) == {"succeeded"}
    assert batch.room.target.logins("boss") == 1


def test_a_worker_that_drains_ends_its_batch_after_the_operation_at_hand(
    batch: Batch, worker: Worker
) -> None:
    worker.draining.set()
    worker.operation(batch.ask())
    assert list(batch.states().values()) == ["succeeded"] + ["scheduled"] * 4
    assert not batch.sessions.alive


def test_a_volume_that_is_full_ends_the_batch(
    batch: Batch, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([(), (), ("data",)])
    monkeypatch.setattr("engine.work.worker.full_volumes", lambda _: next(looks))
    worker.operation(batch.ask())
    assert list(batch.states().values()) == ["succeeded"] * 2 + ["scheduled"] * 3


def test_the_transcript_that_is_kept_tells_everything_once(batch: Batch) -> None:
    batch.work()
    with batch.room.database.reading() as connection:
        for name, asked in batch.asked.items():
            query = select(attempt.c.epoch, attempt.c.transcript).where(attempt.c.operation_id == asked)
            epoch, sealed = connection.execute(query).one()
            context = credential_ref(connection, batch.ids[name]).context(epoch, Purpose.TRANSCRIPT)
            text = open_bytes(sealed, batch.room.keys.private("default"), context).decode()
            assert text.count("> set ") == text.count("> save") == 1
            assert text.count(f"proof of {name}") == 1
            assert "first-of" not in text
