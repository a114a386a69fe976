"""Taking an operation: whose turn it is, who waits for whom, and that nothing has two holders."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from engine.catalog.models import account, credential, device
from engine.catalog.states import Action
from engine.operations import service
from engine.operations.due import due
from engine.operations.errors import LeaseLost, NotClaimed, Postponed
from engine.operations.ledger import Evidence, Tried
from engine.operations.models import operation
from engine.record.models import audit_entry
from engine.rotation.protocol import Close, Result
from engine.store.clock import now
from engine.store.database import StoreUnavailable
from engine.vault.models import secret_version
from engine.work.conductor import Conductor
from engine.work.jobs import Secrets, target_of
from executors.contract import Outcome
from executors.fake.target import Behaviour
from tests.unit.operations.room import ACTOR, Room


def test_only_one_takes_it(room: Room) -> None:
    asked = room.ask(room.account("ann")).operation_id
    room.claim(asked)
    with pytest.raises(NotClaimed):
        room.claim(asked, worker="worker-2")


def test_who_takes_over_has_a_newer_epoch_and_the_first_writes_nothing_more(room: Room) -> None:
    asked = room.ask(room.account("ann", tries=2)).operation_id
    first = room.claim(asked)
    room.leases_end()
    second = room.claim(asked, worker="worker-2")
    assert second.epoch == first.epoch + 1
    with pytest.raises(LeaseLost):
        room.ledger().renew(first)
    room.ledger("worker-2").renew(second)


def test_a_database_restored_from_a_copy_takes_nothing_from_older_claims(room: Room) -> None:
    claimed = room.claim(room.ask(room.account("ann")).operation_id)
    room.engine(incarnation="another")
    with pytest.raises(LeaseLost):
        room.ledger().renew(claimed)


def test_a_clock_that_went_back_stops_claims_until_it_has_caught_up(room: Room) -> None:
    asked = room.ask(room.account("ann")).operation_id
    room.engine(clock_high=room.database.now() + 60)
    with pytest.raises(NotClaimed, match="backwards"):
        room.claim(asked)
    room.engine(clock_high=room.database.now())
    room.claim(asked)


@pytest.mark.parametrize("switch", ["engine", "device"])
def test_what_is_paused_waits(room: Room, switch: str) -> None:
    asked = room.ask(room.account("ann")).operation_id
    room.engine(paused=True) if switch == "engine" else room.pause("box")
    with pytest.raises(NotClaimed, match="paused"):
        room.claim(asked)
    room.engine(paused=False)
    room.pause("box", paused=False)
    room.claim(asked)


def test_what_a_device_is_allowed_reaches_the_executor(room: Room) -> None:
    room.device("old", weak_algorithms=True)
    for device_name, allowed in (("box", False), ("old", True)):
        claimed = room.claim(room.ask(room.account("ann", on=device_name)).operation_id)
        target = target_of(claimed, Secrets(claimed, room.keys))
        assert (target.cleartext, target.weak_algorithms) == (False, allowed)


def test_what_works_under_a_devices_consent_is_audited_with_it(room: Room) -> None:
    room.device("old", weak_algorithms=True, cleartext=True)
    for name, on, consents in (("ann", "old", {"weak_algorithms", "cleartext"}), ("bob", "box", set())):
        asked = room.ask(room.account(name, on)).operation_id
        room.claim(asked)
        with room.database.reading() as connection:
            wanted = (audit_entry.c.operation_id == asked, audit_entry.c.action == "operation.claimed")
            [details] = connection.execute(select(audit_entry.c.details).where(*wanted)).scalars()
        assert set(details) - {"action", "attempt"} == consents


def test_no_more_operations_than_connections_work_on_a_device(room: Room) -> None:
    room.device("small", connection_limit=2)
    asked = [room.ask(room.account(f"ann{n}", on="small")).operation_id for n in range(3)]
    room.claim(asked[0])
    claimed = room.claim(asked[1])
    with pytest.raises(NotClaimed, match="connection limit"):
        room.claim(asked[2])
    room.leases_end()
    assert claimed.operation_id == asked[1]
    room.claim(asked[2])


def test_many_share_an_administrator_and_its_own_change_waits_for_them(room: Room) -> None:
    boss = room.admin()
    ann, bob = room.account("ann", auth="boss@box"), room.account("bob", auth="boss@box")
    room.claim(room.ask(ann).operation_id)
    room.claim(room.ask(bob).operation_id)
    changing = room.ask(boss).operation_id
    with pytest.raises(NotClaimed, match="logged in with the account"):
        room.claim(changing)
    room.leases_end()
    room.due_now()
    room.claim(changing)


def test_those_who_come_after_the_administrators_change_let_it_go_first(room: Room) -> None:
    boss = room.admin()
    ann = room.account("ann", auth="boss@box")
    changing, waiting = room.ask(boss).operation_id, room.ask(ann).operation_id
    with pytest.raises(Postponed, match="goes first"):
        room.claim(waiting)
    assert room.work(changing) == "succeeded"
    room.due_now()
    assert room.work(waiting) == "succeeded"


def test_an_administrators_change_that_is_paused_holds_nobody_up(room: Room) -> None:
    room.device("elsewhere")
    boss = room.admin(on="elsewhere")
    ann = room.account("ann", auth="boss@elsewhere")
    room.ask(boss)
    room.pause("elsewhere")
    assert room.change(ann) == "succeeded"


def test_an_administrator_in_doubt_is_not_logged_in_with(room: Room) -> None:
    boss = room.admin()
    ann = room.account("ann", auth="boss@box")
    doubtful = room.ask(boss).operation_id
    room.claim(doubtful)
    room.leases_end()
    room.set(operation, doubtful, state="in_doubt", needs_person=True)
    with pytest.raises(Postponed, match="goes first"):
        room.claim(room.ask(ann).operation_id)


def test_a_change_is_not_begun_while_it_is_unknown_which_secret_is_in_force(room: Room) -> None:
    ann = room.account("ann")
    asked = room.ask(ann).operation_id
    room.set(credential, ann, state="in_doubt")
    with pytest.raises(Postponed, match="found out first"):
        room.claim(asked)


def test_the_due_ones_of_a_paused_or_busy_device_do_not_starve_others(room: Room) -> None:
    room.device("paused")
    room.device("busy", connection_limit=1)
    for number in range(6):
        room.ask(room.account(f"p{number}", on="paused"), priority=9)
        room.ask(room.account(f"b{number}", on="busy"), priority=5)
    room.pause("paused")
    asked = room.ask(room.account("ann")).operation_id
    with room.database.reading() as connection:
        found = due(connection, "default", 2)
    assert asked in {each.id for each in found}
    with room.database.reading() as connection:
        assert sum(each.has_room for each in due(connection, "default", 100)) == 2


def test_what_waits_behind_a_live_one_is_not_rung_for(room: Room) -> None:
    ann = room.account("ann")
    room.claim(room.ask(ann).operation_id)
    room.ask(ann)
    room.ask(ann, Action.VERIFY)
    with room.database.reading() as connection:
        assert due(connection, "default", 10) == []


def test_a_candidate_of_an_earlier_change_is_not_an_activations_business(room: Room) -> None:
    ann = room.account("ann", behaviour=Behaviour(unreachable_until=9e9))
    asked = room.ask(ann).operation_id
    assert room.work(asked) == "scheduled"
    with room.database.writing() as connection:
        service.cancel(connection, asked, ACTOR)
    claimed = room.claim(room.ask(ann, Action.VERIFY).operation_id)
    assert (claimed.facts.candidate, claimed.facts.sent) == (None, False)


ACCOUNTS, THREADS = 200, 8


class Holders:
    """Counts who works on which account; two at once are written down."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.at_work: Counter[int] = Counter()
        self.wrong: list[int] = []

    def enter(self, account_id: int) -> None:
        with self.lock:
            self.at_work[account_id] += 1
            if self.at_work[account_id] > 1:
                self.wrong.append(account_id)

    def leave(self, account_id: int) -> None:
        with self.lock:
            self.at_work[account_id] -= 1


