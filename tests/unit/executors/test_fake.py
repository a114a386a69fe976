from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from executors.contract import (
    Failure,
    Login,
    Outcome,
    ProofKind,
    ProofPlan,
    Report,
    Secret,
    Section,
    Target,
    TemplateError,
    Transcript,
    Value,
    ValueKind,
    Verdict,
)
from executors.fake import FakeExecutor
from executors.fake.target import Access, Behaviour, FakeTarget, Judgement, NoTarget, Reply

OLD, NEW = "old secret", "new secret"
LOGIN = ProofPlan()
TEMPLATES = Path(__file__).parents[3] / "templates" / "fake"


@pytest.fixture
def target(tmp_path: Path) -> FakeTarget:
    target = FakeTarget.create(tmp_path / "target")
    target.set("bob", OLD)
    target.set("root", "root secret", Behaviour(admin=True))
    return target


def place(target: FakeTarget) -> Target:
    return Target("box", str(target.path), 0, read_timeout=0.01)


def change(
    target: FakeTarget, by: str = "bob", secret: str = OLD, new: str = NEW, account: str = "bob"
) -> Report:
    executor = FakeExecutor()
    connection = executor.connect(place(target), Login(by, Secret(secret)), Transcript())
    values = {
        "USERNAME": Value(ValueKind.USERNAME, account),
        "NEW_PASSWORD": Value(ValueKind.SECRET, Secret(new)),
    }
    return connection.run(executor.parse("set [#NEW_PASSWORD#]"), Section.CHANGE, values)


def verdict(target: FakeTarget, secret: str, plan: ProofPlan = LOGIN) -> Verdict:
    return FakeExecutor().prove(place(target), Login("bob", Secret(secret)), plan, Transcript()).verdict


def test_an_account_changes_its_own_secret(target: FakeTarget) -> None:
    assert change(target).outcome is Outcome.OK
    assert target.opens("bob", NEW)
    assert not target.opens("bob", OLD)


def test_an_administrator_sets_another_account_s_secret(target: FakeTarget) -> None:
    assert change(target, by="root", secret="root secret").outcome is Outcome.OK
    assert target.opens("bob", NEW)


def test_nobody_else_may(target: FakeTarget) -> None:
    target.set("eve", "eve secret")
    assert change(target, by="eve", secret="eve secret").outcome is Outcome.PERMISSION_DENIED
    assert target.opens("bob", OLD)


def test_an_account_that_is_not_there_is_missing(target: FakeTarget) -> None:
    report = change(target, by="root", secret="root secret", account="nobody")
    assert report.outcome is Outcome.ACCOUNT_MISSING


def test_every_request_is_recorded_even_a_refused_one(target: FakeTarget) -> None:
    target.behave("bob", Behaviour(minimum_length=5))
    change(target, new="x")
    change(target)
    assert [(each.by, each.password, each.applied) for each in target.requests("bob")] == [
        ("bob", "x", False),
        ("bob", NEW, True),
    ]


@pytest.mark.parametrize(
    ("behaviour", "new", "outcome"),
    [
        (Behaviour(minimum_length=20), NEW, Outcome.REFUSED_BY_POLICY),
        (Behaviour(minimum_age=3600.0), NEW, Outcome.TOO_SOON),
        (Behaviour(history_depth=1), OLD, Outcome.TOO_SOON),
        (Behaviour(history_depth=1, folds_case=True), OLD.upper(), Outcome.TOO_SOON),
        (Behaviour(history_depth=1, truncate_at=3), "old other", Outcome.TOO_SOON),
    ],
)
def test_the_target_s_rules_refuse_a_change(
    behaviour: Behaviour, new: str, outcome: Outcome, target: FakeTarget
) -> None:
    target.behave("bob", behaviour)
    assert change(target, new=new).outcome is outcome
    assert target.history("bob") == (OLD,)


def test_a_reset_minds_neither_age_nor_history(target: FakeTarget) -> None:
    target.behave("bob", Behaviour(minimum_age=3600.0, history_depth=5))
    assert change(target, by="root", secret="root secret", new=OLD).outcome is Outcome.OK


def test_the_minimum_age_ends(target: FakeTarget) -> None:
    target.behave("bob", Behaviour(minimum_age=3600.0))
    target.advance(3601)
    assert change(target).outcome is Outcome.OK


@pytest.mark.parametrize(
    ("reply", "outcome", "applied"),
    [
        (Reply.REFUSES_AFTER_APPLYING, Outcome.REFUSED_BY_POLICY, True),
        (Reply.ACCEPTS_WITHOUT_APPLYING, Outcome.OK, False),
        (Reply.HANGS_AFTER_APPLYING, Outcome.TIMEOUT, True),
        (Reply.HANGS_WITHOUT_APPLYING, Outcome.TIMEOUT, False),
        (Reply.DROPS_AFTER_APPLYING, Outcome.UNREACHABLE, True),
        (Reply.DROPS_WITHOUT_APPLYING, Outcome.UNREACHABLE, False),
    ],
)
def test_a_lying_target_says_one_thing_and_does_another(
    reply: Reply, outcome: Outcome, applied: bool, target: FakeTarget
) -> None:
    target.behave("bob", Behaviour(reply=reply))
    try:
        seen = change(target).outcome
    except Failure as failure:
        seen = failure.outcome
    assert seen is outcome
    assert target.opens("bob", NEW) is applied
    assert target.opens("bob", OLD) is not applied


