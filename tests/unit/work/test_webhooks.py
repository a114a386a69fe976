"""Delivery to webhooks and callbacks, with the network played by a function."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from engine.record import deliveries, outbox, receivers
from engine.record.deliveries import Delivery, State
from engine.record.models import delivery, receiver
from engine.record.outbox import Notice
from engine.record.receivers import NewReceiver, Receiver
from engine.record.urls import parse
from engine.settings import Settings
from engine.store.database import Database
from engine.store.models import engine_state
from engine.store.upgrade import upgrade
from engine.vault.keys import FileKeys, PublicKeys, ZoneKeys
from engine.vault.sealing import seal
from engine.vault.signing import BadSigningKey, check_key, key_context, new_key, sign
from engine.work.delivery import cloudevent, webhook
from engine.work.delivery.post import (
    Destination,
    ForbiddenAddress,
    Message,
    Reply,
    Verdict,
    addresses_of,
    forbidden,
    judged,
)
from engine.work.delivery.webhook import MAX_TRIES, deliver_webhooks, fan_out, pause
from executors.contract import Secret

ZONE = "default"
DELIVERED = Reply(Verdict.DELIVERED)
REFUSED = Reply(Verdict.REFUSED, "it answered 500")
OUTAGE = Reply(Verdict.OUTAGE, "timed out")
DEAD = Reply(Verdict.DEAD, "it answered 410")

Answers = Callable[[Destination, Message], Reply]


@dataclass
class Site:
    """A database with receivers, and a network that answers as the test says."""

    database: Database
    keys: FileKeys
    answers: Answers = lambda _, __: DELIVERED
    hosts: tuple[str, ...] = ("tickets.example",)
    got: list[tuple[Destination, Message]] = field(default_factory=list)

    def send(self, to: Destination, messages: Sequence[Message]) -> list[Reply]:
        replies = []
        for message in messages:
            self.got.append((to, message))
            replies.append(self.answers(to, message))
            if replies[-1].verdict is Verdict.OUTAGE:
                break
        return replies

    def deliver(self, keys: ZoneKeys | None = None, zone: str = ZONE) -> bool:
        settings = Settings(data=Path("unused"), callback_hosts=self.hosts)
        return deliver_webhooks(self.database, keys or self.keys, zone, "box-1", settings, self.send)

    def add(self, name: str = "hook", zone: str = ZONE, **fields: Any) -> Secret:
        """A webhook; returns its signing key."""
        key = new_key()
        sealed = seal(key, self.keys.public(zone), key_context(name))
        url = fields.pop("url", f"https://{name}.example/in")
        with self.database.writing() as connection:
            receivers.add(connection, "ann", NewReceiver(name, "webhook", zone, url, secret=sealed, **fields))
        return key

    def happen(self, count: int = 1, kind: str = "operation.failed", **more: Any) -> None:
        with self.database.writing() as connection:
            for number in range(count):
                outbox.notice(connection, kind, {"credential": f"svc{number}@web1"}, **more)
            fan_out(connection, outbox.number(connection))

    def later(self) -> None:
        """All pauses are over."""
        with self.database.writing() as connection:
            connection.execute(update(delivery).values(due=0.0))
            connection.execute(update(receiver).values(due=0.0))

    def deliveries(self, name: str | None = "hook", state: State = "waiting") -> list[Delivery]:
        with self.database.reading() as connection:
            return deliveries.find(connection, name, state, 1000)

    def receiver(self, name: str = "hook") -> Receiver:
        with self.database.reading() as connection:
            return receivers.get(connection, name)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(message.body) for _, message in self.got]


@pytest.fixture(autouse=True)
def longest_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause that is over at once would be a second try within one call."""
    monkeypatch.setattr("random.uniform", lambda _, high: high)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("webhooks")
    database = Database(f"sqlite:///{folder}/keyturn.sqlite")
    upgrade(database)
    database.dispose()
    for zone in (ZONE, "dmz"):
        FileKeys(folder / "keys").create(zone)
    return folder