def drain(room: Room, conduct: object, rounds: int = 200) -> None:
    """Eight workers take whatever is due until nothing is left."""
    assert callable(conduct)
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(rounds):
            with room.database.writing() as connection:
                connection.execute(
                    update(operation).where(operation.c.lease_until.is_(None)).values(due=now() - 1)
                )
            with room.database.reading() as connection:
                waiting = [each.id for each in due(connection, "default", 1000)]
            if not waiting:
                return
            list(pool.map(conduct, [each for each in waiting for _ in (0, 1)]))
    raise AssertionError("they do not come to an end")


def test_two_hundred_accounts_and_many_requests_never_have_two_holders_and_all_end(room: Room) -> None:
    room.device("wide", connection_limit=64)
    made = [room.account(f"ann{n}", on="wide") for n in range(ACCOUNTS)]
    holders = Holders()
    ledger = room.ledger()

    def conduct(operation_id: int) -> None:
        try:
            claimed = ledger.claim(operation_id)
        except NotClaimed:
            return
        except StoreUnavailable as error:
            raise AssertionError("nobody waits in a circle") from error
        holders.enter(claimed.credential.account_id)
        holders.leave(claimed.credential.account_id)
        tried = [Tried(claimed.credential.account_id, True)]
        ledger.closed(claimed, Close(Result.SUCCEEDED), tried, Evidence(Outcome.OK))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(room.ask, [each for each in made for _ in range(3)]))
        list(pool.map(lambda each: room.ask(each, Action.VERIFY), made))
    drain(room, conduct)
    assert holders.wrong == []
    with room.database.reading() as connection:
        states = Counter(connection.execute(select(operation.c.state)).scalars())
        leased = connection.execute(select(account.c.id).where(account.c.lease_until.is_not(None))).all()
    assert states == Counter({"succeeded": 2 * ACCOUNTS})
    assert leased == []


