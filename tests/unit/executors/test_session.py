from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from executors.contract import (
    Connection,
    Failure,
    Hop,
    Login,
    Outcome,
    Program,
    Proof,
    ProofKind,
    ProofPlan,
    Report,
    Secret,
    Section,
    StepRecord,
    Target,
    Transcript,
    Value,
    ValueKind,
    Values,
    Verdict,
)
from executors.fake import FakeExecutor
from executors.fake.target import Behaviour, FakeTarget, Reply
from executors.session import WHOLE_LIMIT, Job, Session

BODY = "[status]\ncheck-status\n[change]\nset [#NEW_PASSWORD#]\n[persist]\nsave\n"
OLD, NEW = "old secret 1!", "new secret 2!"
PLAN = ProofPlan()


@pytest.fixture
def target(tmp_path: Path) -> FakeTarget:
    target = FakeTarget.create(tmp_path / "target")
    target.set("bob", OLD)
    return target


@pytest.fixture
def job(target: FakeTarget) -> Job:
    bob = Login("bob", Secret(OLD))
    values = {
        "USERNAME": Value(ValueKind.USERNAME, "bob"),
        "NEW_PASSWORD": Value(ValueKind.SECRET, Secret(NEW)),
    }
    return Job("fake", BODY, 1, Target("box", str(target.path), 0), bob, values, (), 600.0)


def opened(job: Job) -> Session:
    return Session(FakeExecutor(), job)


def test_prepare_logs_in_and_reads_the_status_without_changing_anything(job: Job, target: FakeTarget) -> None:
    report = opened(job).prepare()
    assert report.outcome is Outcome.OK
    assert report.facts["status"] == "active"
    assert target.requests("bob") == ()


def test_apply_changes_and_persist_saves(job: Job, target: FakeTarget) -> None:
    with opened(job) as session:
        session.prepare()
        assert session.apply().outcome is Outcome.OK
        assert target.saves("bob") == 0
        assert session.persist().outcome is Outcome.OK
    assert target.history("bob") == (OLD, NEW)
    assert target.saves("bob") == 1


def test_a_body_that_does_not_parse_is_bad_template_and_never_connects(job: Job, target: FakeTarget) -> None:
    report = opened(replace(job, body="[change]\nblink\n", first_line=12)).prepare()
    assert report.outcome is Outcome.BAD_TEMPLATE
    assert report.message.startswith("line 13: ")
    assert target.failed_logins("bob") == 0


@pytest.mark.parametrize("missing", ["USERNAME", "NEW_PASSWORD"])
def test_a_tag_without_a_value_is_bad_template(missing: str, job: Job) -> None:
    values = {name: value for name, value in job.values.items() if name != missing}
    report = opened(replace(job, values=values)).prepare()
    assert report.outcome is Outcome.BAD_TEMPLATE
    assert missing in report.message


def test_a_value_that_its_place_cannot_carry_is_bad_template_and_is_not_quoted(job: Job) -> None:
    secret = Secret("two\nlines canary")
    values = {**job.values, "NEW_PASSWORD": Value(ValueKind.SECRET, secret)}
    report = opened(replace(job, values=values)).prepare()
    assert report.outcome is Outcome.BAD_TEMPLATE
    assert "canary" not in report.message


def test_a_wrong_login_is_bad_login(job: Job) -> None:
    session = opened(replace(job, login=Login("bob", Secret("wrong"))))
    assert session.prepare().outcome is Outcome.BAD_LOGIN
    assert session.apply().outcome is Outcome.UNREACHABLE


def test_nothing_is_applied_before_prepare(job: Job, target: FakeTarget) -> None:
    assert opened(job).apply().outcome is Outcome.UNREACHABLE
    assert target.requests("bob") == ()


def test_a_job_without_a_login_proves_and_does_nothing_else(job: Job, target: FakeTarget) -> None:
    session = opened(replace(job, login=None))
    assert session.prepare().outcome is Outcome.OK
    assert session.apply().outcome is Outcome.UNREACHABLE
    assert session.prove(Login("bob", Secret(OLD)), PLAN).verdict is Verdict.OPENS
    assert target.requests("bob") == ()


def test_a_template_that_changes_nothing_cannot_be_applied(job: Job) -> None:
    with opened(replace(job, body="[status]\ncheck-status\n")) as session:
        assert session.prepare().outcome is Outcome.OK
        assert session.apply().outcome is Outcome.BAD_TEMPLATE
        assert session.persist().outcome is Outcome.OK


def test_a_past_deadline_stops_before_the_login_and_leaves_the_secret_unjudged(
    job: Job, target: FakeTarget
) -> None:
    session = opened(replace(job, deadline=0.0))
    assert session.prepare().outcome is Outcome.TIMEOUT
    proof = session.prove(Login("bob", Secret("wrong")), PLAN)
    assert proof.verdict is Verdict.UNKNOWN
    assert target.failed_logins("bob") == 0


def test_the_changing_connection_stays_open_until_close(job: Job, target: FakeTarget) -> None:
    session = opened(job)
    session.prepare()
    session.apply()
    session.prove(Login("bob", Secret(NEW)), PLAN)
    assert session.status().outcome is Outcome.OK
    session.close()
    session.close()
    assert session.status().outcome is Outcome.UNREACHABLE


def test_a_dropped_connection_is_unreachable_though_the_change_was_made(job: Job, target: FakeTarget) -> None:
    target.behave("bob", Behaviour(reply=Reply.DROPS_AFTER_APPLYING))
    session = opened(job)
    session.prepare()
    assert session.apply().outcome is Outcome.UNREACHABLE
    assert session.persist().outcome is Outcome.UNREACHABLE
    assert target.opens("bob", NEW)