def test_a_late_change_opens_the_account_later_and_the_old_secret_until_then(target: FakeTarget) -> None:
    target.behave("bob", Behaviour(applies_after=60.0))
    assert change(target).outcome is Outcome.OK
    assert (target.opens("bob", OLD), target.opens("bob", NEW)) == (True, False)
    target.advance(61)
    assert (target.opens("bob", OLD), target.opens("bob", NEW)) == (False, True)


def test_with_overlap_both_secrets_open_for_a_while(target: FakeTarget) -> None:
    target.behave("bob", Behaviour(overlap=60.0))
    change(target)
    assert (target.opens("bob", OLD), target.opens("bob", NEW)) == (True, True)
    target.advance(61)
    assert (target.opens("bob", OLD), target.opens("bob", NEW)) == (False, True)


def test_two_late_changes_end_with_the_second(target: FakeTarget) -> None:
    target.behave("bob", Behaviour(applies_after=60.0))
    change(target)
    change(target, new="third")
    target.advance(61)
    assert target.opens("bob", "third")
    assert not target.opens("bob", OLD)


def test_truncation_makes_the_first_characters_count(target: FakeTarget) -> None:
    target.set("bob", "abcdefgh-and-more", Behaviour(truncate_at=8))
    assert target.opens("bob", "abcdefgh-other")
    assert not target.opens("bob", "abcdefg")


def test_folding_makes_case_not_count(target: FakeTarget) -> None:
    target.set("bob", "SeCret", Behaviour(folds_case=True))
    assert target.opens("bob", "sEcREt")


def test_failed_logins_lock_the_account_and_the_lock_ends(target: FakeTarget) -> None:
    target.behave("bob", Behaviour(lockout_threshold=3, lockout_window=600.0))
    assert [verdict(target, "wrong") for _ in range(3)] == [Verdict.REFUSED] * 3
    assert verdict(target, OLD) is Verdict.LOCKED
    with pytest.raises(Failure) as caught:
        change(target)
    assert caught.value.outcome is Outcome.LOCKED_OUT
    assert target.failed_logins("bob") == 3
    target.advance(601)
    assert verdict(target, OLD) is Verdict.OPENS


def test_a_right_login_starts_the_count_anew(target: FakeTarget) -> None:
    target.behave("bob", Behaviour(lockout_threshold=2, lockout_window=600.0))
    for _ in range(3):
        verdict(target, "wrong")
        assert verdict(target, OLD) is Verdict.OPENS
    assert target.failed_logins("bob") == 3


def test_failures_are_forgotten_after_the_window(target: FakeTarget) -> None:
    target.behave("bob", Behaviour(lockout_threshold=2, lockout_window=600.0))
    verdict(target, "wrong")
    target.advance(601)
    verdict(target, "wrong")
    assert verdict(target, OLD) is Verdict.OPENS


def test_an_unlocked_account_opens_at_once(target: FakeTarget) -> None:
    target.behave("bob", Behaviour(lockout_threshold=1, lockout_window=600.0))
    verdict(target, "wrong")
    target.unlock("bob")
    assert verdict(target, OLD) is Verdict.OPENS


@pytest.mark.parametrize("restricted", [Behaviour(disabled=True), Behaviour(must_change=True)])
def test_a_right_secret_may_be_restricted_and_a_wrong_one_is_refused(
    restricted: Behaviour, target: FakeTarget
) -> None:
    target.behave("bob", restricted)
    assert verdict(target, OLD) is Verdict.RESTRICTED
    assert verdict(target, "wrong") is Verdict.REFUSED


def test_who_must_change_may_log_in_to_change(target: FakeTarget) -> None:
    target.behave("bob", Behaviour(must_change=True))
    assert change(target).outcome is Outcome.OK


def test_an_unreachable_account_counts_no_failure(target: FakeTarget) -> None:
    target.behave("bob", Behaviour(unreachable_until=target.now() + 60))
    assert verdict(target, "wrong") is Verdict.UNKNOWN
    assert target.failed_logins("bob") == 0
    target.advance(61)
    assert verdict(target, OLD) is Verdict.OPENS


def test_a_proof_by_su_needs_the_first_login(target: FakeTarget) -> None:
    target.set("starter", "start")
    assert verdict(target, OLD, ProofPlan(ProofKind.SU, Login("starter", Secret("start")))) is Verdict.OPENS
    assert verdict(target, OLD, ProofPlan(ProofKind.SU, Login("starter", Secret("wrong")))) is Verdict.UNKNOWN
    assert verdict(target, OLD, ProofPlan(ProofKind.SU)) is Verdict.UNKNOWN
    assert verdict(target, "wrong", ProofPlan(ProofKind.NONE)) is Verdict.UNKNOWN
    assert target.failed_logins("bob") == 0


