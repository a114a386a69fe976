from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from executors.conformance import RULES, Subject, Violation
from executors.contract import Login, Proof, ProofPlan, Secret, Target, Transcript, Value, ValueKind, Verdict
from executors.fake import FakeExecutor
from executors.fake.target import FakeTarget

BODY = "[status]\ncheck-status\n[change]\nset [#NEW_PASSWORD#]\n[persist]\nsave\n"


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    target = FakeTarget.create(tmp_path / "target")
    target.set("bob", "old secret of bob")
    bob = Login("bob", Secret("old secret of bob"))
    place = Target("box", str(target.path), 0)
    return Subject(
        FakeExecutor(),
        place,
        bob,
        bob,
        BODY,
        {
            "USERNAME": Value(ValueKind.USERNAME, "bob"),
            "NEW_PASSWORD": Value(ValueKind.SECRET, Secret("brand new secret 1")),
        },
        silent=replace(place, address=str(tmp_path / "nothing")),
        untrusted=None,
        broken_bodies=[("[status]\nblink\n", 2), ("set\n", 1), ("\n[turn]\n", 2), ("[status]\nsave", 2)],
    )


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_the_fake_executor_keeps_every_rule(rule: Callable[[Subject], None], subject: Subject) -> None:
    rule(subject)


class Gullible(FakeExecutor):
    def prove(self, target: Target, login: Login, plan: ProofPlan, transcript: Transcript) -> Proof:
        super().prove(target, login, plan, transcript)
        return Proof(Verdict.OPENS, plan.kind)


def test_the_kit_finds_an_executor_that_believes_every_secret(subject: Subject) -> None:
    with pytest.raises(Violation, match="a wrong secret is refused"):
        RULES["wrong_secret_is_refused"](replace(subject, executor=Gullible()))


def test_the_kit_finds_an_executor_of_another_contract(subject: Subject) -> None:
    old = FakeExecutor()
    old.contract_version = 99
    with pytest.raises(Violation, match="contract version"):
        RULES["says_what_it_is"](replace(subject, executor=old))


def test_the_kit_finds_a_change_that_did_not_happen(subject: Subject) -> None:
    with pytest.raises(Violation, match="new secret opens"):
        RULES["change_is_proven"](replace(subject, body=BODY.replace("[#NEW_PASSWORD#]", "other")))
