"""What is handed out while nothing, something or too much is known."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import select, update

from engine.catalog.credentials import NewCredential, add_credential
from engine.catalog.models import credential
from engine.record.models import audit_entry, outbox
from engine.vault.models import reveal_request
from engine.vault.refs import credential_ref
from engine.vault.sealing import Purpose, open_bytes
from engine.vault.service import InDoubt, NoSecret, RevealRefused, answer, ask_reveal, delete_expired, take
from tests.unit.operations.room import ACTOR, Room


def reveal(room: Room, credential_id: int, break_glass: bool = False) -> str:
    key = X25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    with room.database.writing() as connection:
        asked, number = ask_reveal(connection, credential_id, ACTOR, "a test", public, break_glass)
    with room.database.writing() as connection:
        answer(connection, room.keys, asked)
    with room.database.writing() as connection:
        sealed = take(connection, asked)
        bound = credential_ref(connection, credential_id).context(number, Purpose.REVEAL)
    assert sealed is not None
    return open_bytes(sealed, key, bound).decode()


def interrupted(room: Room, credential_id: int, at: str) -> int:
    asked = room.ask(credential_id).operation_id

    def killed(point: str) -> None:
        if point == at:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        room.work(asked, at=killed)
    return asked


def test_while_it_is_changing_the_last_proven_secret_is_handed_out(room: Room) -> None:
    ann = room.account("ann")
    interrupted(room, ann, "apply.after")
    assert room.state(ann) == "changing"
    assert reveal(room, ann) == "first-of-ann"


def test_in_doubt_only_a_broken_glass_shows_the_candidate_and_raises_an_alarm(room: Room) -> None:
    ann = room.account("ann")
    interrupted(room, ann, "apply.after")
    room.set(credential, ann, state="in_doubt")
    with pytest.raises(InDoubt):
        reveal(room, ann)
    assert reveal(room, ann, break_glass=True) == room.secret(ann, "sent")
    with room.database.reading() as connection:
        assert "secret.break_glass" in connection.execute(select(outbox.c.kind)).scalars().all()


def test_after_a_restore_only_a_broken_glass_shows_anything(room: Room) -> None:
    ann = room.account("ann")
    room.engine(restored=True)
    with pytest.raises(InDoubt):
        reveal(room, ann)
    assert reveal(room, ann, break_glass=True) == "first-of-ann"


def test_every_secret_handed_out_is_written_down_with_its_reason(room: Room) -> None:
    ann = room.account("ann")
    reveal(room, ann)
    with room.database.reading() as connection:
        entry = connection.execute(select(audit_entry).order_by(audit_entry.c.id.desc()).limit(1)).one()
    assert (entry.action, entry.actor, entry.details["reason"]) == ("secret.revealed", ACTOR, "a test")


def test_an_answer_goes_when_it_is_read_or_too_old(room: Room) -> None:
    ann = room.account("ann")
    reveal(room, ann)
    with room.database.writing() as connection:
        assert connection.execute(select(reveal_request)).all() == []
        asked, _ = ask_reveal(connection, ann, ACTOR, "a test", b"k" * 32)
        connection.execute(update(reveal_request).values(expires=0.0))
        delete_expired(connection)
        with pytest.raises(RevealRefused):
            take(connection, asked)


def test_where_no_secret_is_stored_there_is_none_to_show(room: Room) -> None:
    with room.database.writing() as connection:
        made = add_credential(connection, ACTOR, NewCredential("new@box")).id
    with pytest.raises(NoSecret):
        reveal(room, made)