def test_a_disabled_account_is_found_by_its_status(target: FakeTarget) -> None:
    target.behave("bob", Behaviour(disabled=True))
    executor = FakeExecutor()
    connection = executor.connect(place(target), Login("root", Secret("root secret")), Transcript())
    values = {"USERNAME": Value(ValueKind.USERNAME, "bob")}
    report = connection.run(executor.parse("[status]\ncheck-status"), Section.STATUS, values)
    assert report.outcome is Outcome.ACCOUNT_DISABLED
    assert report.facts == {"identity": "fake:bob", "status": "disabled"}


def test_a_failing_save_is_not_saved(target: FakeTarget) -> None:
    target.behave("bob", Behaviour(save_fails=True))
    executor = FakeExecutor()
    connection = executor.connect(place(target), Login("bob", Secret(OLD)), Transcript())
    values = {"USERNAME": Value(ValueKind.USERNAME, "bob")}
    report = connection.run(executor.parse("[persist]\nsave"), Section.PERSIST, values)
    assert report.outcome is Outcome.NOT_SAVED
    assert target.saves("bob") == 0


def test_a_file_that_is_not_there_is_unreachable_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NoTarget):
        FakeTarget(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_a_target_taken_away_in_the_middle_is_unreachable(target: FakeTarget) -> None:
    executor = FakeExecutor()
    connection = executor.connect(place(target), Login("bob", Secret(OLD)), Transcript())
    target.path.unlink()
    values = {
        "USERNAME": Value(ValueKind.USERNAME, "bob"),
        "NEW_PASSWORD": Value(ValueKind.SECRET, Secret(NEW)),
    }
    with pytest.raises(Failure) as caught:
        connection.run(executor.parse("set [#NEW_PASSWORD#]"), Section.CHANGE, values)
    assert caught.value.outcome is Outcome.UNREACHABLE
    assert not target.path.exists()


def test_a_target_is_created_once(target: FakeTarget) -> None:
    with pytest.raises(sqlite3.OperationalError):
        FakeTarget.create(target.path)


def test_an_unknown_account_is_refused_like_a_wrong_secret(target: FakeTarget) -> None:
    assert target.login("nobody", "x") is Access.REFUSED
    assert target.change("nobody", "x", "root") is Judgement.MISSING


@pytest.mark.parametrize("name", ["bob'; DROP TABLE account; --", "", "b\x00b", "ünï", "[#NEW_PASSWORD#]"])
def test_a_name_is_only_a_name(name: str, target: FakeTarget) -> None:
    target.set(name, OLD)
    target.change(name, NEW, name)
    assert target.opens(name, NEW)
    assert target.opens("bob", OLD)


@pytest.mark.parametrize(
    ("body", "line", "reason"),
    [
        ("blink", 1, "unknown directive"),
        ("\n\nset", 3, "takes one argument"),
        ("check-status now", 1, "takes no argument"),
        ("[turn]", 1, "unknown section"),
        ("[status]\nset [#NEW_PASSWORD#]", 2, "cannot stand in"),
        ("SET [#NEW_PASSWORD#]", 1, "unknown directive"),
    ],
)
def test_a_wrong_line_is_named(body: str, line: int, reason: str) -> None:
    with pytest.raises(TemplateError, match=reason) as caught:
        FakeExecutor().parse(body)
    assert caught.value.line == line


def test_an_unknown_encoder_is_named_with_its_line() -> None:
    program = FakeExecutor().parse("# head\nset [#NEW_PASSWORD|rot13#]")
    values = {
        "USERNAME": Value(ValueKind.USERNAME, "bob"),
        "NEW_PASSWORD": Value(ValueKind.SECRET, Secret(NEW)),
    }
    with pytest.raises(TemplateError, match="rot13") as caught:
        program.describe(values)
    assert caught.value.line == 2


def test_an_empty_body_has_no_section_and_no_tag() -> None:
    program = FakeExecutor().parse("\n# only a comment\n")
    assert program.tags == frozenset()
    assert not any(program.has(section) for section in Section)


def test_a_program_of_another_executor_is_refused(target: FakeTarget) -> None:
    class Foreign:
        tags: frozenset[str] = frozenset()
        has: Callable[[Section], bool] = staticmethod(lambda _: True)
        describe: Callable[..., list[str]] = staticmethod(lambda _: [])

    connection = FakeExecutor().connect(place(target), Login("bob", Secret(OLD)), Transcript())
    with pytest.raises(TemplateError, match="another executor"):
        connection.run(Foreign(), Section.CHANGE, {})


@pytest.mark.parametrize("name", ["fake-own-password", "fake-by-admin"])
def test_the_shipped_templates_read_change_and_save(name: str) -> None:
    _, header, body = (TEMPLATES / f"{name}.template").read_text().split("---\n")
    program = FakeExecutor().parse(body, 1 + header.count("\n") + 2)
    assert all(program.has(section) for section in Section)
    assert program.tags == {"USERNAME", "NEW_PASSWORD"}
