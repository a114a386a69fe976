"""Receivers of notices: what is taken, what is refused, and what a webhook gets when."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import Connection, insert, select, update

from engine.record import deliveries, outbox, receivers
from engine.record.deliveries import NoDeadDelivery
from engine.record.models import audit_entry, delivery, outbox_head
from engine.record.models import outbox as outbox_table
from engine.record.models import receiver as receiver_table
from engine.record.receivers import BadReceiver, DuplicateReceiver, NewReceiver, UnknownReceiver, wants
from engine.record.urls import BadUrl, CallbackRefused, callback, parse
from engine.store.models import SINGLE_ROW
from engine.work.delivery.webhook import fan_out


@pytest.fixture(autouse=True)
def head(connection: Connection) -> None:
    """The first number is 1."""
    connection.execute(insert(outbox_head).values(id=SINGLE_ROW, sequence=0))


def webhook(name: str = "tickets", **fields: Any) -> NewReceiver:
    return NewReceiver(name, "webhook", "default", **{"url": "https://tickets.example/hook", **fields})


def syslog(url: str = "tls://siem.example:6514", **fields: Any) -> NewReceiver:
    return NewReceiver("siem", "syslog", "default", url, **fields)


def happen(connection: Connection, *kinds: str) -> None:
    """Notices, numbered and queued."""
    for kind in kinds:
        outbox.notice(connection, kind, {})
    fan_out(connection, outbox.number(connection))


def queued(connection: Connection) -> list[str]:
    """Kinds of the notices that wait for webhooks, in order."""
    waiting = select(outbox_table.c.kind).join(delivery, delivery.c.notice_id == outbox_table.c.id)
    return list(
        connection.scalars(waiting.where(delivery.c.state == "waiting").order_by(outbox_table.c.sequence))
    )


def kill(connection: Connection) -> list[int]:
    """All that waits becomes dead; returns the ids."""
    dead = update(delivery).values(state="dead", tries=12, error="it answered 500", finished=5.0)
    return sorted(connection.scalars(dead.returning(delivery.c.id)))


def certificate() -> tuple[str, str]:
    """A self-signed certificate and its key, in PEM."""
    key, name = Ed25519PrivateKey.generate(), x509.Name([])
    start = datetime.datetime(2026, 1, 1)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start.replace(year=2036))
    text = made.sign(key, None).public_bytes(Encoding.PEM).decode()
    return text, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


# Adding


def test_a_webhook_gets_what_happens_from_now_on(connection: Connection) -> None:
    happen(connection, "operation.failed")
    added = receivers.add(connection, "ann", webhook())
    happen(connection, "operation.accepted")
    assert (added.format, added.kinds, added.enabled, added.sent) == ("cloudevents", ("*",), True, 1)
    assert queued(connection) == ["operation.accepted"]
    assert receivers.get(connection, "tickets").waiting == 1


def test_from_the_start_it_gets_all_that_is_kept_and_that_it_wants(connection: Connection) -> None:
    happen(connection, "operation.failed", "engine.heartbeat", "operation.accepted", "operation.not_saved")
    wanted = ["operation.not_saved", "engine.*"]
    receivers.add(connection, "ann", webhook(from_start=True, kinds=wanted))
    assert queued(connection) == ["engine.heartbeat", "operation.not_saved"]


def test_a_syslog_receiver_starts_where_the_record_ends(connection: Connection) -> None:
    happen(connection, "engine.heartbeat", "engine.heartbeat")
    added = receivers.add(connection, "ann", syslog(options={"facility": 0, "max_bytes": 2048}))
    assert (added.sent, added.settled, added.format) == (2, 2, "rfc5424")
    receivers.remove(connection, "ann", "siem")
    from_start = receivers.add(connection, "ann", syslog(format="cef", from_start=True))
    assert (from_start.sent, from_start.settled, from_start.format) == (0, 0, "cef")
    assert queued(connection) == []


def test_the_audit_says_who_did_what_and_shows_no_path(connection: Connection) -> None:
    receivers.add(connection, "ann", webhook(url="https://tickets.example/hook/t0ken?k=v", secret=b"sealed"))
    receivers.disable(connection, "bob", "tickets")
    receivers.enable(connection, "bob", "tickets")
    receivers.remove(connection, "eve", "tickets")
    rows = connection.execute(select(audit_entry).order_by(audit_entry.c.id)).all()
    assert [(row.actor, row.action, row.object) for row in rows] == [
        ("ann", "receiver.add", "receiver tickets"),
        ("bob", "receiver.disable", "receiver tickets"),
        ("bob", "receiver.enable", "receiver tickets"),
        ("eve", "receiver.remove", "receiver tickets"),
    ]
    assert rows[0].details["to"] == "https://tickets.example"


def test_a_name_is_given_once(connection: Connection) -> None:
    receivers.add(connection, "ann", webhook())
    with pytest.raises(DuplicateReceiver, match="tickets"):
        receivers.add(connection, "ann", NewReceiver("tickets", "syslog", "default", "tcp://a:1"))


def test_an_unknown_one_cannot_be_used(connection: Connection) -> None:
    for use in (receivers.enable, receivers.disable, receivers.remove):
        with pytest.raises(UnknownReceiver, match="nobody"):
            use(connection, "ann", "nobody")
    with pytest.raises(UnknownReceiver, match="nobody"):
        deliveries.find(connection, "nobody", "dead", 10)


# What is refused


@pytest.mark.parametrize(
    ("new", "says"),
    [
        (webhook(name=""), "name"),
        (webhook(name="a b"), "name"),
        (webhook(name="x" * 65), "name"),
        (NewReceiver("a", "mail", "default", "https://a"), "kind"),
        (webhook(format="cef"), "format"),
        (syslog(format="cloudevents"), "format"),
        (webhook(kinds=[]), "kinds"),
        (webhook(kinds=["*"] * 65), "kinds"),
        (webhook(kinds=["operation*"]), "kinds"),
        (webhook(kinds=["Operation.failed"]), "kinds"),
        (webhook(kinds=["opertion.*"]), "no notice fits"),
        (webhook(kinds=["x" * 65]), "kinds"),
        (webhook(url="http://tickets.example/"), "https"),
        (webhook(url="http://tickets.example/", options={"cleartext": False}), "https"),
        (syslog("tls://siem.example"), "6514"),
        (syslog("tcp://siem.example:601/path"), "no path"),
        (webhook(options={"cleartext": 1}), "true or false"),
        (webhook(options={"facility": 1}), "options"),
        (syslog(options={"cleartext": True}), "options"),
        (syslog(options={"facility": 24}), "facility"),
        (syslog(options={"facility": True}), "facility"),
        (syslog(options={"max_bytes": 479}), "max_bytes"),
        (syslog(options={"max_bytes": "many"}), "max_bytes"),
        (webhook(options={"ca": "no certificate"}), "ca"),
        (webhook(options={"ca": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}), "ca"),
        (webhook(options={"ca": 7}), "ca"),
        (webhook(options={"ca": "x" * (256 * 1024 + 1)}), "ca"),
        (syslog("tcp://siem.example:601", options={"ca": "x"}), "no certificates"),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_is_kept(
    connection: Connection, new: NewReceiver, says: str
) -> None:
    with pytest.raises(BadReceiver, match=says):
        receivers.add(connection, "ann", new)
    assert receivers.list_all(connection) == []
    assert connection.execute(select(audit_entry)).first() is None


def test_a_certificate_is_taken_and_a_private_key_is_not(connection: Connection) -> None:
    ca, key = certificate()
    receivers.add(connection, "ann", webhook(options={"ca": ca}))
    with pytest.raises(BadReceiver, match="private key") as refused:
        receivers.add(connection, "ann", syslog(options={"ca": ca + key}))
    assert key.splitlines()[1] not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "tickets.example",
        "ftp://tickets.example/",
        "https://",
        "https:///path",
        "https://tickets.example:0/",
        "https://tickets.example:65536/",
        "https://tickets.example:port/",
        "https://ann:c4n4ry@tickets.example/",
        "https://tickets.example@evil.example/",
        "https://tickets.example\\@evil.example/",
        "https://tickets.example/#part",
        "https://tickets .example/",
        "https://tickets.example/\n",
        "https://t\tickets.example/",
        "https://tíckets.example/",
        "https://[::1/",
        "https://a..b/",
        "https://-a.example/",
        "https://" + "a" * 64 + ".example/",
        "https://tickets.example/" + "x" * 2048,
    ],
)
def test_an_address_that_is_none_is_refused_without_being_quoted(connection: Connection, url: str) -> None:
    with pytest.raises(BadUrl) as refused:
        receivers.add(connection, "ann", webhook(url=url))
    assert "c4n4ry" not in str(refused.value)
    with pytest.raises(BadUrl):
        callback(url, ["tickets.example", "evil.example", "a..b"])


def test_cleartext_goes_to_loopback_or_where_it_is_asked_for(connection: Connection) -> None:
    for number, url in enumerate(("http://127.0.0.1:8/", "http://[::1]/", "http://localhost:80/")):
        receivers.add(connection, "ann", webhook(f"local{number}", url=url))
    receivers.add(connection, "ann", webhook(url="http://tickets.example/", options={"cleartext": True}))
    assert len(receivers.list_all(connection)) == 4


def test_an_address_is_read_into_its_parts() -> None:
    place = parse("https://Tickets.Example:443?ticket=7", ("https",))
    assert (place.host, place.port, place.target) == ("tickets.example", 443, "/?ticket=7")
    assert str(place) == "https://tickets.example/?ticket=7"
    assert str(parse("http://[2001:db8::1]:8080/a%20b", ("http",))) == "http://[2001:db8::1]:8080/a%20b"


# Callbacks


def test_a_callback_goes_to_a_listed_host_alone() -> None:
    assert (
        str(callback("https://TICKETS.example/hook", ["Tickets.Example"])) == "https://tickets.example/hook"
    )
    for host in ("example", "a.tickets.example", "tickets.example.evil.example", "127.0.0.1", "localhost"):
        with pytest.raises(CallbackRefused, match="callback_hosts") as refused:
            callback(f"https://{host}/", ["tickets.example"])
        assert "evil" not in str(refused.value)
    with pytest.raises(CallbackRefused, match="callback_hosts"):
        callback("https://tickets.example/", [])


def test_a_callback_over_http_goes_to_loopback_alone() -> None:
    assert callback("http://127.0.0.1:8/x", ["127.0.0.1"]).port == 8
    with pytest.raises(CallbackRefused, match="https://"):
        callback("http://tickets.example/", ["tickets.example"])


# Wanting


def test_patterns_are_all_one_sort_or_one_kind() -> None:
    assert wants(["*"], "operation.failed")
    assert wants(["engine.*", "operation.*"], "operation.failed")
    assert wants(["operation.failed"], "operation.failed")
    assert not wants(["operation.failed"], "operation.failed_more")
    assert not wants(["operation.*"], "operations.failed")
    assert not wants(["operation.*"], "operation")


def test_an_underscore_in_a_pattern_is_no_wildcard(connection: Connection) -> None:
    happen(connection, "zonexwithout.worker", "zone.without_worker")
    receivers.add(connection, "ann", webhook(from_start=True, kinds=["zone.without_worker"]))
    assert queued(connection) == ["zone.without_worker"]


def test_each_webhook_gets_what_it_wants_and_syslog_has_no_deliveries(connection: Connection) -> None:
    receivers.add(connection, "ann", webhook("all"))
    receivers.add(connection, "ann", webhook("some", kinds=["engine.*"]))
    receivers.add(connection, "ann", syslog())
    happen(connection, "engine.heartbeat", "operation.failed")
    found = {each.name: each.waiting for each in receivers.list_all(connection)}
    assert found == {"all": 2, "some": 1, "siem": 0}


# Disabling, removing


def test_a_disabled_webhook_gets_what_it_missed_once_it_is_enabled(connection: Connection) -> None:
    receivers.add(connection, "ann", webhook(kinds=["operation.*"]))
    happen(connection, "operation.accepted")
    receivers.disable(connection, "ann", "tickets")
    happen(connection, "operation.failed", "engine.heartbeat")
    receivers.disable(connection, "ann", "tickets")  # again: it stays where it was
    assert queued(connection) == ["operation.accepted"]
    receivers.enable(connection, "ann", "tickets")
    assert queued(connection) == ["operation.accepted", "operation.failed"]
    receivers.enable(connection, "ann", "tickets")
    happen(connection, "operation.expired")
    assert queued(connection) == ["operation.accepted", "operation.failed", "operation.expired"]


def test_enabling_begins_anew(connection: Connection) -> None:
    receivers.add(connection, "ann", webhook())
    happen(connection, "operation.failed")
    receivers.disable(connection, "ann", "tickets")
    connection.execute(update(receiver_table).values(failures=9, error="unreachable", due=9e9))
    connection.execute(update(delivery).values(tries=11, created=1.0, due=9e9))
    enabled = receivers.enable(connection, "ann", "tickets")
    row = connection.execute(select(delivery)).one()
    assert (enabled.failures, enabled.error, enabled.due < 9e9) == (0, None, True)
    assert (row.tries, row.created > 1.0, row.due < 9e9) == (0, True, True)


def test_a_removed_one_is_gone_with_its_deliveries(connection: Connection) -> None:
    receivers.add(connection, "ann", webhook())
    receivers.add(connection, "ann", webhook("other"))
    happen(connection, "operation.failed")
    receivers.remove(connection, "ann", "tickets")
    assert [each.name for each in receivers.list_all(connection)] == ["other"]
    assert len(queued(connection)) == 1


# Dead letters


def test_dead_deliveries_are_listed_and_tried_again(connection: Connection) -> None:
    receivers.add(connection, "ann", webhook())
    happen(connection, "operation.failed", "operation.expired", "operation.canceled")
    first, second, third = kill(connection)
    listed = deliveries.find(connection, "tickets", "dead", 2)
    assert [(each.id, each.sequence, each.kind) for each in listed] == [
        (first, 1, "operation.failed"),
        (second, 2, "operation.expired"),
    ]
    assert [each.id for each in deliveries.find(connection, "tickets", "dead", 2, second)] == [third]
    assert deliveries.redeliver(connection, "ann", "tickets", second) == 1
    assert queued(connection) == ["operation.expired"]
    assert deliveries.redeliver(connection, "ann", "tickets") == 2
    assert deliveries.redeliver(connection, "ann", "tickets") == 0
    again = deliveries.find(connection, "tickets", "waiting", 9)
    assert [(each.tries, each.error, each.finished) for each in again] == [(0, None, None)] * 3


def test_dead_callbacks_are_a_list_of_their_own(connection: Connection) -> None:
    receivers.add(connection, "ann", webhook())
    outbox.notice(connection, "operation.failed", {}, 7, ["https://tickets.example/7"])
    fan_out(connection, outbox.number(connection))
    kill(connection)
    [dead] = deliveries.find(connection, None, "dead", 10)
    assert (dead.url, dead.operation_id) == ("https://tickets.example/7", 7)
    assert deliveries.redeliver(connection, "ann", None) == 1
    assert receivers.get(connection, "tickets").dead == 1


def test_what_is_not_on_the_list_is_not_tried_again(connection: Connection) -> None:
    receivers.add(connection, "ann", webhook())
    receivers.add(connection, "ann", webhook("other", kinds=["engine.*"]))
    happen(connection, "operation.failed")
    [waiting] = deliveries.find(connection, "tickets", "waiting", 9)
    for name, which in (("tickets", waiting.id), ("other", waiting.id), (None, 99)):
        with pytest.raises(NoDeadDelivery, match="list"):
            deliveries.redeliver(connection, "ann", name, which)
