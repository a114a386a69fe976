"""Secrets that another zone's worker needs are re-sealed by a worker of their own zone, and no others are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import insert, select, update

from engine.catalog import lifecycle
from engine.catalog.models import credential
from engine.catalog.states import Action
from engine.catalog.zones import get_zone
from engine.operations.claims import HandoverWanted
from engine.operations.errors import NotClaimed
from engine.operations.models import operation
from engine.record.models import audit_entry
from engine.store.clock import now
from engine.vault import handover
from engine.vault.errors import MissingKey, VaultError
from engine.vault.keys import FileKeys
from engine.vault.models import handover as handovers
from engine.vault.models import secret_version
from engine.vault.refs import sealed_version
from engine.vault.sealing import open_sealed
from tests.unit.operations.room import ACTOR, Room
from tests.unit.operations.test_cascade import all_of, asked_of
from tests.unit.operations.zones import LEFT, RIGHT, Zones


@pytest.fixture
def zones(room: Room) -> Iterator[Zones]:
    made = Zones(room)
    yield made
    made.journal.close()


def test_a_zone_s_keys_open_nothing_of_the_other_zone(zones: Zones) -> None:
    near, far = zones.room.account("near"), zones.room.account("far", on="far")
    for which, held, other in ((near, zones.keys, LEFT), (far, zones.room.keys, RIGHT)):
        with zones.room.database.reading() as connection:
            version = sealed_version(connection, which, 1)
        assert version is not None
        with pytest.raises(MissingKey):
            held.private(other)
        mine = held.private(RIGHT if held is zones.keys else LEFT)
        with pytest.raises(VaultError):
            open_sealed(version.sealed, mine, version.context)


def test_an_operation_of_another_zone_is_not_taken_whoever_rings_for_it(zones: Zones) -> None:
    far = zones.room.account("ann", on="far")
    asked = zones.room.ask(far).operation_id
    with pytest.raises(NotClaimed, match="for a worker of zone right"):
        zones.room.claim(asked)
    assert zones.room.work(asked) is None
    assert zones.room.operation(asked).state == "scheduled"
    assert zones.room.target.requests("ann") == ()
    assert zones.work(asked) == "succeeded"


def test_an_administrator_of_another_zone_changes_an_account_after_a_handover(zones: Zones) -> None:
    boss = zones.room.admin()
    ann = zones.room.account("ann", on="far", auth="boss@box")
    asked = zones.room.ask(ann).operation_id
    assert zones.through(asked) == "succeeded"
    assert zones.room.target.opens("ann", zones.secret(ann))
    assert zones.current(ann) == 2
    assert zones.current(boss) == 1


def test_until_it_is_handed_over_nothing_is_charged_or_sent_and_it_says_what_it_waits_for(
    zones: Zones,
) -> None:
    boss = zones.room.admin()
    ann = zones.room.account("ann", on="far", auth="boss@box")
    asked = zones.room.ask(ann).operation_id
    for _ in range(3):
        zones.room.due_now()
        with pytest.raises(HandoverWanted):
            zones.claim(asked)
    row = zones.room.operation(asked)
    assert (row.state, row.attempts) == ("scheduled", 0)
    assert "another zone must hand over" in row.reason
    assert row.due > zones.room.database.now() - 0.5
    assert zones.room.account_of(boss).in_flight == 0
    assert zones.room.target.logins("boss") == 0
    assert len(zones.rows()) == 1


def test_a_handover_is_audited_with_its_operation_and_zone(zones: Zones) -> None:
    zones.room.admin()
    asked = zones.room.ask(zones.room.account("ann", on="far", auth="boss@box")).operation_id
    zones.through(asked)
    with zones.room.database.reading() as connection:
        entries = select(audit_entry).where(audit_entry.c.action == "secret.handed_over")
        [entry] = connection.execute(entries).all()
    assert (entry.object, entry.operation_id) == ("boss@box", asked)
    assert entry.details == {"version": 1, "zone": RIGHT}


def test_what_was_handed_over_opens_with_the_other_zone_s_key_for_its_purpose_alone(zones: Zones) -> None:
    zones.room.admin()
    asked = zones.room.ask(zones.room.account("ann", on="far", auth="boss@box")).operation_id
    zones.work(asked)
    zones.hand_over()
    zones.room.due_now()
    given = zones.claim(asked).logins["auth"]
    assert open_sealed(given.sealed, zones.keys.private(RIGHT), given.context).reveal() == "first-of-boss"
    with pytest.raises(VaultError):
        open_sealed(given.sealed, zones.keys.private(RIGHT), given.credential.context(1))
    with pytest.raises(VaultError):
        open_sealed(given.sealed, zones.room.keys.private(LEFT), given.context)


def test_a_reconcile_account_of_another_zone_sets_a_lost_password(zones: Zones) -> None:
    zones.room.admin()
    ann = zones.room.account("ann", on="far", reconcile="boss@box")
    zones.room.target.set("ann", "a stranger's")
    zones.room.set(credential, ann, state="drifted")
    assert zones.through(zones.room.ask(ann, Action.RECONCILE).operation_id) == "succeeded"
    assert zones.room.target.opens("ann", zones.secret(ann))


def test_rights_and_the_way_may_come_from_another_zone_too(zones: Zones) -> None:
    root, gate, boss = zones.room.account("root"), zones.room.account("gate"), zones.room.admin()
    ann = zones.room.account("ann", on="far", auth="boss@box", become="root@box")
    zones.jump(gate)
    asked = zones.room.ask(ann).operation_id
    with pytest.raises(HandoverWanted) as wanted:
        zones.claim(asked)
    assert {each.credential_id for each in wanted.value.wants} == {root, gate, boss}
    assert zones.hand_over() == 3
    zones.room.due_now()
    claimed = zones.claim(asked)
    key = zones.keys.private(RIGHT)
    opened = {role: open_sealed(each.sealed, key, each.context) for role, each in claimed.logins.items()}
    secrets = {role: secret.reveal() for role, secret in opened.items()}
    assert secrets == {"auth": "first-of-boss", "become": "first-of-root", "jump": "first-of-gate"}


def test_a_child_in_another_zone_gets_its_parent_s_secret(zones: Zones) -> None:
    zones.room.admin()
    ann = zones.room.account("ann")
    copy = zones.room.account("copy", on="far", auth="boss@box", parent="ann@box", link="same")
    for _ in range(2):
        zones.room.change(ann)
        all_of(zones.room)
        [*_, asked] = asked_of(zones.room, copy)
        assert zones.through(asked) == "succeeded"
        assert zones.secret(copy) == zones.room.secret(ann)
        assert zones.room.target.opens("copy", zones.secret(copy))


def test_a_child_with_a_secret_of_its_own_gets_nothing_of_its_parent(zones: Zones) -> None:
    ann = zones.room.account("ann")
    own = zones.room.account("own", on="far", parent="ann@box", link="own")
    zones.room.change(ann)
    all_of(zones.room)
    [asked] = asked_of(zones.room, own)
    assert zones.work(asked) == "succeeded"
    assert zones.rows() == []
    zones.want(ann, 2, asked)
    zones.hand_over()
    assert [row.sealed for row in zones.rows()] == [None]


def test_another_version_is_another_handover(zones: Zones) -> None:
    boss = zones.room.admin()
    ann = zones.room.account("ann", on="far", auth="boss@box")
    assert zones.through(zones.room.ask(ann).operation_id) == "succeeded"
    zones.room.change(boss)
    assert zones.through(zones.room.ask(ann).operation_id) == "succeeded"
    assert [row.number for row in zones.rows()] == [1, 2]


def test_what_was_handed_over_is_not_asked_for_again(zones: Zones) -> None:
    zones.room.admin()
    names = ("ann", "bob", "cat")
    asked = [
        zones.room.ask(zones.room.account(each, on="far", auth="boss@box")).operation_id for each in names
    ]
    assert [zones.work(each) for each in asked] == [None] * 3
    assert zones.hand_over() == 1
    zones.room.due_now()
    assert [zones.work(each) for each in asked] == ["succeeded"] * 3
    assert zones.room.audited(asked[1]).count("secret.handed_over") == 0


def test_a_takeover_goes_on_with_what_was_handed_over(zones: Zones) -> None:
    zones.room.admin()
    ann = zones.room.account("ann", on="far", auth="boss@box")
    asked = zones.room.ask(ann).operation_id

    def killed(point: str) -> None:
        if point == "apply.after":
            raise InterruptedError

    zones.work(asked)
    zones.hand_over()
    zones.room.due_now()
    with pytest.raises(InterruptedError):
        zones.work(asked, at=killed)
    zones.room.leases_end()
    zones.room.due_now()
    assert zones.work(asked) == "succeeded"
    assert zones.room.target.opens("ann", zones.secret(ann))


@pytest.mark.parametrize("number", [1, 2, 7])
def test_whoever_leaves_word_without_a_link_gets_nothing(zones: Zones, number: int) -> None:
    secret = zones.room.account("bystander")
    zones.room.change(secret)
    zones.want(secret, number, zones.room.ask(zones.room.account("ann", on="far")).operation_id)
    assert zones.hand_over() == 1
    [row] = zones.rows()
    assert row.sealed is None
    assert row.refused


def test_a_link_gives_the_version_in_force_and_no_older_one(zones: Zones) -> None:
    boss = zones.room.admin()
    ann = zones.room.account("ann", on="far", auth="boss@box")
    zones.room.change(boss)
    asked = zones.room.ask(ann).operation_id
    for number in (1, 2):
        zones.want(boss, number, asked)
    zones.hand_over()
    assert [(row.number, row.sealed is not None) for row in zones.rows()] == [(1, False), (2, True)]


def test_a_link_from_another_zone_is_no_link_from_this_one(zones: Zones) -> None:
    boss = zones.room.admin()
    zones.room.account("near", auth="boss@box")
    asked = zones.room.ask(zones.room.account("ann", on="far")).operation_id
    zones.want(boss, 1, asked)
    zones.hand_over()
    assert [row.sealed for row in zones.rows()] == [None]


def test_a_link_that_goes_before_the_handover_leaves_nothing_behind(zones: Zones) -> None:
    zones.room.admin()
    ann = zones.room.account("ann", on="far", auth="boss@box")
    asked = zones.room.ask(ann).operation_id
    zones.work(asked)
    zones.unlink(ann)
    zones.hand_over()
    assert [row.sealed for row in zones.rows()] == [None]
    assert "secret.handed_over" not in zones.room.audited(asked)
    zones.room.due_now()
    assert zones.work(asked) == "succeeded", "it changes its own password now"


def spoil(room: Room, credential_id: int) -> None:
    """As bytes that were altered, or a row that was put in another's place."""
    mine = secret_version.c.credential_id == credential_id
    with room.database.writing() as connection:
        sealed = connection.execute(select(secret_version.c.sealed).where(mine)).scalar_one()
        broken = bytes(sealed[:-1]) + bytes([sealed[-1] ^ 1])
        connection.execute(update(secret_version).where(mine).values(sealed=broken))


