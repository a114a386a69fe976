"""A plan says everything before anything is touched, or says why there is none."""

from __future__ import annotations

import hashlib

import pytest
from sqlalchemy import Connection, insert, update

from engine.catalog.generator import UnsatisfiablePolicy
from engine.catalog.models import policy
from engine.catalog.profiles import NoProfile
from engine.catalog.rules import add_policy, add_profile
from engine.catalog.states import Action, LoginAs
from engine.operations.plan import NoReconcileAccount, NoTemplate, TemplateDoesNotFit, plan_for
from engine.store.clock import now
from engine.templating.header import parse_file
from engine.templating.imports import store_import
from engine.templating.models import template
from engine.templating.store import UnknownTemplate, newest, put, sync
from executors.contract import ProofKind, TemplateError
from executors.registry import ExecutorUnavailable
from tests.unit.scene import ACTOR, given_credential, given_device, zone


@pytest.fixture(autouse=True)
def shop(connection: Connection) -> None:
    zone(connection)
    sync(connection, "keyturn")
    given_device(connection, "web1", ports={"ssh": 2222})
    given_device(connection, "fake1", ports={"fake": 1}, address="/srv/fake1.sqlite")


def stored(connection: Connection, name: str, content: str, executor: str = "fake") -> None:
    values = {
        "name": name,
        "version": 1,
        "executor": executor,
        "action": "change_secret",
        "source": "imported",
    }
    digest = hashlib.sha256(content.encode()).hexdigest()
    connection.execute(insert(template).values(**values, sha256=digest, content=content, created=now()))


def test_a_self_change_logs_in_as_itself(connection: Connection) -> None:
    made = given_credential(connection, "ann@web1")
    plan = plan_for(connection, made.id, Action.CHANGE_SECRET)
    assert (plan.profile, plan.executor, plan.service, plan.port) == (
        "linux-own-password",
        "ssh",
        "ssh",
        2222,
    )
    assert (plan.login_id, plan.become_id, plan.login_as) == (made.id, None, LoginAs.SELF)
    assert plan.template == newest(connection, "linux-own-password")
    assert plan.proof is ProofKind.LOGIN


def test_another_account_logs_in_where_one_is_named(connection: Connection) -> None:
    root = given_credential(connection, "root@web1")
    ann = given_credential(connection, "ann@web1", auth="root@web1")
    plan = plan_for(connection, ann.id, Action.CHANGE_SECRET)
    assert (plan.profile, plan.login_id, plan.login_as) == ("linux-by-root", root.id, LoginAs.ROOT)


def test_a_template_with_a_persist_section_is_known_to_have_one(connection: Connection) -> None:
    fake = given_credential(connection, "ann@fake1")
    assert plan_for(connection, fake.id, Action.CHANGE_SECRET).persists
    linux = given_credential(connection, "ann@web1")
    assert not plan_for(connection, linux.id, Action.CHANGE_SECRET).persists


def test_a_verification_needs_no_template(connection: Connection) -> None:
    made = given_credential(connection, "ann@web1")
    plan = plan_for(connection, made.id, Action.VERIFY)
    assert (plan.template, plan.persists) == (None, False)


def test_a_reconcile_resets_by_the_account_declared_for_it(connection: Connection) -> None:
    root = given_credential(connection, "root@web1")
    made = given_credential(connection, "ann@web1", reconcile="root@web1")
    plan = plan_for(connection, made.id, Action.RECONCILE)
    assert plan.template == newest(connection, "linux-by-root")
    assert plan.login_id == root.id


def test_a_reconcile_without_another_account_is_refused(connection: Connection) -> None:
    made = given_credential(connection, "ann@web1")
    with pytest.raises(NoReconcileAccount, match="no other account may reset ann@web1"):
        plan_for(connection, made.id, Action.RECONCILE)


def test_an_action_that_the_profile_has_no_template_for_is_refused(connection: Connection) -> None:
    made = given_credential(connection, "ann@web1")
    with pytest.raises(
        NoTemplate, match=r"linux-own-password has no template for deactivate \(it has: change_secret\)"
    ):
        plan_for(connection, made.id, Action.DEACTIVATE)


def test_the_stricter_of_platform_and_policy_wins(connection: Connection) -> None:
    made = given_credential(connection, "ann@web1")
    assert plan_for(connection, made.id, Action.CHANGE_SECRET).lockout.threshold == 5
    assert plan_for(connection, made.id, Action.CHANGE_SECRET).lockout.probes_allowed == 2
    for threshold, settle in ((3, 7.0), (9, 0.0)):
        name = f"p{threshold}"
        rules = {"lockout": {"threshold": threshold, "window_seconds": 60}, "settle_seconds": settle}
        add_policy(connection, ACTOR, name, rules)
        other = given_credential(connection, f"u{threshold}@web1", policy=name)
        plan = plan_for(connection, other.id, Action.CHANGE_SECRET)
        assert plan.lockout.threshold == min(threshold, 5)
        assert (plan.lockout.window_seconds, plan.settle_seconds) == (60, settle)


