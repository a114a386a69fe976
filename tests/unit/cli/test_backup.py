"""`keyturn backup` on SQLite: whole, checked, private, and never half."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.catalog.states import Action
from engine.record import chain
from engine.record.verification import bounded_lines, verify
from engine.store.models import engine_state
from tests.migrations import HEAD
from tests.unit.cli.conftest import Keyturn
from tests.unit.cli.site import site
from tests.unit.operations.room import Room


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with site(tmp_path / "data") as made:
        (made.folder / "keyturn.toml").write_text('zone = "default"\n')
        (made.folder / "pepper").write_text("a pepper of a test\n")
        ann = made.account("ann")
        made.change(ann)
        seal(made)
        yield made


def seal(room: Room) -> None:
    with room.database.writing() as connection:
        chain.append(connection)


def backup(keyturn: Keyturn, room: Room, to: Path, *more: str) -> dict[str, Any]:
    return dict(keyturn.json("backup", "--data", str(room.folder), "--to", str(to), *more))


def test_a_backup_holds_the_database_and_what_says_that_it_is_whole(
    room: Room, keyturn: Keyturn, tmp_path: Path
) -> None:
    backup(keyturn, room, tmp_path / "copy")
    manifest = json.loads((tmp_path / "copy" / "manifest.json").read_text())
    state = room.row(engine_state, 1)
    assert (manifest["incarnation"], manifest["installation"]) == (state.incarnation, state.installation)
    assert (manifest["dialect"], manifest["schema"]) == ("sqlite", HEAD)
    with (tmp_path / "copy" / "audit.jsonl").open("rb") as stream:
        verdict = verify(bounded_lines(stream))
    assert verdict.whole
    assert manifest["audit"] == {"sealed": verdict.sealed, "head": verdict.head, "unsealed": 0}
    for name, facts in manifest["files"].items():
        content = (tmp_path / "copy" / name).read_bytes()
        assert facts == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    files = {path.relative_to(tmp_path / "copy").as_posix() for path in (tmp_path / "copy").rglob("*.*")}
    assert files == {*manifest["files"], "manifest.json"}
    assert set(manifest["files"]) == {"audit.jsonl", "keys/default.pub", "keyturn.sqlite", "keyturn.toml"}


def test_a_backup_is_private_and_holds_no_private_key(room: Room, keyturn: Keyturn, tmp_path: Path) -> None:
    told = backup(keyturn, room, tmp_path / "copy")
    for path in (tmp_path / "copy", *(tmp_path / "copy").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    private = (room.folder / "keys" / "default.key").read_bytes()
    assert not any(private in path.read_bytes() for path in (tmp_path / "copy").rglob("*") if path.is_file())
    assert told["private_keys"] == []


def test_it_says_loudly_what_is_missing(room: Room, keyturn: Keyturn, tmp_path: Path) -> None:
    shown = keyturn("backup", "--data", str(room.folder), "--to", str(tmp_path / "copy")).output
    for what in ("the private key of zone default", "the pepper", "the escrow journals"):
        assert f"NOT IN THIS BACKUP: {what}" in shown


def test_private_keys_are_in_it_if_asked_for_and_read_only(
    room: Room, keyturn: Keyturn, tmp_path: Path
) -> None:
    told = backup(keyturn, room, tmp_path / "copy", "--with-keys")
    assert told["private_keys"] == ["default"]
    for name in ("keys/default.key", "pepper"):
        assert (tmp_path / "copy" / name).read_bytes() == (room.folder / name).read_bytes()
        assert stat.S_IMODE((tmp_path / "copy" / name).stat().st_mode) == 0o400
    assert [what.partition(";")[0] for what in told["lacking"]] == ["the escrow journals"]


def test_a_process_without_private_keys_cannot_promise_them(
    room: Room, keyturn: Keyturn, tmp_path: Path
) -> None:
    (room.folder / "keys" / "default.key").unlink()
    refused = keyturn("backup", "--data", str(room.folder), "--to", str(tmp_path / "copy"), "--with-keys")
    assert refused.exit_code == 3
    assert not (tmp_path / "copy").exists()


def test_a_backup_of_a_database_at_work_is_of_one_moment(
    room: Room, keyturn: Keyturn, tmp_path: Path
) -> None:
    """Each request writes an operation, its transition and its notice in one transaction."""
    names = [room.account(f"user{number}") for number in range(3)]
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            for each in names:
                room.ask(each, Action.VERIFY)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for number in range(3):
            backup(keyturn, room, tmp_path / f"copy{number}")
    finally:
        ended.set()
        thread.join()
    for number in range(3):
        with closing(sqlite3.connect(tmp_path / f"copy{number}" / "keyturn.sqlite")) as db:
            requests, told = (
                db.execute(query).fetchone()
                for query in (
                    "SELECT count(*) FROM request",
                    "SELECT count(*) FROM outbox WHERE kind = 'operation.accepted'",
                )
            )
        assert requests == told


def test_what_is_there_is_never_overwritten(room: Room, keyturn: Keyturn, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    refused = keyturn("backup", "--data", str(room.folder), "--to", str(tmp_path / "copy"))
    assert refused.exit_code == 3
    assert list((tmp_path / "copy").iterdir()) == []


def test_an_audit_record_that_is_not_whole_makes_no_backup(
    room: Room, keyturn: Keyturn, tmp_path: Path
) -> None:
    with room.database.writing() as connection:
        connection.exec_driver_sql("UPDATE audit_entry SET actor = 'bob' WHERE sequence = 3")
    refused = keyturn("backup", "--data", str(room.folder), "--to", str(tmp_path / "copy"))
    assert refused.exit_code == 5
    assert "entry 3 was edited" in refused.stderr
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == []


def test_a_damaged_database_makes_no_backup(room: Room, keyturn: Keyturn, tmp_path: Path) -> None:
    room.database.dispose()
    path = room.folder / "keyturn.sqlite"
    with closing(sqlite3.connect(path)) as db:
        (root,) = (
            db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'uq_policy_name'").fetchone()
            or (
                db.execute(
                    "SELECT rootpage FROM sqlite_master WHERE type = 'index' AND tbl_name = 'host_key'"
                )
            ).fetchone()
        )
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    refused = keyturn("backup", "--data", str(room.folder), "--to", str(tmp_path / "copy"))
    assert refused.exit_code == 5
    assert "damaged" in refused.stderr
    assert not (tmp_path / "copy").exists()


def test_a_place_that_cannot_be_written_is_refused_in_one_sentence(
    room: Room, keyturn: Keyturn, tmp_path: Path
) -> None:
    refused = keyturn("backup", "--data", str(room.folder), "--to", str(tmp_path / "missing" / "copy"))
    assert refused.exit_code == 5
    assert refused.stderr.startswith("error: ")


def test_the_mask_of_the_process_is_left_as_it_was(room: Room, keyturn: Keyturn, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        backup(keyturn, room, tmp_path / "copy")
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