def test_one_that_does_not_open_is_refused_and_holds_up_no_other(zones: Zones) -> None:
    broken, boss = zones.room.admin("broken"), zones.room.admin()
    spoil(zones.room, broken)
    bad = zones.room.ask(zones.room.account("bad", on="far", auth="broken@box")).operation_id
    good = zones.room.ask(zones.room.account("good", on="far", auth="boss@box")).operation_id
    assert (zones.work(bad), zones.work(good)) == (None, None)
    assert zones.hand_over() == 2
    zones.room.due_now()
    assert zones.work(good) == "succeeded"
    assert zones.work(bad) is None
    row = zones.room.operation(bad)
    assert row.state == "failed"
    assert "broken@box is not to be had" in row.reason
    assert "secret.handed_over" not in zones.room.audited(bad)
    assert zones.current(boss) == 1


def test_what_was_refused_is_asked_for_anew_after_a_while(zones: Zones) -> None:
    boss = zones.room.admin()
    ann = zones.room.account("ann", on="far")
    zones.want(boss, 1, zones.room.ask(zones.room.account("other", on="far")).operation_id)
    zones.hand_over()
    with zones.room.database.writing() as connection:
        connection.execute(update(handovers).values(created=now() - handover.REFUSED_FOR - 1))
        connection.execute(update(credential).where(credential.c.id == ann).values(auth_id=boss))
    assert zones.through(zones.room.ask(ann).operation_id) == "succeeded"


