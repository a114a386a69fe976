"""One session that makes one job after the other over the connection of the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from executors.contract import (
    Connection,
    Hop,
    Login,
    Outcome,
    Program,
    ProofPlan,
    Report,
    Secret,
    Section,
    Target,
    Transcript,
    Value,
    ValueKind,
    Values,
    Verdict,
)
from executors.fake import FakeConnection, FakeExecutor
from executors.fake.target import Behaviour, FakeTarget, Reply
from executors.session import Job, Session

BODY = "[status]\ncheck-status\n[change]\nset [#NEW_PASSWORD#]\n[persist]\nsave\n"
BOSS = Login("boss", Secret("boss-canary-4711"))
PLAN = ProofPlan()


@pytest.fixture
def target(tmp_path: Path) -> FakeTarget:
    target = FakeTarget.create(tmp_path / "target")
    target.set("boss", "boss-canary-4711", Behaviour(admin=True))
    for name in ("ann", "bob"):
        target.set(name, f"first-of-{name}")
    return target


def new(name: str) -> Secret:
    return Secret(f"new-canary-of-{name}")


def job(target: FakeTarget, name: str, **changed: Any) -> Job:
    values: Mapping[str, Value] = {
        "USERNAME": Value(ValueKind.USERNAME, name),
        "NEW_PASSWORD": Value(ValueKind.SECRET, new(name)),
    }
    made = Job("fake", BODY, 1, Target("box", str(target.path), 0), BOSS, values, (), 600.0)
    return replace(made, **changed)


def proven(session: Session, name: str) -> Session:
    """Everything that one operation does."""
    assert session.prepare().outcome is Outcome.OK
    assert session.apply().outcome is Outcome.OK
    assert session.prove(Login(name, new(name)), PLAN).verdict is Verdict.OPENS
    assert session.persist().outcome is Outcome.OK
    return session


def test_the_next_job_is_made_without_a_login(target: FakeTarget) -> None:
    with Session(FakeExecutor(), job(target, "ann")) as session:
        proven(session, "ann")
        assert session.proceed(job(target, "bob"))
        proven(session, "bob")
    assert target.history("ann") == ("first-of-ann", "new-canary-of-ann")
    assert target.history("bob") == ("first-of-bob", "new-canary-of-bob")
    assert target.logins("boss") == 1
    assert target.logins("ann") == target.logins("bob") == 1, "proofs are logins of their own"


OTHERS: dict[str, Callable[[Job], Job]] = {
    "executor": lambda job: replace(job, executor="ssh"),
    "address": lambda job: replace(job, target=replace(job.target, address="/elsewhere")),
    "host key": lambda job: replace(job, target=replace(job.target, host_keys=("ssh-ed25519 AAAA",))),
    "jump host": lambda job: replace(job, target=replace(job.target, jump=Hop(job.target, BOSS))),
    "login": lambda job: replace(job, login=Login("chief", BOSS.secret)),
    "secret of the login": lambda job: replace(job, login=Login("boss", Secret("another"))),
    "no login": lambda job: replace(job, login=None),
}


@pytest.mark.parametrize("other", OTHERS)
def test_another_place_or_login_needs_another_session(target: FakeTarget, other: str) -> None:
    session = proven(Session(FakeExecutor(), job(target, "ann")), "ann")
    assert not session.proceed(OTHERS[other](job(target, "bob")))
    assert target.logins("boss") == 1


def unprepared(session: Session) -> None:
    """Nothing was done at all."""


def unapplied(session: Session) -> None:
    session.prepare()


def unproven(session: Session) -> None:
    session.prepare()
    session.apply()


def refused(session: Session) -> None:
    session.prepare()
    session.apply()
    session.prove(Login("ann", Secret("wrong")), PLAN)


def applied_again(session: Session) -> None:
    proven(session, "ann")
    session.apply()


def hung_up(session: Session) -> None:
    proven(session, "ann")
    session.close()


@pytest.mark.parametrize("done", [unprepared, unapplied, unproven, refused, applied_again, hung_up])
def test_only_after_a_proven_change_is_there_another_job(target: FakeTarget, done: Any) -> None:
    session = Session(FakeExecutor(), job(target, "ann"))
    done(session)
    assert not session.proceed(job(target, "bob"))
    assert target.requests("bob") == ()


@pytest.mark.parametrize("how", [{"reply": Reply.REFUSES_AFTER_APPLYING}, {"must_change": True}])
def test_a_doubtful_change_leaves_no_connection_for_another(target: FakeTarget, how: dict[str, Any]) -> None:
    target.behave("ann", Behaviour(**how))
    session = Session(FakeExecutor(), job(target, "ann"))
    session.prepare()
    session.apply()
    session.prove(Login("ann", new("ann")), PLAN)
    assert not session.proceed(job(target, "bob"))


def test_what_was_not_saved_leaves_no_connection_for_another(target: FakeTarget) -> None:
    target.behave("ann", Behaviour(save_fails=True))
    session = Session(FakeExecutor(), job(target, "ann"))
    session.prepare()
    session.apply()
    session.prove(Login("ann", new("ann")), PLAN)
    assert session.persist().outcome is Outcome.NOT_SAVED
    assert not session.proceed(job(target, "bob"))


def test_a_program_that_reads_no_status_could_not_tell_a_dead_connection(target: FakeTarget) -> None:
    session = proven(Session(FakeExecutor(), job(target, "ann")), "ann")
    assert not session.proceed(job(target, "bob", body="[change]\nset [#NEW_PASSWORD#]\n"))


def test_a_program_that_does_not_parse_is_left_to_a_session_that_can_say_so(target: FakeTarget) -> None:
    session = proven(Session(FakeExecutor(), job(target, "ann")), "ann")
    assert not session.proceed(job(target, "bob", body="[status]\nblink\n"))


def test_another_program_of_the_same_login_may_follow(target: FakeTarget) -> None:
    session = proven(Session(FakeExecutor(), job(target, "ann")), "ann")
    assert session.proceed(
        job(target, "bob", body="[status]\ncheck-status\n[change]\nset [#NEW_PASSWORD#]\n")
    )
    proven(session, "bob")
    assert target.saves("bob") == 0


def test_the_next_job_has_a_deadline_of_its_own(target: FakeTarget) -> None:
    session = proven(Session(FakeExecutor(), job(target, "ann")), "ann")
    assert session.proceed(job(target, "bob", deadline=-1.0))
    assert session.prepare().outcome is Outcome.TIMEOUT
    assert target.requests("bob") == ()


class Repeating(FakeExecutor):
    """A target that says, with every command, all that it was ever sent."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def connect(self, target: Target, login: Login, transcript: Transcript) -> Connection:
        super().connect(target, login, transcript)
        file = FakeTarget(Path(target.address))
        return RepeatingConnection(self.said, file, login, transcript)


