"""`keyturn backup`: a copy of the database at one moment, with what says of itself whether it is whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import click
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, Connection, column, select, table, text

from engine.catalog.models import zone
from engine.cli.errors import CommandFailed, input_refused
from engine.cli.exits import Exit
from engine.cli.frame import EngineCommand, Shared, pass_shared, say
from engine.cli.settings import FAILURES, settings_of
from engine.record.export import export
from engine.record.verification import Verdict, bounded_lines, verify
from engine.settings import CONFIG_FILE, Settings
from engine.store.clock import now
from engine.store.database import Database
from engine.store.models import engine_state
from engine.store.upgrade import check_schema
from engine.vault.keys import sync_directory
from engine.vault.sealing import key_id

FORMAT: Final = "keyturn-backup-1"
SQLITE: Final = "keyturn.sqlite"
DUMP: Final = "keyturn.dump"
AUDIT: Final = "audit.jsonl"
MANIFEST: Final = "manifest.json"
PEPPER: Final = "pepper"
LOCK_WAIT = 60_000  # milliseconds that pg_dump waits for a table that a migration holds


class BackupFailed(Exception):
    """There is no backup; the message says what to do."""


@click.command(cls=EngineCommand)
@click.option(
    "--to",
    "place",
    required=True,
    type=click.Path(path_type=Path),
    help="Directory to make, beside what is there.",
)
@click.option("--with-keys", is_flag=True, help="The private keys of zones and the pepper, too.")
@pass_shared
def backup(shared: Shared, place: Path, with_keys: bool) -> None:
    """Copy the database while the engine works, and check the copy. docs/backup.md says what else to keep."""
    settings = settings_of(shared)
    if settings.database is None and not (settings.data / SQLITE).exists():
        raise input_refused(f"there is no database in {settings.data}")
    if place.exists():
        raise input_refused(f"{place} is there already; a backup is never written over another", "exists")
    if with_keys and not any(settings.keys.glob("*.key")):
        raise input_refused(f"no private key is in {settings.keys}: use a worker of each zone", "no_keys")
    try:
        with _draft(place) as draft:
            manifest = _write(settings, draft, with_keys)
    except (BackupFailed, *FAILURES) as error:
        raise CommandFailed(Exit.NOT_READY, str(error), "no_backup") from None
    lacking = _lacking(manifest, with_keys)
    say(shared, {**manifest, "path": str(place), "lacking": lacking}, _told(place, manifest, lacking))


def _told(place: Path, manifest: dict[str, Any], lacking: list[str]) -> str:
    audit = manifest["audit"]
    first = f"{place}: the database as it was, audit record whole up to entry {audit['sealed']}"
    return "\n".join([first, *(f"NOT IN THIS BACKUP: {each}" for each in lacking)])


def _lacking(manifest: dict[str, Any], with_keys: bool) -> list[str]:
    without = sorted(set(manifest["zones"]) - set(manifest["private_keys"]))
    lacking = [
        f"the private key of zone {name}; without it nothing sealed to the zone opens" for name in without
    ]
    if not (with_keys and PEPPER in manifest["files"]):
        lacking.append("the pepper; without it every token must be made anew")
    return [*lacking, "the escrow journals; keep each host's on another volume and schedule than this"]


@contextmanager
def _draft(place: Path) -> Iterator[Path]:
    """Written under another name and synced; the right name appears with the whole content, or never."""
    mask = os.umask(0o077)
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    draft.mkdir(mode=0o700)
    try:
        yield draft
        for path in (*draft.rglob("*"), draft):
            sync_directory(path) if path.is_dir() else _sync(path)
        draft.rename(place)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    finally:
        os.umask(mask)
    sync_directory(place.parent)


def _write(settings: Settings, draft: Path, with_keys: bool) -> dict[str, Any]:
    database = Database(settings.database_url)
    try:
        check_schema(database)
        copy = _dump_postgresql if settings.database else _copy_sqlite
        facts = copy(settings, database, draft)
    finally:
        database.dispose()
    _copy_files(settings, draft, with_keys)
    keys = sorted(path.stem for path in draft.glob("keys/*.key"))
    manifest = {"format": FORMAT, "release": version("keyturn"), **facts, "private_keys": keys}
    manifest["files"] = {
        path.relative_to(draft).as_posix(): {"sha256": _sha256(path), "bytes": path.stat().st_size}
        for path in sorted(draft.rglob("*"))
        if path.is_file()
    }
    (draft / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    return manifest


def _copy_files(settings: Settings, draft: Path, with_keys: bool) -> None:
    """Public keys and settings hold no secret; the rest is copied only if asked for, and stays read-only."""
    (draft / "keys").mkdir()
    for path in settings.keys.glob("*.pub"):
        shutil.copyfile(path, draft / "keys" / path.name)
    if (settings.data / CONFIG_FILE).exists():
        shutil.copyfile(settings.data / CONFIG_FILE, draft / CONFIG_FILE)
    if not with_keys:
        return
    for path in settings.keys.glob("*.key"):
        _copy_secret(path, draft / "keys" / path.name)
    if settings.pepper_path.exists():
        _copy_secret(settings.pepper_path, draft / PEPPER)


def _copy_secret(path: Path, to: Path) -> None:
    descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "wb") as file:
        file.write(path.read_bytes())


# SQLite


def _copy_sqlite(settings: Settings, database: Database, draft: Path) -> dict[str, Any]:  # noqa: ARG001
    """By SQLite's online backup: writers go on, and the copy is of one moment."""
    path = draft / SQLITE
    with closing(sqlite3.connect(settings.data / SQLITE)) as db, closing(sqlite3.connect(path)) as copy:
        db.backup(copy)
    copied = Database(f"sqlite:///{path}")
    try:
        with copied.reading() as connection:
            facts = _facts(connection, draft)
    finally:
        copied.dispose()
    with closing(sqlite3.connect(path)) as copy:
        copy.execute("PRAGMA journal_mode = DELETE")  # one file; the engine sets it back when it opens it
        [told] = copy.execute("PRAGMA integrity_check(1)").fetchone()
    if told != "ok":
        raise BackupFailed(f"the copy is damaged ({told}), and so may be the database: check its volume")
    return facts