def test_who_only_looks_is_handed_nothing(zones: Zones) -> None:
    zones.room.admin()
    zones.room.account("root")
    ann = zones.room.account("ann", on="far", auth="boss@box", become="root@box", reconcile="boss@box")
    assert zones.work(zones.room.ask(ann, Action.VERIFY).operation_id) == "succeeded"
    assert zones.rows() == []


def test_a_child_that_is_only_looked_at_is_not_handed_its_parent_s_secret(zones: Zones) -> None:
    zones.room.admin()
    ann = zones.room.account("ann")
    copy = zones.room.account("copy", on="far", auth="boss@box", parent="ann@box", link="same")
    zones.room.change(ann)
    all_of(zones.room)
    zones.through(asked_of(zones.room, copy)[0])
    before = len(zones.rows())
    zones.room.change(ann)
    assert zones.work(zones.room.ask(copy, Action.VERIFY).operation_id) == "succeeded"
    assert len(zones.rows()) == before


def test_what_may_not_begin_asks_for_nothing(zones: Zones) -> None:
    zones.room.admin()
    ann = zones.room.account("ann", on="far", auth="boss@box")
    asked = zones.room.ask(ann).operation_id
    with zones.room.database.writing() as connection:
        lifecycle.suspend(connection, ACTOR, ann, "not now")
    assert zones.work(asked) is None
    assert zones.rows() == []
    bob = zones.room.ask(zones.room.account("bob", on="far", auth="boss@box")).operation_id
    zones.room.engine(restored=True)
    assert zones.work(bob) is None
    assert zones.rows() == []