class RepeatingConnection(FakeConnection):
    def __init__(self, said: list[str], target: FakeTarget, login: Login, transcript: Transcript) -> None:
        super().__init__(target, login, 20.0, transcript)
        self._said = said

    def run(self, program: Program, section: Section, values: Values) -> Report:
        report = super().run(program, section, values)
        self._said += [value.reveal() for value in values.values()]
        told = " ".join(self._said)
        self._transcript.received(told)
        return replace(report, message=told, facts={**report.facts, "told": told})


def test_secrets_of_earlier_jobs_stay_hidden_whatever_the_target_repeats(target: FakeTarget) -> None:
    session = proven(Session(Repeating(), job(target, "ann")), "ann")
    assert session.proceed(job(target, "bob"))
    reports = [session.prepare(), session.apply()]
    session.prove(Login("bob", new("bob")), PLAN)
    said = session.transcript() + repr(reports)
    assert "bob" in said
    for secret in (new("ann"), new("bob"), BOSS.secret):
        assert secret.reveal() not in said


def test_a_transcript_tells_of_its_own_job_only(target: FakeTarget) -> None:
    session = proven(Session(FakeExecutor(), job(target, "ann")), "ann")
    assert "login of boss" in session.transcript()
    session.proceed(job(target, "bob"))
    proven(session, "bob")
    said = session.transcript()
    assert said.startswith("# goes on over the connection of the job before\n")
    assert "ann" not in said
    assert "login of boss" not in said


class OneJobOnly(FakeExecutor):
    """An executor written before anything was used twice."""

    def connect(self, target: Target, login: Login, transcript: Transcript) -> Connection:
        return Old(super().connect(target, login, transcript))


class Old:
    def __init__(self, inner: Connection) -> None:
        self._inner = inner

    def run(self, program: Program, section: Section, values: Values) -> Report:
        return self._inner.run(program, section, values)

    def close(self) -> None:
        self._inner.close()


def test_a_connection_that_does_not_say_so_serves_one_job(target: FakeTarget) -> None:
    session = proven(Session(OneJobOnly(), job(target, "ann")), "ann")
    assert not session.proceed(job(target, "bob"))
