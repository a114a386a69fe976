"""The disposable SSH target does what the shipped Linux templates expect of Debian."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from executors.contract import Outcome, Target, Verdict
from tests.peers.ssh_drive import change, password, status, verdict
from tests.targets.box import Box, NewAccount

OLD, NEW = "old; $(secret) 'one\"", "new #secret: *two é"


@pytest.fixture
def box() -> Iterator[Box]:
    made = Box(
        [
            NewAccount("root", "the root's"),
            NewAccount("bob", OLD),
            NewAccount("ops", "the operator's", sudoer=True),
            NewAccount("shut", "opens nothing", locked=True),
        ]
    )
    yield made
    made.stop()


@pytest.fixture
def target(box: Box) -> Target:
    return Target("box", box.address, box.port, host_keys=(box.host_key,), read_timeout=15.0)


def test_an_account_changes_its_own_password_on_a_terminal(box: Box, target: Target) -> None:
    report = change(
        target, password("bob", OLD), "linux-own-password", CURRENT_PASSWORD=OLD, NEW_PASSWORD=NEW
    )
    assert report.outcome is Outcome.OK
    assert box.held("bob") == [OLD, NEW]
    assert verdict(target, "bob", NEW) is Verdict.OPENS
    assert verdict(target, "bob", OLD) is Verdict.REFUSED


@pytest.mark.parametrize(
    ("current", "new", "outcome"),
    [
        ("a wrong one", NEW, Outcome.BAD_LOGIN),
        (OLD, "short", Outcome.REFUSED_BY_POLICY),
        (OLD, OLD, Outcome.TOO_SOON),
    ],
)
def test_a_password_that_passwd_refuses_changes_nothing(
    box: Box, target: Target, current: str, new: str, outcome: Outcome
) -> None:
    login = password("bob", OLD)
    report = change(target, login, "linux-own-password", CURRENT_PASSWORD=current, NEW_PASSWORD=new)
    assert report.outcome is outcome
    assert box.held("bob") == [OLD]


def test_root_sets_a_password(box: Box, target: Target) -> None:
    report = change(target, password("root", "the root's"), "linux-by-root", USERNAME="bob", NEW_PASSWORD=NEW)
    assert report.outcome is Outcome.OK
    assert box.holds("bob", NEW)


@pytest.mark.parametrize(
    ("who", "secret", "given", "outcome"),
    [
        ("ops", "the operator's", "the operator's", Outcome.OK),
        ("ops", "the operator's", "a wrong one", Outcome.BAD_LOGIN),
        ("bob", OLD, OLD, Outcome.PERMISSION_DENIED),
    ],
)
def test_only_a_sudoer_with_his_password_sets_one_by_sudo(
    box: Box, target: Target, who: str, secret: str, given: str, outcome: Outcome
) -> None:
    values = {"USERNAME": "bob", "NEW_PASSWORD": NEW, "AUTH_PASSWORD": given}
    report = change(target, password(who, secret), "linux-by-sudoer", **values)
    assert report.outcome is outcome
    assert box.holds("bob", NEW) is (outcome is Outcome.OK)


def test_a_missing_account_is_missing(target: Target) -> None:
    login = password("root", "the root's")
    assert status(target, login, "linux-by-root", USERNAME="eve").outcome is Outcome.ACCOUNT_MISSING


def test_root_locks_and_unlocks_an_account(target: Target) -> None:
    login = password("root", "the root's")
    for template, state in (("linux-unlock-by-root", "usable"), ("linux-lock-by-root", "locked")):
        assert change(target, login, template, USERNAME="shut").outcome is Outcome.OK
        assert status(target, login, template, USERNAME="shut").facts["status"] == state
    assert verdict(target, "shut", "opens nothing") is Verdict.REFUSED