# PostgreSQL


def _dump_postgresql(settings: Settings, database: Database, draft: Path) -> dict[str, Any]:
    """By pg_dump, of the same snapshot that the facts are read from."""
    with database.reading() as connection:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
        facts = _facts(connection, draft)
        path = draft / DUMP
        with _password(settings.database_url) as (environment, descriptors):
            place = ("--dbname", _place(database, settings.database_url), "--no-password")
            what = ("--format=custom", f"--snapshot={snapshot}", f"--file={path}")
            patience = f"--lock-wait-timeout={LOCK_WAIT}"
            _run(("pg_dump", *what, patience, *place), environment, descriptors)
    listed = _run(("pg_restore", "--list", str(path)), {}, ())
    if b"TABLE DATA" not in listed or b"secret_version" not in listed:
        raise BackupFailed(f"the dump holds no secrets; does {settings.database_url.username} own them?")
    return facts


def _place(database: Database, url: URL) -> str:
    """A libpq connection string without the password, which other users could read in the process list."""
    _, given = database.engine.dialect.create_connect_args(url)
    texts = {name: str(value) for name, value in given.items() if isinstance(value, str | int)}
    return make_conninfo(**{name: value for name, value in texts.items() if name != "password"})


@contextmanager
def _password(url: URL) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """A libpq password file (PostgreSQL's documentation, 34.16) that is in memory and has no name."""
    if url.password is None:
        yield {}, ()
        return
    escaped = str(url.password).replace("\\", "\\\\").replace(":", "\\:")
    descriptor = os.memfd_create("pgpass", 0)
    try:
        os.fchmod(descriptor, 0o600)  # libpq uses no file that is open to others
        os.write(descriptor, f"*:*:*:*:{escaped}\n".encode())
        yield {"PGPASSFILE": f"/proc/self/fd/{descriptor}"}, (descriptor,)
    finally:
        os.close(descriptor)


def _run(command: tuple[str, ...], environment: dict[str, str], descriptors: tuple[int, ...]) -> bytes:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            env={**os.environ, **environment, "LC_ALL": "C"},
            pass_fds=descriptors,
        )
    except FileNotFoundError:
        raise BackupFailed(
            f"{command[0]} is not on PATH; install PostgreSQL's client programs, of the server's version or "
            "later"
        ) from None
    if done.returncode != 0:
        told = done.stderr.decode(errors="replace").strip()[-1000:]
        raise BackupFailed(f"{command[0]} ended with {done.returncode}: {told}")
    return done.stdout


# What the copy says of itself

_REVISION = table("alembic_version", column("version_num"))


def _facts(connection: Connection, draft: Path) -> dict[str, Any]:
    """Read from the copy, or from its snapshot; its audit record is exported beside it and checked."""
    state = connection.execute(select(engine_state, now().label("taken"))).one()
    zones = connection.execute(select(zone.c.name, zone.c.public_key)).all()
    return {
        "dialect": connection.dialect.name,
        "schema": connection.execute(select(_REVISION.c.version_num)).scalar_one(),
        "incarnation": state.incarnation,
        "installation": state.installation,
        "taken": state.taken,
        "zones": {name: key_id(X25519PublicKey.from_public_bytes(raw)) for name, raw in zones},
        "audit": _audit(connection, draft / AUDIT),
    }


def _audit(connection: Connection, path: Path) -> dict[str, Any]:
    with path.open("x", encoding="ascii") as out:
        export(connection, out)
    with path.open("rb") as stream:
        verdict: Verdict = verify(bounded_lines(stream))
    if not verdict.whole:
        raise BackupFailed(f"the audit record is not whole, in the copy and so in the database: {verdict}")
    return {"sealed": verdict.sealed, "head": verdict.head, "unsealed": verdict.unsealed}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