@pytest.fixture
def site(prepared: Path, tmp_path: Path) -> Iterator[Site]:
    copy = tmp_path / "keyturn.sqlite"
    copy.write_bytes((prepared / "keyturn.sqlite").read_bytes())
    database = Database(f"sqlite:///{copy}")
    yield Site(database, FileKeys(prepared / "keys"))
    database.dispose()


# What goes out


def test_a_notice_is_brought_once_as_a_signed_cloud_event(site: Site) -> None:
    key = site.add()
    site.happen(operation_id=7)
    assert site.deliver() is False
    assert site.deliver() is False
    [(to, message)] = site.got
    [event] = site.events()
    assert (str(to.place), message.target, to.key, to.guarded) == (
        "https://hook.example/in",
        "/in",
        key,
        False,
    )
    with site.database.reading() as connection:
        names = connection.execute(select(engine_state.c.installation, engine_state.c.incarnation)).one()
    assert event.pop("time").endswith("+00:00")
    assert event == {
        "specversion": "1.0",
        "id": f"{names.incarnation}-1",
        "source": f"/keyturn/{names.installation}",
        "type": "keyturn.operation.failed",
        "subject": "svc0@web1",
        "datacontenttype": "application/json",
        "dataversion": "1",
        "noticeid": 105,
        "incarnation": names.incarnation,
        "data": {"credential": "svc0@web1", "operation": 7, "sequence": 1},
    }
    assert event["id"] == message.id
    [done] = site.deliveries(state="delivered")
    assert (done.tries, done.error, done.finished is not None) == (1, None, True)
    assert site.receiver().delivered_at is not None


def test_a_notice_without_a_credential_has_no_subject() -> None:
    for payload in ({}, {"credential": None}, {"credential": 7}, {"credential": ""}):
        event = json.loads(cloudevent.encode(Notice(1, 2, 0.0, "some.thing", None, payload), "in", "ca"))
        assert "subject" not in event
        assert "operation" not in event["data"]
        assert event["time"] == "1970-01-01T00:00:00.000+00:00"


def test_a_signature_is_that_of_standard_webhooks() -> None:
    """The values of the test vector that its reference libraries share."""
    key = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "whsec_AAAA",
        "A" * 44,
        "whsec_" + "A" * 91,
        "whsec_" + "é" * 44,
        "whsec_" + "A" * 88 + "=",
    ],
)
def test_what_is_no_signing_key_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(BadSigningKey) as refused:
        check_key(Secret(text))
    assert refused.value.__cause__ is None
    assert "AAAA" not in str(refused.value)


def test_made_keys_are_keys_and_differ() -> None:
    assert len(check_key(new_key())) == 32
    assert new_key() != new_key()


# Whose deliveries


def test_only_the_zone_s_workers_bring_to_its_receivers(site: Site) -> None:
    site.add(zone="dmz")
    site.happen()
    site.deliver()
    assert site.got == []
    site.deliver(zone="dmz")
    assert len(site.got) == 1


def test_a_disabled_receiver_gets_nothing(site: Site) -> None:
    site.add()
    site.happen()
    with site.database.writing() as connection:
        receivers.disable(connection, "ann", "hook")
    site.deliver()
    assert site.got == []


def test_what_another_worker_holds_is_left_to_it_until_its_lease_ends(site: Site) -> None:
    site.add()
    site.happen()
    with site.database.writing() as connection:
        connection.execute(update(delivery).values(lease_owner="box-2", lease_until=9e9))
    site.deliver()
    assert site.got == []
    with site.database.writing() as connection:
        connection.execute(update(delivery).values(lease_until=1.0))
    site.deliver()
    assert len(site.deliveries(state="delivered")) == 1