def test_eight_who_log_in_through_one_administrator_never_exceed_its_budget(room: Room) -> None:
    room.device("wide", connection_limit=64)
    boss = room.admin(on="wide", tries=2)
    made = [room.account(f"ann{n}", on="wide", auth="boss@wide") for n in range(24)]
    room.target.set("boss", "changed-by-hand", Behaviour(admin=True))
    asked = [room.ask(each).operation_id for each in made]
    conductor: Conductor = room.conductor()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(conductor.conduct, [*asked, *asked]))
    assert room.target.failed_logins("boss") <= 2
    assert room.account_of(boss).in_flight == 0


def test_eight_who_log_in_through_a_right_administrator_all_end_within_the_window(room: Room) -> None:
    room.device("wide", connection_limit=64)
    boss = room.admin(on="wide", tries=1)
    made = [room.account(f"ann{n}", on="wide", auth="boss@wide") for n in range(24)]
    for each in made:
        room.ask(each)
    drain(room, room.conductor().conduct)
    assert all(room.opens(f"ann{n}", each) for n, each in enumerate(made))
    assert (room.account_of(boss).failures, room.account_of(boss).in_flight) == (0, 0)
    assert room.target.failed_logins("boss") == 0


def test_the_limit_of_an_administrator_is_its_own_policys(room: Room) -> None:
    boss = room.admin(tries=1)
    ann = room.account("ann", tries=2, auth="boss@box")
    claimed = room.claim(room.ask(ann).operation_id)
    own, login = room.account_of(ann).id, room.account_of(boss).id
    assert (claimed.budgets[own].allowed, claimed.budgets[login].allowed) == (2, 1)


def test_a_jump_hosts_account_is_charged_too(room: Room) -> None:
    jump = room.account("jump")
    room.device("inside")
    with room.database.writing() as connection:
        connection.execute(update(device).where(device.c.name == "inside").values(jump_credential_id=jump))
    ann = room.account("ann", on="inside")
    room.claim(room.ask(ann).operation_id)
    assert room.account_of(jump).in_flight == 1


def test_an_account_whose_rights_are_taken_on_is_charged_too(room: Room) -> None:
    boss, other = room.admin(), room.account("root")
    ann = room.account("ann", auth="boss@box", become="root@box")
    room.claim(room.ask(ann).operation_id)
    assert [room.account_of(each).in_flight for each in (boss, other, ann)] == [1, 1, 0]


def test_a_jump_host_without_its_secret_is_not_left_out_of_the_way(room: Room) -> None:
    jump = room.account("jump")
    room.device("inside")
    with room.database.writing() as connection:
        connection.execute(update(device).where(device.c.name == "inside").values(jump_credential_id=jump))
        mine = secret_version.c.credential_id == jump
        connection.execute(update(secret_version).where(mine).values(status="unused"))
    asked = room.ask(room.account("ann", on="inside")).operation_id
    with pytest.raises(NotClaimed, match="jump@box"):
        room.claim(asked)
    assert room.operation(asked).state == "failed"