class Echoing(FakeExecutor):
    """Quotes secrets wherever an executor can."""

    def prove(self, _: Target, login: Login, plan: ProofPlan, transcript: Transcript) -> Proof:
        transcript.received(f"you said {login.secret.reveal()}\n")
        return Proof(Verdict.REFUSED, plan.kind, f"not {login.secret.reveal()}")

    def connect(self, target: Target, login: Login, transcript: Transcript) -> Connection:
        return EchoingConnection(super().connect(target, login, transcript), transcript)


class EchoingConnection:
    def __init__(self, inner: Connection, transcript: Transcript) -> None:
        self._inner = inner
        self._transcript = transcript

    def run(self, _: Program, section: Section, values: Values) -> Report:
        new = values["NEW_PASSWORD"].reveal()
        self._transcript.received(f"setting {new}\n")
        if section is Section.CHANGE:
            raise Failure(Outcome.SCRIPT_MISMATCH, f"unexpected: {new}")
        step = StepRecord(2, f"set {new}", Outcome.OK, 1)
        return Report(Outcome.OK, f"set {new}" * 9_000, {"said": new, new: "x" * 99_999}, (step,) * 999)

    def close(self) -> None:
        self._inner.close()


def test_what_an_executor_quotes_leaves_redacted_and_bounded(job: Job) -> None:
    session = Session(Echoing(), replace(job, redact=(Secret("third secret 3!"),)))
    report = session.prepare()
    failed = session.apply()
    proof = session.prove(Login("bob", Secret("fourth secret 4!")), PLAN)
    session.prove(Login("bob", Secret("third secret 3!")), PLAN)
    seen = repr((report, failed, proof)) + session.transcript()
    for secret in (OLD, NEW, "third secret 3!", "fourth secret 4!"):
        assert secret not in seen
    assert failed.outcome is Outcome.SCRIPT_MISMATCH
    assert len(repr(report)) < 500_000


def test_the_transcript_is_bounded_however_often_is_proven(job: Job) -> None:
    class Loud(FakeExecutor):
        def prove(self, *given: Any, **_: Any) -> Proof:
            given[-1].received("loud " * 20_000)
            return Proof(Verdict.UNKNOWN, ProofKind.LOGIN)

    session = Session(Loud(), job)
    for _ in range(20):
        session.prove(Login("bob", Secret(OLD)), PLAN)
    assert len(session.transcript()) <= WHOLE_LIMIT


def test_a_secret_first_known_at_the_proof_is_hidden_in_what_was_said_before(job: Job) -> None:
    session = opened(replace(job, body=BODY.replace("[status]", "[status]\n# nothing")))
    session.prepare()
    late = Secret("check-status")
    session.prove(Login("bob", late), PLAN)
    assert "check-status" not in session.transcript()


class Broken(FakeExecutor):
    def __init__(self, error: Exception) -> None:
        self._error = error

    def connect(self, *_: Any, **__: Any) -> Connection:
        raise self._error

    def prove(self, *_: Any, **__: Any) -> Proof:
        raise self._error


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyError, RecursionError, OSError, MemoryError])
def test_an_unexpected_exception_is_unknown_and_only_its_class_is_named(
    error: Callable[[str], Exception], job: Job
) -> None:
    session = Session(Broken(error(f"while sending {NEW}")), job)
    report = session.prepare()
    assert report.outcome is Outcome.UNKNOWN
    assert type(error("")).__name__ in report.message
    assert NEW not in report.message
    proof = session.prove(Login("bob", Secret(NEW)), PLAN)
    assert proof.verdict is Verdict.UNKNOWN
    assert NEW not in proof.detail


def test_what_stops_a_process_is_not_taken_for_an_executor_s_error(job: Job) -> None:
    class Interrupted(FakeExecutor):
        def connect(self, *_: Any, **__: Any) -> Connection:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Session(Interrupted(), job).prepare()


def test_the_secrets_of_jump_hosts_and_su_are_hidden_too(job: Job) -> None:
    hop = Hop(Target("hop", "hop", 22), Login("jumper", Secret("jump secret 5!")))
    via = Login("starter", Secret("start secret 6!"))

    class Chatty(FakeExecutor):
        def prove(self, *_: Any, **__: Any) -> Proof:
            return Proof(Verdict.UNKNOWN, ProofKind.LOGIN, "jump secret 5! start secret 6!")

    session = Session(Chatty(), replace(job, target=replace(job.target, jump=hop)))
    proof = session.prove(Login("bob", Secret(NEW)), ProofPlan(ProofKind.SU, via))
    assert "secret 5!" not in proof.detail
    assert "secret 6!" not in proof.detail


def test_every_verb_leaves_its_end_and_its_time_in_the_transcript(job: Job) -> None:
    with opened(job) as session:
        session.prepare()
        session.apply()
        session.prove(Login("bob", Secret(OLD)), PLAN)
        said = session.transcript()
    for ending in ("# connect: ok, ", "# status: ok, ", "# change: ok, ", "# prove: refused, "):
        assert ending in said


def test_a_secret_that_is_no_unicode_is_not_judged_and_not_quoted(job: Job, target: FakeTarget) -> None:
    proof = opened(job).prove(Login("bob", Secret("canary \ud800")), PLAN)
    assert proof.verdict in (Verdict.UNKNOWN, Verdict.REFUSED)
    assert "canary" not in proof.detail