def test_a_result_that_comes_after_the_lease_changes_nothing(site: Site) -> None:
    site.add()
    site.happen()

    def taken_over(_: Destination, __: Message) -> Reply:
        with site.database.writing() as connection:
            connection.execute(update(delivery).values(lease_owner="box-2", lease_until=9e9))
        return DEAD

    site.answers = taken_over
    site.deliver()
    [waiting] = site.deliveries()
    assert waiting.tries == 0


def test_a_receiver_that_is_removed_meanwhile_is_no_error(site: Site) -> None:
    site.add()
    site.happen()

    def removed(_: Destination, __: Message) -> Reply:
        with site.database.writing() as connection:
            receivers.remove(connection, "ann", "hook")
        return OUTAGE

    site.answers = removed
    site.deliver()
    with site.database.reading() as connection:
        assert connection.execute(select(delivery)).first() is None


def test_a_key_that_cannot_be_opened_is_an_outage_that_says_what_to_do(site: Site, tmp_path: Path) -> None:
    site.add()
    site.happen()
    site.deliver(PublicKeys(tmp_path))
    assert site.got == []
    shown = site.receiver()
    assert "signing key" in str(shown.error)
    assert shown.failures == 1


# Refusals and outages


def test_a_refused_delivery_is_tried_again_under_the_same_id(site: Site) -> None:
    site.add()
    site.happen()
    site.answers = lambda _, __: REFUSED if len(site.got) < 4 else DELIVERED
    for _ in range(4):
        site.later()
        site.deliver()
    assert len({message.id for _, message in site.got}) == 1
    assert len(site.got) == 4
    [done] = site.deliveries(state="delivered")
    assert done.tries == 4


def test_one_that_is_refused_holds_up_no_other(site: Site) -> None:
    site.add()
    site.happen(3)
    site.answers = lambda _, message: REFUSED if b"svc1@" in message.body else DELIVERED
    site.deliver()
    assert len(site.deliveries(state="delivered")) == 2
    [refused] = site.deliveries()
    assert (refused.tries, refused.error) == (1, "it answered 500")
    assert site.receiver().failures == 0


def test_after_an_outage_all_wait_and_only_one_try_is_counted(site: Site) -> None:
    site.add()
    site.happen(3)
    site.answers = lambda _, __: OUTAGE
    site.deliver()
    assert sorted(each.tries for each in site.deliveries()) == [0, 0, 1]
    shown = site.receiver()
    assert (shown.failures, shown.error, len(site.got)) == (1, "timed out", 1)


def test_outages_wear_no_single_delivery_out(site: Site) -> None:
    site.add()
    site.happen(3)
    site.answers = lambda _, __: OUTAGE
    for _ in range(6):
        site.later()
        site.deliver()
    assert [each.tries for each in site.deliveries()] == [2, 2, 2]
    site.answers = lambda _, __: DELIVERED
    site.later()
    site.deliver()
    assert len(site.deliveries(state="delivered")) == 3
    assert (site.receiver().failures, site.receiver().error) == (0, None)


def test_a_receiver_that_fails_again_and_again_is_told_of_once(site: Site) -> None:
    site.add(kinds=["operation.*"])
    site.happen()
    site.answers = lambda _, __: OUTAGE
    for _ in range(7):
        site.later()
        site.deliver()
    with site.database.writing() as connection:
        told = [each for each in outbox.number(connection) if each.kind == "receiver.failing"]
    assert [each.payload for each in told] == [
        {"receiver": "hook", "zone": ZONE, "failures": 5, "behind": 1, "error": "timed out"}
    ]