def test_a_worker_without_its_zone_s_key_answers_nothing_and_leaves_it_to_one_that_has_it(
    zones: Zones,
) -> None:
    zones.room.admin()
    asked = zones.room.ask(zones.room.account("ann", on="far", auth="boss@box")).operation_id
    zones.work(asked)
    with zones.room.database.writing() as connection, pytest.raises(MissingKey):
        handover.fill(connection, FileKeys(zones.room.folder / "empty"), LEFT)
    with zones.room.database.reading() as connection:
        assert handover.wanted(connection, LEFT)
        assert not handover.wanted(connection, RIGHT)
    assert zones.through(asked) == "succeeded"


def test_a_long_name_does_not_keep_a_refusal_from_being_written(zones: Zones) -> None:
    secret = zones.room.account("b" * 60)
    zones.want(secret, 1, zones.room.ask(zones.room.account("ann", on="far")).operation_id)
    long = {"username": "u" * 250}
    zones.room.set(credential, secret, **long)
    zones.hand_over()
    [row] = zones.rows()
    assert len(row.refused) <= handover.LONGEST_REASON


def test_one_of_hundreds_of_wants_that_nobody_may_have_is_answered_too(zones: Zones) -> None:
    """Somebody floods the table; those who need something are served all the same."""
    boss = zones.room.admin()
    asked = zones.room.ask(zones.room.account("ann", on="far", auth="boss@box")).operation_id
    with zones.room.database.writing() as connection:
        flood = {"credential_id": boss, "zone_id": get_zone(connection, RIGHT).id, "operation_id": asked}
        rows = [{**flood, "number": 100 + n, "created": 0.0} for n in range(2 * handover.AT_ONCE)]
        connection.execute(insert(handovers), rows)
        connection.execute(update(operation).values(due=now() - 1))
    zones.work(asked)
    assert [zones.hand_over() for _ in range(4)] == [100, 100, 1, 0]
    zones.room.due_now()
    assert zones.work(asked) == "succeeded"
