"""Credentials: how they are named, what they point to, what is refused, and how they stand."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, func, select, update

from engine.catalog import lifecycle
from engine.catalog.credentials import get_credential, list_credentials
from engine.catalog.errors import (
    AmbiguousCredential,
    BadInput,
    DuplicateCredential,
    InUse,
    NeverTouched,
    ParentCycle,
    TooDeep,
    UnknownCredential,
    UnknownDevice,
    UnknownPolicy,
    WrongState,
)
from engine.catalog.links import MAX_DEPTH, Link, set_parent
from engine.catalog.lookup import find_credential
from engine.catalog.models import account, credential
from engine.catalog.states import CredentialKind, CredentialState, allowed
from engine.record.models import audit_entry
from engine.store.errors import Kind
from engine.vault.models import secret_version
from tests.unit.scene import ACTOR, audited, given_credential, given_device, given_version, zone

S = CredentialState


@pytest.fixture(autouse=True)
def web1(connection: Connection) -> None:
    zone(connection)
    given_device(connection, "web1")


def force(connection: Connection, credential_id: int, state: CredentialState) -> None:
    connection.execute(update(credential).where(credential.c.id == credential_id).values(state=state))


def test_a_credential_starts_unverified_disabled_and_without_a_secret(connection: Connection) -> None:
    made = given_credential(connection, "root@web1")
    assert made == get_credential(connection, made.id)
    assert (made.name, made.kind, made.state, made.enabled) == ("root@web1", "password", "unverified", False)
    assert (made.policy, made.auth, made.parent, made.current_version) == ("default", None, None, None)
    assert (made.authority, made.zone, made.next_due) == ("web1", "default", None)
    assert ("credential.add", "credential root@web1") in audited(connection)


def test_every_pointer_is_shown_by_name(connection: Connection) -> None:
    root = given_credential(connection, "root@web1")
    given_credential(connection, "ops@web1")
    made = given_credential(
        connection,
        r"CORP\svc@web1/Sql",
        kind=CredentialKind.API_KEY,
        auth="ops@web1",
        become="root@web1",
        reconcile="root@web1",
        parent="root@web1",
        link="own",
        template="linux-by-su",
        identifier="host-17/svc",
        additional="database=sales",
        tags=("b", "a"),
    )
    assert made.name == r"corp\svc@web1/sql"
    assert (made.auth, made.become, made.reconcile, made.parent) == ("ops@web1", *["root@web1"] * 3)
    assert (made.reconcile_id, made.parent_id, made.link) == (root.id, root.id, Link.OWN)
    assert (made.template, made.identifier, made.additional) == (
        "linux-by-su",
        "host-17/svc",
        "database=sales",
    )
    assert (made.tags, made.authority, made.service) == (("a", "b"), "corp", "sql")


def test_the_current_version_is_shown_and_no_other(connection: Connection) -> None:
    made = given_credential(connection, "root@web1")
    given_version(connection, made.id, proven=True)
    given_version(connection, made.id, proven=False, number=2, status="candidate")
    assert get_credential(connection, made.id).current_version == 1


def test_a_user_name_may_hold_an_at_sign(connection: Connection) -> None:
    assert given_credential(connection, "ann@corp.example@web1").username == "ann@corp.example"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "root",
        "@web1",
        "root@",
        "-x@web1",
        "a:b@web1",
        "ro\not@web1",
        r"a\b\c@web1",
        "\u202eroot@web1",
        "r@web1/a/b",
    ],
)
def test_a_name_that_is_not_user_at_device_is_refused(connection: Connection, name: str) -> None:
    with pytest.raises(BadInput, match=r"^credential: "):
        given_credential(connection, name)


def test_a_user_name_longer_than_the_store_keeps_is_refused(connection: Connection) -> None:
    assert given_credential(connection, "u" * 255 + "@web1").username == "u" * 255
    with pytest.raises(BadInput, match="the user name is longer than 25"):
        given_credential(connection, "u" * 256 + "@web1")


def test_an_unknown_device_is_refused(connection: Connection) -> None:
    with pytest.raises(UnknownDevice, match="there is no device 'web9'"):
        given_credential(connection, "root@web9")


def test_a_duplicate_account_is_refused_naming_the_first(connection: Connection) -> None:
    first = given_credential(connection, "root@web1")
    with pytest.raises(DuplicateCredential) as refused:
        given_credential(connection, "root@WEB1")
    assert f"registered already as root@web1 (id {first.id})" in refused.value.message
    assert (refused.value.code, refused.value.kind) == ("duplicate_credential", Kind.CONFLICT)
    assert refused.value.first_id == first.id


def test_an_account_may_have_one_secret_of_each_kind_and_is_one_row(connection: Connection) -> None:
    password = given_credential(connection, "root@web1")
    key = given_credential(connection, "root@web1", kind=CredentialKind.SSH_KEY)
    assert password.account_id == key.account_id
    assert find_credential(connection, "root@web1") == password.id
    assert find_credential(connection, "root@web1", CredentialKind.SSH_KEY) == key.id


def test_without_a_password_among_several_secrets_the_kind_must_be_said(connection: Connection) -> None:
    key = given_credential(connection, "git@web1", kind=CredentialKind.SSH_KEY)
    assert find_credential(connection, "git@web1") == key.id
    given_credential(connection, "git@web1", kind=CredentialKind.API_KEY)
    with pytest.raises(AmbiguousCredential, match=r"several secrets \(api_key, ssh_key\)"):
        find_credential(connection, "git@web1")
    with pytest.raises(UnknownCredential, match="git@web1 of kind password"):
        find_credential(connection, "git@web1", CredentialKind.PASSWORD)


def test_user_names_keep_their_case(connection: Connection) -> None:
    assert given_credential(connection, "Ann@web1").id != given_credential(connection, "ann@web1").id


def test_a_domain_account_exists_once_and_is_found_through_every_device(connection: Connection) -> None:
    given_device(connection, "web2")
    first = given_credential(connection, r"CORP\ann@web1")
    with pytest.raises(DuplicateCredential, match=r"as corp\\ann@web1"):
        given_credential(connection, r"corp\ann@web2")
    assert find_credential(connection, r"Corp\ann@web2") == first.id
    assert given_credential(connection, "ann@web2").account_id != first.account_id


def test_an_account_of_a_cluster_exists_once(connection: Connection) -> None:
    given_device(connection, "node1", authority="cluster")
    given_device(connection, "node2", authority="cluster")
    given_credential(connection, "admin@node1")
    with pytest.raises(DuplicateCredential, match="as admin@node1"):
        given_credential(connection, "admin@node2")


def test_an_identifier_is_given_once(connection: Connection) -> None:
    given_credential(connection, "a@web1", identifier="I-1")
    with pytest.raises(DuplicateCredential, match="the identifier I-1 is registered already as a@web1"):
        given_credential(connection, "b@web1", identifier="I-1")


@pytest.mark.parametrize(
    ("username", "reason"),
    [("krbtgt", "Kerberos ticket"), ("HOST$", "ending in"), ("vpxuser", "vCenter"), ("MSOL_1a2b", "Entra")],
)
def test_a_never_touch_account_is_refused_with_the_reason(
    connection: Connection, username: str, reason: str
) -> None:
    with pytest.raises(NeverTouched, match=f"this account is never changed: .*{reason}"):
        given_credential(connection, f"{username}@web1")
    assert connection.scalar(select(func.count()).select_from(account)) == 0


def test_a_local_account_of_a_domain_controller_is_refused(connection: Connection) -> None:
    given_device(connection, "dc1", type="Domain_Controller")
    with pytest.raises(NeverTouched, match="a domain controller has no local accounts"):
        given_credential(connection, "administrator@dc1")
    assert given_credential(connection, r"corp\administrator@dc1").authority == "corp"


def test_an_unknown_policy_is_refused_naming_those_there_are(connection: Connection) -> None:
    with pytest.raises(UnknownPolicy, match="there is no policy 'strict'; known policies: default"):
        given_credential(connection, "root@web1", policy="strict")


@pytest.mark.parametrize("field", ["auth", "become", "reconcile"])
def test_who_logs_in_must_be_known(connection: Connection, field: str) -> None:
    with pytest.raises(UnknownCredential, match="there is no credential ghost@web1"):
        given_credential(connection, "root@web1", **{field: "ghost@web1"})


def test_naming_itself_as_the_login_is_a_self_change(connection: Connection) -> None:
    assert given_credential(connection, "ann@web1", auth="ann@web1").auth_id is None


def test_an_account_cannot_reconcile_itself(connection: Connection) -> None:
    with pytest.raises(BadInput, match="cannot reconcile itself"):
        given_credential(connection, "ann@web1", reconcile="ann@web1")


def test_a_login_may_be_of_another_zone_whose_workers_hand_it_over(connection: Connection) -> None:
    zone(connection, "dmz")
    given_device(connection, "fw1", zone="dmz")
    given_credential(connection, "root@web1")
    logins = {"auth": "root@web1", "become": "root@web1", "reconcile": "root@web1"}
    assert given_credential(connection, "admin@fw1", **logins).auth == "root@web1"
    assert given_credential(connection, "ops@fw1", parent="root@web1", link="same").parent == "root@web1"


def test_a_retired_credential_serves_nobody(connection: Connection) -> None:
    lifecycle.retire(connection, ACTOR, given_credential(connection, "root@web1").id)
    for fields in ({"auth": "root@web1"}, {"parent": "root@web1", "link": "own"}):
        with pytest.raises(WrongState, match="root@web1 is retired"):
            given_credential(connection, f"{next(iter(fields))}@web1", **fields)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("template", "t" * 129),
        ("identifier", "i\0"),
        ("additional", "a" * 4097),
        ("additional", "two\nlines"),
        ("tags", ("two words",)),
    ],
)
def test_a_bad_field_is_refused_by_name(connection: Connection, field: str, value: Any) -> None:
    with pytest.raises(BadInput) as refused:
        given_credential(connection, "root@web1", **{field: value})
    assert refused.value.field == field


def test_a_parent_without_a_kind_of_link_is_refused(connection: Connection) -> None:
    given_credential(connection, "root@web1")
    for link in (None, "", "child"):
        with pytest.raises(BadInput, match=r"link: a parent needs `--link same` .* or `--link own`"):
            given_credential(connection, "ann@web1", parent="root@web1", link=link)


def test_a_link_without_a_parent_is_refused(connection: Connection) -> None:
    with pytest.raises(BadInput, match="link: there is no parent to link to"):
        given_credential(connection, "ann@web1", link="same")


def test_a_credential_cannot_be_its_own_parent(connection: Connection) -> None:
    with pytest.raises(ParentCycle, match="ann@web1 cannot be its own parent"):
        given_credential(connection, "ann@web1", parent="ann@web1", link="own")


def family(connection: Connection, size: int) -> list[int]:
    """A chain of credentials, each the parent of the next."""
    ids = [given_credential(connection, "u0@web1").id]
    for number in range(1, size):
        ids.append(
            given_credential(connection, f"u{number}@web1", parent=f"u{number - 1}@web1", link="own").id
        )
    return ids


def test_a_circle_of_parents_is_refused_naming_both(connection: Connection) -> None:
    top, _, bottom = family(connection, 3)
    with pytest.raises(ParentCycle, match="u2@web1 follows u0@web1 already, so u0@web1 cannot follow it"):
        set_parent(connection, top, bottom, Link.OWN)
    assert get_credential(connection, top).parent is None


def test_a_family_is_at_most_eight_links_deep(connection: Connection) -> None:
    family(connection, MAX_DEPTH + 1)
    with pytest.raises(TooDeep, match="u9@web1 would stand more than 8 links below the top"):
        given_credential(connection, "u9@web1", parent="u8@web1", link="own")


def test_children_below_count_towards_the_depth(connection: Connection) -> None:
    ids = family(connection, MAX_DEPTH)
    top = given_credential(connection, "top@web1").id
    above = given_credential(connection, "above@web1").id
    set_parent(connection, ids[0], top, Link.OWN)
    with pytest.raises(TooDeep):
        set_parent(connection, top, above, Link.OWN)


def test_credentials_are_listed_by_device_and_state(connection: Connection) -> None:
    given_device(connection, "web2")
    first, second = given_credential(connection, "a@web1"), given_credential(connection, "b@web2")
    lifecycle.suspend(connection, ACTOR, second.id, "audit")
    assert [each.name for each in list_credentials(connection)] == ["a@web1", "b@web2"]
    assert [each.id for each in list_credentials(connection, device_name="web1")] == [first.id]
    assert [each.id for each in list_credentials(connection, state=S.SUSPENDED)] == [second.id]
    with pytest.raises(UnknownDevice):
        list_credentials(connection, device_name="web9")


def test_enabling_waits_for_a_proof(connection: Connection) -> None:
    made = given_credential(connection, "root@web1")
    given_version(connection, made.id, proven=False)
    assert lifecycle.enable(connection, ACTOR, made.id) is S.UNVERIFIED
    shown = get_credential(connection, made.id)
    assert (shown.state, shown.enabled) == (S.UNVERIFIED, True)


def test_enabling_a_proven_credential_makes_it_managed_once(connection: Connection) -> None:
    made = given_credential(connection, "root@web1")
    given_version(connection, made.id, proven=True)
    assert lifecycle.enable(connection, ACTOR, made.id) is S.MANAGED
    assert lifecycle.enable(connection, ACTOR, made.id) is S.MANAGED
    assert audited(connection).count(("credential.enable", "credential root@web1")) == 1


def test_a_proof_from_before_a_suspension_does_not_count(connection: Connection) -> None:
    made = given_credential(connection, "root@web1")
    given_version(connection, made.id, proven=True)
    lifecycle.enable(connection, ACTOR, made.id)
    lifecycle.suspend(connection, ACTOR, made.id, "audit")
    lifecycle.resume(connection, ACTOR, made.id)
    connection.execute(update(secret_version).values(proven_at=secret_version.c.proven_at - 1))
    assert lifecycle.enable(connection, ACTOR, made.id) is S.UNVERIFIED


def test_a_suspension_keeps_its_reason_until_it_is_resumed(connection: Connection) -> None:
    made = given_credential(connection, "root@web1")
    lifecycle.suspend(connection, "bob", made.id, "left the company")
    shown = get_credential(connection, made.id)
    assert (shown.state, shown.reason) == (S.SUSPENDED, "left the company")
    lifecycle.resume(connection, "bob", made.id)
    shown = get_credential(connection, made.id)
    assert (shown.state, shown.reason) == (S.UNVERIFIED, None)
    assert [action for action, _ in audited(connection)][-2:] == ["credential.suspend", "credential.resume"]


@pytest.mark.parametrize("reason", ["", " \t", "r" * 501, "\u202e"])
def test_a_suspension_needs_a_reason_that_can_be_read(connection: Connection, reason: str) -> None:
    made = given_credential(connection, "root@web1")
    with pytest.raises(BadInput, match="reason: "):
        lifecycle.suspend(connection, ACTOR, made.id, reason)


@pytest.mark.parametrize(
    ("state", "verb", "words"),
    [
        (
            S.CHANGING,
            "suspend",
            "root@web1 is changing and cannot become suspended now; wait for its operation",
        ),
        (S.CHANGING, "retire", "wait for its operation, or cancel that"),
        (S.IN_DOUBT, "suspend", "its operation must find the truth first"),
        (S.RETIRED, "suspend", "it was given up for good"),
        (S.MANAGED, "resume", "nothing needs to be done"),
        (S.UNVERIFIED, "resume", "prove it with `keyturn credential verify`, then enable it"),
        (S.SUSPENDED, "enable", "resume it with `keyturn credential resume`"),
        (S.DRIFTED, "enable", "set the right secret"),
        (S.RETIRED, "retire", "it was given up for good"),
    ],
)
def test_what_the_state_forbids_is_refused_naming_the_state_and_what_to_do(
    connection: Connection, state: CredentialState, verb: str, words: str
) -> None:
    made = given_credential(connection, "root@web1")
    force(connection, made.id, state)
    before = audited(connection)
    reason = ["why not"] if verb == "suspend" else []
    with pytest.raises(WrongState, match=words):
        getattr(lifecycle, verb)(connection, ACTOR, made.id, *reason)
    assert get_credential(connection, made.id).state is state
    assert audited(connection) == before


@pytest.mark.parametrize("before", list(S))
def test_a_state_moves_exactly_where_the_table_says(connection: Connection, before: CredentialState) -> None:
    made = given_credential(connection, "root@web1")
    for after in S:
        force(connection, made.id, before)
        if allowed(before, after):
            assert lifecycle.move(connection, "worker", made.id, after) is before
            assert get_credential(connection, made.id).state is after
        else:
            with pytest.raises(WrongState, match=f"is {before} and cannot become {after}"):
                lifecycle.move(connection, "worker", made.id, after)
            assert get_credential(connection, made.id).state is before


def test_a_caller_may_narrow_where_a_move_starts(connection: Connection) -> None:
    made = given_credential(connection, "root@web1")
    with pytest.raises(WrongState):
        lifecycle.move(connection, "worker", made.id, S.CHANGING, allowed_from={S.MANAGED})


def test_a_move_is_audited_with_operation_epoch_and_both_states(connection: Connection) -> None:
    made = given_credential(connection, "root@web1")
    lifecycle.move(connection, "worker", made.id, S.DRIFTED, "refused", operation_id=7, epoch=3)
    entry = connection.execute(select(audit_entry).order_by(audit_entry.c.id.desc()).limit(1)).one()
    assert (entry.actor, entry.operation_id, entry.epoch) == ("worker", 7, 3)
    assert entry.details == {"before": "unverified", "after": "drifted", "reason": "refused"}


def test_a_long_reason_of_a_target_is_cut_and_not_an_error(connection: Connection) -> None:
    made = given_credential(connection, "root@web1")
    lifecycle.move(connection, "worker", made.id, S.DRIFTED, "x\0" * 1000)
    assert get_credential(connection, made.id).reason == "x" * 500


def test_a_credential_that_others_need_is_not_retired(connection: Connection) -> None:
    root = given_credential(connection, "root@web1")
    ann = given_credential(connection, "ann@web1", auth="root@web1")
    with pytest.raises(InUse, match="root@web1 is needed by ann@web1"):
        lifecycle.retire(connection, ACTOR, root.id)
    lifecycle.retire(connection, ACTOR, ann.id)
    lifecycle.retire(connection, ACTOR, root.id)
    assert get_credential(connection, root.id).state is S.RETIRED


def test_an_id_that_is_not_there_is_an_unknown_credential(connection: Connection) -> None:
    with pytest.raises(UnknownCredential, match="with id 999"):
        get_credential(connection, 999)
    with pytest.raises(UnknownCredential, match="with id 999"):
        lifecycle.retire(connection, ACTOR, 999)