def test_after_the_last_refusal_it_is_dead_and_can_be_tried_again(site: Site) -> None:
    site.add()
    site.happen()
    site.answers = lambda _, __: REFUSED
    for _ in range(MAX_TRIES + 2):
        site.later()
        site.deliver()
    [dead] = site.deliveries(state="dead")
    assert (dead.tries, dead.error, len(site.got)) == (MAX_TRIES, REFUSED.error, MAX_TRIES)
    site.answers = lambda _, __: DELIVERED
    with site.database.writing() as connection:
        deliveries.redeliver(connection, "ann", "hook", dead.id)
    site.later()
    site.deliver()
    assert len(site.deliveries(state="delivered")) == 1
    assert len({message.id for _, message in site.got}) == 1


def test_an_endpoint_that_is_away_is_tried_for_three_days_however_often(site: Site) -> None:
    site.add()
    site.happen()
    site.answers = lambda _, __: OUTAGE
    for _ in range(MAX_TRIES + 2):
        site.later()
        site.deliver()
    assert [each.tries for each in site.deliveries()] == [MAX_TRIES + 2]


@pytest.mark.parametrize("answer", [REFUSED, OUTAGE])
def test_after_three_days_it_is_dead(site: Site, answer: Reply) -> None:
    site.add()
    site.happen()
    with site.database.writing() as connection:
        connection.execute(update(delivery).values(created=delivery.c.created - webhook.MAX_AGE - 1))
    site.answers = lambda _, __: answer
    site.deliver()
    assert [each.tries for each in site.deliveries(state="dead")] == [1]


def test_an_endpoint_that_wants_nothing_any_more_ends_the_delivery_at_once(site: Site) -> None:
    site.add()
    site.happen()
    site.answers = lambda _, __: DEAD
    site.deliver()
    assert len(site.deliveries(state="dead")) == 1


def test_a_long_error_is_cut_to_its_column(site: Site) -> None:
    site.add()
    site.happen()
    site.answers = lambda _, __: Reply(Verdict.OUTAGE, "x" * 900)
    site.deliver()
    assert len(str(site.receiver().error)) == 500


def test_pauses_grow_to_an_hour_and_are_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high if low == 0 else low)
    assert [pause(tries) for tries in (1, 2, 3, 8, 10**9)] == [5.0, 15.0, 45.0, 3600.0, 3600.0]


# Nobody is held up


def test_an_endpoint_that_hangs_holds_up_no_other(site: Site) -> None:
    """What comes for others while it hangs is brought while it hangs."""
    site.add("slow")
    site.add("fast")
    site.happen()
    all_brought = threading.Event()

    def answer(to: Destination, _: Message) -> Reply:
        if to.place.host == "slow.example":
            site.happen(5)
            assert all_brought.wait(60)
            return OUTAGE
        if sum(to.place.host == "fast.example" for to, _ in site.got) == 6:
            all_brought.set()
        return DELIVERED

    site.answers = answer
    site.deliver()
    assert len(site.deliveries("fast", "delivered")) == 6
    assert len(site.deliveries("slow")) == 6


def test_a_long_queue_of_one_endpoint_leaves_room_for_others(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "AT_ONCE", 4)
    site.add("long")
    site.happen(30)
    site.add("short")
    site.happen(1)
    site.deliver()
    hosts = [to.place.host for to, _ in site.got]
    assert hosts.count("long.example") == 31
    assert hosts.index("short.example") <= 8


def test_a_slice_that_runs_out_of_time_says_that_there_may_be_more(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "SLICE", -1.0)
    site.add()
    site.happen()
    assert site.deliver() is True
    assert site.got == []


def test_more_endpoints_than_lanes_all_get_theirs(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "LANES", 2)
    for number in range(5):
        site.add(f"hook{number}")
    site.happen(2)
    site.deliver()
    assert len(site.got) == 10


# Callbacks


def test_a_callback_gets_its_notice_unsigned_once_it_has_a_number(site: Site) -> None:
    with site.database.writing() as connection:
        outbox.notice(connection, "operation.failed", {}, 7, ["https://tickets.example/7?x=1"])
    site.deliver()
    assert site.got == []
    with site.database.writing() as connection:
        fan_out(connection, outbox.number(connection))
    site.deliver(zone="any")
    [(to, message)] = site.got
    assert (to.key, to.ca, to.guarded, message.target) == (None, None, True, "/7?x=1")
    assert site.events()[0]["data"] == {"operation": 7, "sequence": 1}
    assert len(site.deliveries(None, "delivered")) == 1