def test_what_is_known_of_the_platform_holds_where_the_policy_says_less(connection: Connection) -> None:
    rules = {"name": "slow", "executor": "ssh", "service": "ssh", "templates": {}, "priority": 9}
    add_profile(connection, ACTOR, rules | {"settle_seconds": 30, "overlap_seconds": 3600})
    made = given_credential(connection, "ann@web1")
    plan = plan_for(connection, made.id, Action.VERIFY)
    assert (plan.settle_seconds, plan.overlap_seconds, plan.lockout.threshold) == (30, 3600, None)


def test_a_credentials_own_template_is_honoured(connection: Connection) -> None:
    given_credential(connection, "root@web1")
    made = given_credential(connection, "ann@web1", auth="root@web1", template="linux-by-su")
    assert plan_for(connection, made.id, Action.CHANGE_SECRET).template == newest(connection, "linux-by-su")
    assert plan_for(connection, made.id, Action.VERIFY).template is None


def test_an_unknown_template_is_refused(connection: Connection) -> None:
    made = given_credential(connection, "ann@web1", template="no-such")
    with pytest.raises(UnknownTemplate, match="there is no template 'no-such' in use"):
        plan_for(connection, made.id, Action.CHANGE_SECRET)


def test_a_self_change_template_is_refused_for_another_login_whose_secret_it_would_change(
    connection: Connection,
) -> None:
    given_credential(connection, "root@web1")
    made = given_credential(connection, "ann@web1", auth="root@web1", template="linux-own-password")
    with pytest.raises(TemplateDoesNotFit, match="for a login as self, and here the login is root"):
        plan_for(connection, made.id, Action.CHANGE_SECRET)


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        ('expect "*$"\nexec "passwd"\nexec "[#NEW_PASSWORD#]"\nexpect "*success*"\nend\n', False),
        ('expect "*#"\nexec "passwd [#USERNAME#]"\nexec "[#NEW_PASSWORD#]"\nexpect "*success*"\nend\n', True),
        ('expect "*#"\nexec "enable secret [#NEW_PASSWORD#]"\nexpect "*#"\nend\n', True),
    ],
)
def test_a_field_template_that_names_no_account_is_not_run_by_another_login(
    connection: Connection, body: str, fits: bool
) -> None:
    file = parse_file(body, "imported", executor="ssh", action=Action.CHANGE_SECRET)
    put(connection, file, body, source="import", author="ann")
    given_credential(connection, "root@web1")
    made = given_credential(connection, "ann@web1", auth="root@web1", template="imported")
    if fits:
        plan = plan_for(connection, made.id, Action.CHANGE_SECRET)
        assert plan.template is not None
        assert plan.template.name == "imported"
    else:
        with pytest.raises(TemplateDoesNotFit, match="would change that login's own secret"):
            plan_for(connection, made.id, Action.CHANGE_SECRET)


def test_a_template_of_an_executor_that_the_device_does_not_offer_is_refused(connection: Connection) -> None:
    made = given_credential(connection, "ann@web1", template="fake-own-password")
    with pytest.raises(NoProfile, match="executor of its own template: fake"):
        plan_for(connection, made.id, Action.CHANGE_SECRET)


def test_a_template_that_does_not_parse_is_refused_with_line_and_reason(connection: Connection) -> None:
    stored(connection, "broken", "[change]\nfly to the moon\n")
    made = given_credential(connection, "ann@fake1", template="broken")
    with pytest.raises(TemplateError) as refused:
        plan_for(connection, made.id, Action.CHANGE_SECRET)
    assert refused.value.line == 2


def test_a_policy_that_the_executor_cannot_carry_is_refused(connection: Connection) -> None:
    made = given_credential(connection, "ann@web1")
    rules = {"generator": {"length": 2, "min_lower": 2, "min_upper": 2}}
    connection.execute(update(policy).values(rules=rules))
    with pytest.raises(UnsatisfiablePolicy):
        plan_for(connection, made.id, Action.CHANGE_SECRET)
    assert plan_for(connection, made.id, Action.VERIFY).template is None


def imported(connection: Connection, executor: str, body: str) -> str:
    name = f"imported/{executor}"
    store_import(connection, ACTOR, name, body, executor, Action.CHANGE_SECRET)
    return name


def test_an_imported_template_is_planned_like_any_other(connection: Connection) -> None:
    name = imported(connection, "ssh", 'expect "#"\nexec "passwd [#USERNAME#]"\nexpect "*word:"\nexec "x"\n')
    made = given_credential(connection, "ann@web1", template=name)
    plan = plan_for(connection, made.id, Action.CHANGE_SECRET)
    assert plan.template == newest(connection, name)
    assert not plan.persists


def test_an_imported_template_of_an_executor_that_is_not_here_is_refused(connection: Connection) -> None:
    name = imported(connection, "ansible", "- hosts: all\n")
    made = given_credential(connection, "ann@web1", template=name)
    with pytest.raises(ExecutorUnavailable, match="no executor named 'ansible' is installed; known:"):
        plan_for(connection, made.id, Action.CHANGE_SECRET)


def test_a_tag_of_the_field_without_a_value_here_is_refused(connection: Connection) -> None:
    name = imported(connection, "ssh", 'expect "#"\nexec "vault write [#SECRET_NAME#]"\nexpect "ok"\n')
    made = given_credential(connection, "ann@web1", template=name)
    with pytest.raises(TemplateError, match=r"this release has no value for \[#SECRET_NAME#\]"):
        plan_for(connection, made.id, Action.CHANGE_SECRET)
