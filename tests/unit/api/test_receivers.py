"""Receivers, dead letters, notices and callbacks as callers see them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update

from engine.access.service import Role
from engine.api.context import ApiContext
from engine.operations.models import request as request_table
from engine.record import outbox
from engine.record.models import delivery, receiver
from engine.vault.keys import FileKeys
from engine.vault.sealing import open_sealed
from engine.vault.signing import key_context, new_key
from engine.work.delivery.webhook import fan_out
from tests.unit.api.conftest import Api

HOOK: dict[str, Any] = {
    "name": "hook",
    "kind": "webhook",
    "url": "https://hook.example/in",
    "kinds": ["operation.*"],
}
SIEM: dict[str, Any] = {"name": "siem", "kind": "syslog", "url": "tls://siem.example:6514"}


def stored_key(api: Api) -> str:
    """As a worker of the zone opens it."""
    with api.context.database.reading() as connection:
        row = connection.execute(select(receiver.c.name, receiver.c.zone, receiver.c.secret)).one()
    private = FileKeys(api.context.settings.keys).private(row.zone)
    return open_sealed(row.secret, private, key_context(row.name)).reveal()


def happen(api: Api, *callbacks: str) -> None:
    with api.context.database.writing() as connection:
        outbox.notice(connection, "operation.failed", {"state": "failed"}, None, callbacks)
        fan_out(connection, outbox.number(connection))


def kill(api: Api) -> None:
    with api.context.database.writing() as connection:
        connection.execute(update(delivery).values(state="dead", tries=12, error="it answered 500"))


def allowing(api: Api, *hosts: str) -> None:
    settings = api.context.settings.model_copy(update={"callback_hosts": hosts})
    context: ApiContext = replace(api.context, settings=settings)
    api.client.app.state.context = context  # type: ignore[attr-defined]


# Receivers


def test_a_key_is_made_shown_once_and_sealed_to_the_zone(api: Api) -> None:
    answer = api.post("/receivers", HOOK)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["secret"] == stored_key(api)
    assert (made["receiver"]["zone"], made["receiver"]["enabled"]) == ("default", True)
    shown = api.get("/receivers/hook")
    assert "secret" not in shown.json()
    assert made["secret"] not in shown.text + api.get("/receivers").text + api.log.getvalue()


def test_a_key_that_is_given_is_kept_and_not_shown(api: Api) -> None:
    key = new_key().reveal()
    answer = api.post("/receivers", HOOK | {"secret": key})
    assert answer.json()["secret"] is None
    assert key not in answer.text
    assert stored_key(api) == key


def test_a_syslog_receiver_has_no_key(api: Api) -> None:
    assert api.post("/receivers", SIEM).json()["secret"] is None
    refused = api.post("/receivers", SIEM | {"name": "two", "secret": new_key().reveal()})
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_receiver")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (HOOK | {"zone": "nowhere"}, 404, "unknown_zone"),
        (HOOK | {"kind": "mail"}, 422, "bad_receiver"),
        (HOOK | {"url": "https://ann:c4n4ry@hook.example/"}, 422, "bad_url"),
        (HOOK | {"url": "http://hook.example/"}, 422, "bad_receiver"),
        (HOOK | {"secret": "c4n4ry"}, 422, "bad_signing_key"),
        (HOOK | {"options": {"c4n4ry": 1}}, 422, "bad_receiver"),
        (HOOK | {"kinds": ["nothing.like_it"]}, 422, "bad_receiver"),
        (HOOK | {"kinds": "operation.*"}, 422, "bad_input"),
        (HOOK | {"enabled": False}, 422, "bad_input"),
        (HOOK | {"url": None}, 422, "bad_input"),
    ],
)
def test_what_cannot_work_is_refused(api: Api, body: dict[str, Any], status: int, code: str) -> None:
    answer = api.post("/receivers", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "c4n4ry" not in answer.text + api.log.getvalue()
    assert api.get("/receivers").json() == []


def test_a_second_one_of_the_name_is_refused(api: Api) -> None:
    api.post("/receivers", HOOK)
    again = api.post("/receivers", SIEM | {"name": "hook"})
    assert (again.status_code, again.json()["code"]) == (409, "duplicate_receiver")


def test_it_is_disabled_enabled_and_removed(api: Api) -> None:
    api.post("/receivers", HOOK)
    assert api.post("/receivers/hook/disable").json()["enabled"] is False
    assert api.post("/receivers/hook/enable").json()["enabled"] is True
    assert api.post("/receivers/hook/remove").json() == {"name": "hook"}
    gone = api.get("/receivers/hook")
    assert (gone.status_code, gone.json()["code"]) == (404, "unknown_receiver")


def test_only_an_administrator_changes_receivers_and_sees_deliveries(api: Api) -> None:
    reader = api.token_of(Role.READER)
    api.post("/receivers", HOOK)
    for path in ("", "/hook/enable", "/hook/disable", "/hook/remove", "/hook/redeliver"):
        assert api.post(f"/receivers{path}", HOOK if not path else {}, token=reader).status_code == 403
    assert api.post("/deliveries/redeliver", {}, token=reader).status_code == 403
    for path in ("/receivers/hook/deliveries", "/deliveries/dead"):
        assert api.get(path, token=reader).status_code == 403
    assert len(api.get("/receivers", token=reader).json()) == 1


# Dead letters


def test_dead_deliveries_are_listed_and_tried_again(api: Api) -> None:
    api.post("/receivers", HOOK)
    happen(api)
    happen(api)
    kill(api)
    first, second = api.get("/receivers/hook/deliveries").json()
    assert (first["kind"], first["tries"], first["error"]) == ("operation.failed", 12, "it answered 500")
    assert api.get(f"/receivers/hook/deliveries?after={first['id']}").json() == [second]
    assert api.get("/receivers/hook").json()["dead"] == 2
    one = api.post("/receivers/hook/redeliver", {"delivery": first["id"]})
    assert one.json() == {"deliveries": 1}
    assert api.get("/receivers/hook/deliveries?state=waiting").json()[0]["id"] == first["id"]
    unknown = api.post("/receivers/hook/redeliver", {"delivery": first["id"]})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "no_dead_delivery")
    assert api.post("/receivers/hook/redeliver", {}).json() == {"deliveries": 1}


def test_dead_callbacks_are_listed_and_tried_again(api: Api) -> None:
    happen(api, "https://tickets.example/7")
    kill(api)
    [dead] = api.get("/deliveries/dead").json()
    assert dead["url"] == "https://tickets.example/7"
    assert api.post("/deliveries/redeliver", {}).json() == {"deliveries": 1}
    assert api.get("/deliveries/dead").json() == []


@pytest.mark.parametrize("query", ["state=lost", "limit=0", "limit=1001", "after=-1", f"after={2**63}"])
def test_a_list_is_asked_for_within_bounds(api: Api, query: str) -> None:
    api.post("/receivers", HOOK)
    assert api.get(f"/receivers/hook/deliveries?{query}").status_code == 422


# Notices


def test_notices_are_read_from_where_one_stopped(api: Api) -> None:
    for _ in range(3):
        happen(api)
    with api.context.database.reading() as connection:
        last = outbox.head(connection)
    first, second = api.get(f"/notices?after={last - 3}&limit=2").json()
    assert (first["sequence"], first["kind"]) == (last - 2, "operation.failed")
    assert first["payload"] == {"state": "failed"}
    assert second["sequence"] == last - 1
    assert [each["sequence"] for each in api.get(f"/notices?after={last - 1}").json()] == [last]
    assert api.get(f"/notices?after={last}").json() == []


# Callbacks


def asked(api: Api, callback: str) -> Any:
    api.given_device()
    api.given_credential(secret="x1")
    return api.post("/operations", {"credential": "svc@web1", "action": "verify", "callback": callback})


def test_a_callback_to_a_listed_host_is_taken_as_its_parts_say(api: Api) -> None:
    allowing(api, "tickets.example")
    assert asked(api, "https://Tickets.Example:443/7?x=1").status_code == 202
    with api.context.database.reading() as connection:
        assert connection.scalars(select(request_table.c.callback)).all() == ["https://tickets.example/7?x=1"]


@pytest.mark.parametrize(
    ("callback", "code"),
    [
        ("https://elsewhere.example/c4n4ry", "callback_refused"),
        ("https://127.0.0.1/c4n4ry", "callback_refused"),
        ("http://tickets.example/c4n4ry", "callback_refused"),
        ("https://tickets.example@elsewhere.example/c4n4ry", "bad_url"),
        ("https://c4n4ry:c4n4ry@tickets.example/", "bad_url"),
        ("ftp://tickets.example/c4n4ry", "bad_input"),
    ],
)
def test_any_other_callback_is_refused_and_nothing_is_asked_for(api: Api, callback: str, code: str) -> None:
    allowing(api, "tickets.example")
    refused = asked(api, callback)
    assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert "c4n4ry" not in refused.text + api.log.getvalue()
    assert api.get("/operations").json() == []