def test_a_host_that_is_not_listed_any_more_is_not_called(site: Site) -> None:
    site.happen(callbacks=["https://tickets.example/7"])
    site.hosts = ()
    site.deliver()
    assert site.got == []
    [dead] = site.deliveries(None, "dead")
    assert "callback_hosts" in str(dead.error)


def test_an_address_of_an_older_release_that_is_none_is_dead(site: Site) -> None:
    site.happen(callbacks=["https://tickets.example:99999/7", "https://Tickets.Example/8"])
    site.deliver()
    assert [each.url for each in site.deliveries(None, "dead")] == ["https://tickets.example:99999/7"]
    assert len(site.deliveries(None, "delivered")) == 1


def test_callbacks_to_a_host_that_is_away_wait_and_others_go(site: Site) -> None:
    site.hosts = ("away.example", "here.example")
    away = [f"https://away.example/{number}" for number in range(3)]
    site.happen(callbacks=[*away, "https://here.example/1"])
    site.answers = lambda to, _: OUTAGE if to.place.host == "away.example" else DELIVERED
    site.deliver()
    waiting = site.deliveries(None)
    assert sorted(each.tries for each in waiting) == [0, 0, 1]
    assert len({each.due for each in waiting}) == 1
    assert len(site.got) == 2
    assert [each.url for each in site.deliveries(None, "delivered")] == ["https://here.example/1"]


# Addresses


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "224.0.0.1",
        "ff02::1",
        "0.0.0.0",  # noqa: S104 - nothing is bound
        "0.1.2.3",
        "::",
        "255.255.255.255",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "2002:7f00:1::",
    ],
)
def test_no_callback_goes_to_this_host_its_link_or_to_many(address: str) -> None:
    assert forbidden(address)


@pytest.mark.parametrize("address", ["10.0.0.7", "192.168.1.9", "fd00::7", "8.8.8.8", "::ffff:10.0.0.1"])
def test_callbacks_may_go_to_the_site_s_own_and_to_public_addresses(address: str) -> None:
    assert not forbidden(address)


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


def test_a_name_that_leads_partly_to_loopback_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    place = parse("https://tickets.example/", ("https",))
    resolving(monkeypatch, "10.0.0.7", "127.0.0.1")
    with pytest.raises(ForbiddenAddress):
        addresses_of(Destination(place, guarded=True))
    assert addresses_of(Destination(place)) == ["10.0.0.7", "127.0.0.1"]  # an administrator's own choice


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.1.1"])
def test_an_address_that_is_listed_as_itself_is_called(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    resolving(monkeypatch, "127.0.0.1" if host == "localhost" else host)
    assert addresses_of(Destination(parse(f"https://{host}/", ("https",)), guarded=True))


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "017700000001"])
def test_another_spelling_of_a_loopback_address_is_a_name(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    resolving(monkeypatch, "127.0.0.1")
    with pytest.raises(ForbiddenAddress):
        addresses_of(Destination(parse(f"https://{host}/", ("https",)), guarded=True))


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.DELIVERED),
        (204, Verdict.DELIVERED),
        (301, Verdict.REFUSED),
        (307, Verdict.REFUSED),
        (400, Verdict.REFUSED),
        (404, Verdict.REFUSED),
        (410, Verdict.DEAD),
        (429, Verdict.OUTAGE),
        (500, Verdict.REFUSED),
        (503, Verdict.OUTAGE),
        (999, Verdict.REFUSED),
    ],
)
def test_what_a_status_means(status: int, verdict: Verdict) -> None:
    assert judged(status).verdict is verdict
