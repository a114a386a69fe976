"""RESTORED mode as callers see it."""

from __future__ import annotations

from sqlalchemy import insert, select, update

from engine.access.service import Role
from engine.record.models import audit_entry
from engine.store.clock import now
from engine.store.models import engine_state
from engine.vault.models import secret_version
from tests.unit.api.conftest import Api


def restore(api: Api) -> int:
    """As a start leaves a database that is older than its journals."""
    api.given_device()
    credential_id = api.given_credential()
    with api.context.database.writing() as connection:
        connection.execute(update(engine_state).values(restored=True))
        connection.execute(
            insert(secret_version).values(
                credential_id=credential_id,
                number=1,
                status="history",
                origin="restored",
                sealed=b"",
                key_id="",
                digest="d" * 32,
                created=now(),
            )
        )
    return credential_id


def test_without_a_restore_there_is_nothing_to_look_at(api: Api) -> None:
    assert api.get("/restored").json() == {"restored": False, "credentials": []}


def test_what_was_brought_back_is_listed_by_credential(api: Api) -> None:
    restore(api)
    shown = api.get("/restored").json()
    assert shown["restored"] is True
    assert [(each["credential"], each["versions"]) for each in shown["credentials"]] == [("svc@web1", 1)]


def test_while_restored_nothing_is_handed_out(api: Api) -> None:
    credential_id = restore(api)
    answer = api.post(f"/credentials/{credential_id}/reveal", {"reason": "to see"})
    assert (answer.status_code, answer.json()["code"]) == (409, "in_doubt")


def test_a_person_ends_the_mode_and_the_audit_says_who(api: Api) -> None:
    restore(api)
    assert api.post("/restored/end").json()["restored"] is False
    with api.context.database.reading() as connection:
        ended = select(audit_entry.c.actor).where(audit_entry.c.action == "engine.restored_ended")
        assert connection.execute(ended).scalar_one()


def test_only_an_administrator_ends_it(api: Api) -> None:
    restore(api)
    assert api.post("/restored/end", token=api.token_of(Role.READER)).status_code == 403
    assert api.get("/restored").json()["restored"] is True
