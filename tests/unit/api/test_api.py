"""What callers get for what they send."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from engine.access.service import Role
from engine.api.limits import BodyLimit
from engine.catalog.models import credential, worker
from engine.catalog.zones import ensure_zone
from engine.operations.models import attempt, operation
from engine.record.models import audit_entry
from engine.store.clock import now
from engine.vault.refs import credential_ref
from engine.vault.sealing import Purpose, seal_bytes
from engine.vault.service import zone_key
from tests.unit.api.conftest import MAX_BODY, WORKER, Api

CANARY = "canary-Xq7!pä$"


def is_problem(answer: Any, status: int, code: str) -> bool:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["type"] == f"urn:keyturn:problem:{code}"
    assert problem["title"]
    assert problem["detail"]
    return bool(problem["code"] == code)


# Devices


def test_a_device_is_added_shown_and_listed(api: Api) -> None:
    added = api.post(
        "/devices", {"name": "Web1", "address": "192.0.2.7", "ports": {"ssh": 22}, "site": "north"}
    )
    assert added.status_code == 201
    assert added.json()["name"] == "web1"
    assert added.json()["zone"] == "default"
    assert api.get("/devices/WEB1").json() == added.json()
    assert [each["name"] for each in api.get("/devices").json()] == ["web1"]
    assert api.get("/devices", params={"site": "south"}).json() == []


def test_a_device_is_paused_and_resumed_with_a_reason(api: Api) -> None:
    api.given_device()
    assert api.post("/devices/web1/pause", {"reason": "moving racks"}).json()["paused"] is True
    assert is_problem(api.post("/devices/web1/pause", {"reason": "again"}), 409, "wrong_state")
    assert api.post("/devices/web1/resume").json()["paused"] is False


def test_a_host_key_is_pinned_by_trust_and_nonsense_is_refused(api: Api) -> None:
    api.given_device()
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr"
    assert api.post("/devices/web1/trust", {"host_key": line}).json()["host_keys"][0]["line"] == line
    assert is_problem(api.post("/devices/web1/trust", {"host_key": "ssh-ed25519 nonsense"}), 422, "bad_input")


def test_a_device_is_allowed_what_it_needs_and_nothing_by_itself(api: Api) -> None:
    api.given_device()
    assert api.get("/devices/web1").json()["weak_algorithms"] is False
    assert api.post("/devices/web1/consent", {"weak_algorithms": True}).json()["weak_algorithms"] is True
    assert is_problem(api.post("/devices/web1/consent", {}), 422, "bad_input")
    assert is_problem(api.post("/devices/nowhere/consent", {"cleartext": True}), 404, "unknown_device")


def test_an_unknown_device_is_a_problem_that_says_what_to_do(api: Api) -> None:
    answer = api.get("/devices/nowhere")
    assert is_problem(answer, 404, "unknown_device")
    assert "keyturn device add" in answer.json()["detail"]
    assert is_problem(api.post("/credentials", {"name": "svc@nowhere"}), 404, "unknown_device")


def test_a_second_device_of_that_name_is_refused(api: Api) -> None:
    api.given_device()
    again = api.post("/devices", {"name": "web1", "address": "192.0.2.8", "ports": {"ssh": 22}})
    assert is_problem(again, 409, "duplicate_device")


# Credentials


def test_a_credential_is_added_unverified_with_its_secret_in_the_vault(api: Api) -> None:
    api.given_device()
    added = api.post("/credentials", {"name": "svc@web1", "secret": CANARY})
    assert added.status_code == 201
    assert added.json()["state"] == "unverified"
    assert added.json()["current_version"] == 1
    assert CANARY not in added.text


def test_a_credential_names_the_profile_that_serves_it(api: Api) -> None:
    api.given_device()
    api.given_credential("svc@web1", template="fake-own-password")
    shown = api.get("/credentials/named/svc@web1").json()
    assert (shown["profile"], shown["executor"], shown["port"]) == ("fake-own", "fake", 1)
    assert shown["template_used"] == "fake-own-password"
    assert shown["obstacle"] is None


def test_a_credential_that_no_profile_serves_is_shown_with_the_obstacle(api: Api) -> None:
    api.given_device("printer", address="192.0.2.9", ports={"snmp": 161})
    api.given_credential("admin@printer", template=None)
    shown = api.get("/credentials/named/admin@printer").json()
    assert shown["profile"] is None
    assert "no profile serves" in shown["obstacle"]


def test_no_profile_is_a_problem_before_anything_is_touched(api: Api) -> None:
    api.given_device("printer", address="192.0.2.9", ports={"snmp": 161})
    api.given_credential("admin@printer", template=None)
    assert is_problem(api.get("/profiles/match", params={"credential": "admin@printer"}), 422, "no_profile")


def test_a_tie_of_profiles_names_both(api: Api) -> None:
    api.given_device()
    credential_id = api.given_credential("svc@web1", template=None, secret="x1")
    shared = {"executor": "fake", "service": "fake", "templates": {}, "priority": 9, "match": {}}
    for name in ("one", "two"):
        assert api.post("/profiles", {"name": name, **shared}).status_code == 201
    tie = api.post(f"/credentials/{credential_id}/verify")
    assert is_problem(tie, 422, "profile_tie")
    assert "one and two" in tie.json()["detail"]


def test_a_duplicate_account_is_refused_naming_the_first(api: Api) -> None:
    api.given_device()
    first = api.given_credential("svc@web1")
    again = api.post("/credentials", {"name": "svc@web1"})
    assert is_problem(again, 409, "duplicate_credential")
    assert f"id {first}" in again.json()["detail"]


def test_a_never_touch_account_is_refused_with_the_reason(api: Api) -> None:
    api.given_device()
    assert is_problem(api.post("/credentials", {"name": "krbtgt@web1"}), 422, "never_touched")


def test_a_parent_that_is_itself_is_refused_and_nothing_is_stored(api: Api) -> None:
    api.given_device()
    looped = api.post("/credentials", {"name": "svc@web1", "parent": "svc@web1", "link": "own"})
    assert is_problem(looped, 409, "parent_cycle")
    assert api.get("/credentials").json() == []


def test_a_link_without_its_kind_is_refused(api: Api) -> None:
    api.given_device()
    api.given_credential("svc@web1")
    assert is_problem(api.post("/credentials", {"name": "b@web1", "parent": "svc@web1"}), 422, "bad_input")


@pytest.mark.parametrize("bad", ["two\nlines", "cr\rhere", "nul\0here", "", "\u202ereversed", "\ud800"])
def test_a_secret_that_no_target_could_take_is_refused_without_being_quoted(api: Api, bad: str) -> None:
    api.given_device()
    text = json.dumps({"name": "svc@web1", "secret": CANARY + bad if bad else ""})
    refused = api.call(
        "POST", "/api/v1/credentials", content=text, headers={"Content-Type": "application/json"}
    )
    assert is_problem(refused, 422, "bad_input")
    assert refused.json()["errors"][0]["field"] == "body.secret"
    assert "canary" not in refused.text
    assert "canary" not in api.log.getvalue()


def test_a_secret_set_by_hand_is_the_next_version_and_unverified(api: Api) -> None:
    api.given_device()
    credential_id = api.given_credential(secret="first")
    stored = api.put(f"/credentials/{credential_id}/secret", {"secret": CANARY})
    assert stored.json() == {"id": credential_id, "version": 2, "state": "unverified"}
    versions = api.get(f"/credentials/{credential_id}/history")
    assert [(each["number"], each["status"]) for each in versions.json()] == [(2, "current"), (1, "previous")]
    assert CANARY not in versions.text


def test_setting_the_secret_of_an_unknown_credential_is_a_404(api: Api) -> None:
    assert is_problem(api.put("/credentials/99/secret", {"secret": CANARY}), 404, "unknown_credential")


def test_a_full_journal_stops_the_import_and_stores_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.vault.errors import JournalFull

    def full(*_: object) -> None:
        raise JournalFull("no room on /var/lib/somewhere")

    api.given_device()
    monkeypatch.setattr(api.context.journal, "append", full)
    refused = api.post("/credentials", {"name": "svc@web1", "secret": CANARY})
    assert is_problem(refused, 507, "disk_full")
    assert "/var/lib" not in refused.text
    assert api.get("/credentials").json() == []


def test_a_credential_is_suspended_resumed_and_retired(api: Api) -> None:
    api.given_device()
    path = f"/credentials/{api.given_credential()}"
    suspended = api.post(f"{path}/suspend", {"reason": "audit"}).json()
    assert (suspended["state"], suspended["reason"]) == ("suspended", "audit")
    assert api.post(f"{path}/resume").json()["state"] == "unverified"
    assert api.post(f"{path}/retire").json()["state"] == "retired"
    assert is_problem(api.post(f"{path}/resume"), 409, "wrong_state")


def test_a_secret_is_revealed_once_to_the_one_who_gives_a_reason(api: Api) -> None:
    api.given_device()
    credential_id = api.given_credential(secret=CANARY)
    answer = api.post(f"/credentials/{credential_id}/reveal", {"reason": "repairing web1"})
    assert answer.json() == {"secret": CANARY, "version": 1, "state": "unverified"}
    assert answer.headers["cache-control"] == "no-store"
    with api.context.database.reading() as connection:
        entries = connection.execute(select(audit_entry.c.action, audit_entry.c.details)).all()
    assert ("secret.revealed", {"reason": "repairing web1", "version": 1, "attempt": 0}) in entries
    assert "canary" not in api.log.getvalue()


@pytest.mark.parametrize("body", [None, {}, {"reason": ""}, {"reason": "   "}, {"reason": 5}])
def test_a_reveal_without_a_reason_is_refused(api: Api, body: Any) -> None:
    api.given_device()
    credential_id = api.given_credential(secret=CANARY)
    assert is_problem(api.post(f"/credentials/{credential_id}/reveal", body), 422, "bad_input")


def test_a_reveal_without_a_worker_is_a_503_that_says_so(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.api.reveal.LONGEST_WAIT", 0.05)
    api.given_device()
    credential_id = api.given_credential(secret=CANARY)
    api.bell.away = True
    answer = api.post(f"/credentials/{credential_id}/reveal", {"reason": "x"})
    assert is_problem(answer, 503, "not_available")
    assert "no worker" in answer.json()["detail"]


def test_a_reveal_in_doubt_is_a_409_and_break_glass_opens_it(api: Api) -> None:
    api.given_device()
    credential_id = api.given_credential(secret=CANARY)
    with api.context.database.writing() as connection:
        connection.execute(update(credential).values(state="in_doubt"))
    path = f"/credentials/{credential_id}/reveal"
    assert is_problem(api.post(path, {"reason": "x"}), 409, "in_doubt")
    assert api.post(path, {"reason": "x", "break_glass": True}).json()["secret"] == CANARY


def test_a_credential_without_a_secret_has_nothing_to_reveal(api: Api) -> None:
    api.given_device()
    answer = api.post(f"/credentials/{api.given_credential()}/reveal", {"reason": "x"})
    assert is_problem(answer, 404, "no_secret")


def test_enabling_asks_for_a_proof_of_the_stored_secret(api: Api) -> None:
    api.given_device()
    credential_id = api.given_credential(secret="x1")
    enabled = api.post(f"/credentials/{credential_id}/enable").json()
    assert enabled["state"] == "unverified"
    assert api.bell.rung == [enabled["operation"]]
    assert api.get(f"/operations/{enabled['operation']}").json()["action"] == "verify"


def test_enabling_without_a_known_secret_proves_nothing(api: Api) -> None:
    api.given_device()
    enabled = api.post(f"/credentials/{api.given_credential()}/enable").json()
    assert (enabled["state"], enabled["operation"]) == ("unverified", None)


# Operations


def test_an_operation_is_accepted_with_its_place_and_rung_after_the_commit(api: Api) -> None:
    api.given_device()
    api.given_credential(secret="x1")
    answer = api.post("/operations", {"credential": "svc@web1", "action": "verify"})
    assert answer.status_code == 202
    operation_id = answer.json()["operation"]
    assert answer.headers["location"] == f"/api/v1/operations/{operation_id}"
    assert answer.json() == {"operation": operation_id, "joined": False, "state": "scheduled"}
    assert api.bell.rung == [operation_id]
    shown = api.get(f"/operations/{operation_id}").json()
    assert (shown["credential"], shown["attempts"]) == ("svc@web1", [])
    assert [each["after"] for each in shown["transitions"]] == ["scheduled"]


def test_a_second_request_joins_the_one_that_waits(api: Api) -> None:
    api.given_device()
    path = f"/credentials/{api.given_credential(secret='x1')}/verify"
    first, second = api.post(path).json(), api.post(path).json()
    assert second == {**first, "joined": True}


def test_the_same_idempotency_key_is_answered_as_before_and_refused_for_another_request(api: Api) -> None:
    api.given_device()
    path, key = f"/credentials/{api.given_credential(secret='x1')}", {"Idempotency-Key": "k-1"}
    first = api.post(f"{path}/verify", headers=key).json()
    api.post(f"/operations/{first['operation']}/cancel")
    assert api.post(f"{path}/verify", headers=key).json()["operation"] == first["operation"]
    other = api.given_credential("other@web1", secret="x2")
    assert is_problem(api.post(f"/credentials/{other}/verify", headers=key), 409, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["two words", "x" * 129, ""])
def test_an_idempotency_key_that_cannot_be_kept_is_refused(api: Api, key: str) -> None:
    api.given_device()
    path = f"/credentials/{api.given_credential(secret='x1')}/verify"
    assert is_problem(api.post(path, headers={"Idempotency-Key": key}), 422, "bad_input")


def test_a_change_before_an_enable_is_refused_and_says_what_to_do(api: Api) -> None:
    api.given_device()
    refused = api.post(f"/credentials/{api.given_credential(secret='x1')}/rotate")
    assert is_problem(refused, 409, "wrong_state")
    assert "keyturn credential enable" in refused.json()["detail"]


def test_operations_are_listed_by_state_and_credential(api: Api) -> None:
    api.given_device()
    path = f"/credentials/{api.given_credential(secret='x1')}/verify"
    canceled = api.post(path).json()["operation"]
    assert api.post(f"/operations/{canceled}/cancel").json()["state"] == "canceled"
    waiting = api.post(path).json()["operation"]
    listed = api.get("/operations", params={"state": ["scheduled", "running"]}).json()
    assert [each["id"] for each in listed] == [waiting]
    assert len(api.get("/operations", params={"credential": "svc@web1"}).json()) == 2
    assert api.get("/operations", params={"after": waiting}).json() == []
    assert is_problem(api.get("/operations", params={"state": "asleep"}), 422, "bad_input")


def test_what_was_canceled_is_asked_for_again_by_retry_and_what_ended_cannot_be_canceled(api: Api) -> None:
    api.given_device()
    first = api.post(f"/credentials/{api.given_credential(secret='x1')}/verify").json()["operation"]
    api.post(f"/operations/{first}/cancel")
    assert is_problem(api.post(f"/operations/{first}/cancel"), 409, "wrong_state")
    again = api.post(f"/operations/{first}/retry")
    assert again.status_code == 202
    assert again.json()["operation"] != first


@pytest.mark.parametrize("number", ["0", "-1", "99999999999999", "x", "1.5"])
def test_an_operation_number_that_cannot_be_is_refused(api: Api, number: str) -> None:
    assert is_problem(api.get(f"/operations/{number}"), 422, "bad_input")


def test_an_unknown_operation_is_a_404(api: Api) -> None:
    for path in ("/operations/7/cancel", "/operations/7/retry"):
        assert is_problem(api.post(path), 404, "unknown_operation")
    assert is_problem(api.get("/operations/7"), 404, "unknown_operation")


def test_an_event_from_outside_asks_for_what_its_trigger_says(api: Api) -> None:
    api.given_device()
    api.given_credential(secret="x1")
    told = api.post("/events", {"event": "manual", "credential": "svc@web1", "action": "verify"})
    assert told.status_code == 202
    assert [each["state"] for each in told.json()] == ["scheduled"]


@pytest.mark.parametrize("event", ["parent_changed", "full_moon"])
def test_an_event_that_nobody_outside_may_tell_is_refused(api: Api, event: str) -> None:
    api.given_device()
    api.given_credential(secret="x1")
    assert is_problem(api.post("/events", {"event": event, "credential": "svc@web1"}), 422, "unknown_event")


def test_a_manual_event_without_an_action_is_refused(api: Api) -> None:
    api.given_device()
    api.given_credential(secret="x1")
    assert is_problem(api.post("/events", {"event": "manual", "credential": "svc@web1"}), 422, "no_action")


def given_attempt(api: Api, credential_id: int, operation_id: int, transcript: str | None) -> int:
    with api.context.database.writing() as connection:
        sealed = None
        if transcript is not None:
            context = credential_ref(connection, credential_id).context(3, Purpose.TRANSCRIPT)
            sealed = seal_bytes(transcript.encode(), zone_key(connection, "default"), context)
        values = {"operation_id": operation_id, "number": 1, "epoch": 3, "worker": "w", "started": now()}
        statement = insert(attempt).values(transcript=sealed, **values).returning(attempt.c.id)
        return int(connection.execute(statement).scalar_one())


def test_a_transcript_of_another_operation_is_not_found(api: Api) -> None:
    api.given_device()
    credential_id = api.given_credential(secret="x1")
    first = api.post(f"/credentials/{credential_id}/verify").json()["operation"]
    attempt_id = given_attempt(api, credential_id, first, "said")
    api.post(f"/operations/{first}/cancel")
    second = api.post(f"/credentials/{credential_id}/verify").json()["operation"]
    answer = api.post(f"/operations/{second}/attempts/{attempt_id}/transcript", {"reason": "why"})
    assert is_problem(answer, 404, "unknown_operation")


def test_an_operation_shows_its_attempts_without_their_transcripts(api: Api) -> None:
    api.given_device()
    credential_id = api.given_credential(secret="x1")
    operation_id = api.post(f"/credentials/{credential_id}/verify").json()["operation"]
    given_attempt(api, credential_id, operation_id, "what was said")
    shown = api.get(f"/operations/{operation_id}")
    assert shown.json()["attempts"][0]["has_transcript"] is True
    assert "what was said" not in shown.text


# Policies, profiles, templates


def test_a_policy_is_added_with_defaults_for_what_is_left_out(api: Api) -> None:
    added = api.post("/policies", {"name": "strong", "rules": {"generator": {"length": 40}}})
    assert added.status_code == 201
    assert added.json()["rules"]["generator"]["length"] == 40
    assert {each["name"] for each in api.get("/policies").json()} == {"default", "strong"}


def test_a_policy_that_no_password_meets_is_refused(api: Api) -> None:
    rules = {"generator": {"length": 4, "minimums": {"lower": 2, "upper": 2, "digits": 2}}}
    refused = api.post("/policies", {"name": "impossible", "rules": rules})
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert [each["name"] for each in api.get("/policies").json()] == ["default"]


def test_profiles_are_listed_with_the_shipped_ones_whose_names_are_taken(api: Api) -> None:
    names = {each["name"] for each in api.get("/profiles").json()}
    assert "fake-own" in names
    shared = {"executor": "fake", "service": "fake", "templates": {}}
    assert is_problem(api.post("/profiles", {"name": "fake-own", **shared}), 409, "duplicate_rule")
    assert is_problem(api.post("/profiles", {"name": "mine", "speed": "fast", **shared}), 422, "bad_input")


FIELD = {"executor": "ssh", "action": "change_secret", "content": 'expect "#"\nexec "[#COE_SENHA#]"\n'}


def test_an_imported_template_is_versioned_by_its_content_and_shown(api: Api) -> None:
    first = api.put("/templates/our/ssh/own", FIELD).json()
    assert (first["name"], first["version"], first["change"]) == ("our/ssh/own", 1, "new")
    assert {"code", "line", "message"} == set(first["findings"][0])
    assert api.put("/templates/our/ssh/own", FIELD).json()["change"] == "unchanged"
    again = api.put("/templates/our/ssh/own", {**FIELD, "content": FIELD["content"] + "end"}).json()
    assert (again["version"], again["change"]) == (2, "changed")
    shown = api.get("/templates/our/ssh/own").json()
    assert (shown["version"], shown["source"], shown["executor"]) == (2, "imported", "ssh")


def test_a_template_that_cannot_be_run_is_a_problem_with_its_line(api: Api) -> None:
    refused = api.put("/templates/own", {**FIELD, "content": 'expect "#"\nexpct "x"\n'})
    assert is_problem(refused, 422, "bad_template")
    assert refused.json()["line"] == 2
    assert is_problem(api.put("/templates/Own", FIELD), 422, "bad_template_name")
    assert is_problem(api.put("/templates/fake-own-password", FIELD), 409, "name_taken")
    assert is_problem(api.put("/templates/own", {**FIELD, "action": "fly"}), 422, "bad_input")


def test_only_an_administrator_brings_templates(api: Api) -> None:
    token = api.token_of(Role.READER)
    answer = api.call("PUT", "/api/v1/templates/own", token, json=FIELD)
    assert is_problem(answer, 403, "forbidden")


def test_templates_are_listed_without_and_shown_with_their_text(api: Api) -> None:
    listed = api.get("/templates").json()
    assert "fake-own-password" in {each["name"] for each in listed}
    assert all("content" not in each for each in listed)
    assert "[#NEW_PASSWORD#]" in api.get("/templates/fake-own-password").json()["content"]
    assert is_problem(api.get("/templates/none/such"), 404, "unknown_template")


# Who may


def test_without_a_token_nothing_but_health_is_answered(api: Api) -> None:
    answer = api.client.get("/api/v1/devices")
    assert is_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert api.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("header", ["Bearer", "Bearer kt_x_y", "Basic YTpi", "Bearer " + "x" * 5000])
def test_what_is_no_token_is_refused_alike(api: Api, header: str) -> None:
    answer = api.client.get("/api/v1/devices", headers={"Authorization": header})
    assert is_problem(answer, 401, "unauthenticated")


def test_an_expired_token_is_refused(api: Api) -> None:
    over = api.token_of(Role.ADMIN, expires=time.time() - 10)
    assert is_problem(api.get("/devices", token=over), 401, "unauthenticated")


def test_a_reader_sees_and_does_nothing_else(api: Api) -> None:
    api.given_device()
    path = f"/credentials/{api.given_credential(secret=CANARY)}"
    token = api.token_of(Role.READER)
    assert api.get(path, token=token).status_code == 200
    for attempt_of in ("reveal", "suspend"):
        assert is_problem(api.post(f"{path}/{attempt_of}", {"reason": "x"}, token=token), 403, "forbidden")
    assert is_problem(api.post(f"{path}/rotate", token=token), 403, "forbidden")
    assert is_problem(api.get("/audit/export", token=token), 403, "forbidden")


# Bad input of every kind


def test_a_body_that_says_its_size_is_refused_before_it_is_read(api: Api) -> None:
    answer = api.post("/devices", {"name": "x" * MAX_BODY})
    assert is_problem(answer, 413, "too_large")


def test_a_body_that_hides_its_size_is_refused_once_too_much_has_come(api: Api) -> None:
    answer = api.call("POST", "/api/v1/devices", content=(b"x" * 1024 for _ in range(1000)))
    assert is_problem(answer, 413, "too_large")


def test_of_an_endless_body_only_the_allowed_part_is_read() -> None:
    taken = 0

    async def endless() -> Message:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    async def reading_all(_: Scope, receive: Receive, __: Send) -> None:
        while (await receive())["more_body"]:
            pass

    async def unsent(_: Message) -> None:
        raise AssertionError("nothing is answered here")

    limited = BodyLimit(reading_all, limit=1000)
    with pytest.raises(HTTPException) as refused:
        asyncio.run(limited({"type": "http", "headers": []}, endless, unsent))
    assert refused.value.status_code == 413
    assert taken == 11


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("address", 5),
        ("ports", {"ssh": "22"}),
        ("ports", {"ssh": 0}),
        ("ports", {"ssh": True}),
        ("ports", []),
        ("tags", "one"),
        ("connection_limit", 1.5),
        ("connection_limit", 0),
        ("name", None),
        ("site", "a\x07b"),
        ("colour", "red"),
    ],
)
def test_a_wrong_type_is_a_problem_that_names_the_field(api: Api, field: str, value: Any) -> None:
    body = {"name": "web1", "address": "192.0.2.7", "ports": {"ssh": 22}, field: value}
    answer = api.post("/devices", body)
    assert is_problem(answer, 422, "bad_input")
    assert answer.json()["errors"][0]["field"].startswith(f"body.{field}")


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "null", "\xff", '{"name": NaN}', "[" * 5000])
def test_a_body_that_is_no_json_object_is_a_problem(api: Api, text: str) -> None:
    answer = api.call(
        "POST",
        "/api/v1/devices",
        content=text.encode("latin-1"),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_the_caller_sent_is_never_quoted_back(api: Api) -> None:
    for body in ({CANARY: CANARY}, {"name": [CANARY]}, {"name": "x", "ports": {CANARY: CANARY}}):
        answer = api.post("/devices", body)
        assert is_problem(answer, 422, "bad_input")
        assert "canary" not in answer.text


def test_a_request_that_says_everything_by_its_address_takes_no_fields(api: Api) -> None:
    api.given_device()
    path = f"/credentials/{api.given_credential(secret='x1')}/verify"
    assert is_problem(api.post(path, {"due": 5}), 422, "bad_input")
    assert api.post(path, {}).status_code == 202


def test_unknown_addresses_and_methods_are_problems(api: Api) -> None:
    assert is_problem(api.get("/nothing"), 404, "not_found")
    assert is_problem(api.call("DELETE", "/api/v1/devices"), 405, "method_not_allowed")
    assert is_problem(api.client.get("/"), 404, "not_found")


def test_an_unforeseen_error_is_a_problem_without_internals(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"internal {CANARY}")

    monkeypatch.setattr("engine.catalog.devices.list_devices", broken)
    answer = api.get("/devices")
    assert is_problem(answer, 500, "internal")
    assert "canary" not in answer.text


def test_a_database_that_is_away_is_a_503(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.store.database import StoreUnavailable

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("host db.internal refused")

    monkeypatch.setattr("engine.catalog.devices.list_devices", away)
    answer = api.get("/devices")
    assert is_problem(answer, 503, "not_available")
    assert "db.internal" not in answer.text


# The record, health, the description


def test_the_record_is_exported_and_whole(api: Api) -> None:
    from engine.record.verification import verify

    api.given_device()
    answer = api.get("/audit/export")
    assert answer.status_code == 200
    assert verify(answer.text.splitlines()).whole


def test_it_is_ready_when_database_worker_and_journal_are(api: Api) -> None:
    assert api.client.get("/readyz").json() == {"status": "ready"}


def test_without_a_live_worker_it_is_not_ready_and_says_so(api: Api) -> None:
    for values in ({"beat": 1000.0}, {"stopped": 1000.0}):
        with api.context.database.writing() as connection:
            connection.execute(update(worker).values(**values))
        answer = api.client.get("/readyz")
        assert is_problem(answer, 503, "not_ready")
        assert "worker" in answer.json()["wrong"][0]


def test_a_zone_without_a_worker_is_named_while_others_have_one(api: Api) -> None:
    with api.context.database.writing() as connection:
        ensure_zone(connection, "test", "dmz", bytes(32))
    assert api.client.get("/readyz").json() == {"status": "ready"}
    api.given_device("far", zone="dmz")
    assert api.client.get("/readyz").json() == {"status": "ready", "zones_without_workers": ["dmz"]}


def test_workers_are_listed_and_drained_by_an_administrator(api: Api) -> None:
    assert [(row["name"], row["zone"], row["draining"]) for row in api.get("/workers").json()] == [
        (WORKER, "default", False)
    ]
    assert api.post(f"/workers/{WORKER}/drain", token=api.token_of(Role.READER)).status_code == 403
    assert api.post(f"/workers/{WORKER}/drain").json()["draining"] is True
    assert is_problem(api.post("/workers/nobody/drain"), 404, "unknown_worker")


def test_with_a_journal_that_is_gone_it_is_not_ready(api: Api, tmp_path: Path) -> None:
    for file in (tmp_path / "journal").iterdir():
        file.unlink()
    (tmp_path / "journal").rmdir()
    answer = api.client.get("/readyz")
    assert is_problem(answer, 503, "not_ready")
    assert "journal" in answer.json()["wrong"][0]


def test_no_query_string_reaches_the_log(api: Api) -> None:
    api.get("/devices", params={"site": "canary-query"})
    assert '"path": "/api/v1/devices"' in api.log.getvalue()
    assert "canary-query" not in api.log.getvalue()


def test_the_description_is_openapi_3_1_and_shows_problems(api: Api) -> None:
    described = api.client.get("/api/v1/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    answers = described["paths"]["/api/v1/devices"]["post"]["responses"]
    assert "application/problem+json" in answers["422"]["content"]
    assert described["components"]["schemas"]["SecretBody"]["properties"]["secret"]["writeOnly"] is True
    with api.context.database.reading() as connection:
        assert connection.execute(select(operation.c.id)).first() is None
