"""`keyturn doctor`: what about this installation could hurt, and what to do about it."""

from __future__ import annotations

import json
import os
import resource
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import click
from pydantic import ValidationError

from engine.cli.client import ENDPOINT, TOKEN, connect
from engine.cli.errors import CommandFailed, input_refused
from engine.cli.exits import Exit
from engine.cli.frame import EngineCommand, Shared, pass_shared, show_rows
from engine.settings import Settings
from engine.store.database import Database, StoreUnavailable
from engine.store.upgrade import SchemaTooNew, SchemaTooOld, check_schema

SWAPS: Final = Path("/proc/swaps")
MOST_SHOWN: Final = 5


class Result(StrEnum):
    GOOD = "good"
    NOTE = "note"  # as it is here; know it
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    result: Result
    detail: str


@click.command(cls=EngineCommand)
@pass_shared
def doctor(shared: Shared) -> None:
    """Check the installation. Changes nothing; ends with 1 if something is bad."""
    settings = _settings(shared)
    findings = [finding for check in CHECKS for finding in check(settings)]
    rows = [{"check": each.check, "result": each.result.value, "detail": each.detail} for each in findings]
    show_rows(shared, rows, ("result", "check", "detail"))
    if any(each.result is Result.BAD for each in findings):
        click.get_current_context().exit(int(Exit.FAILED))


def _settings(shared: Shared) -> Settings:
    if shared.data is None:
        raise input_refused("say where the engine's data is: --data DIR or KEYTURN_DATA", "no_data_directory")
    if not shared.data.is_dir():
        raise input_refused(f"{shared.data} is no directory; `keyturn up --data {shared.data}` makes it")
    try:
        return Settings(data=shared.data)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, each["loc"])) for each in error.errors(include_input=False))
        raise input_refused(f"the settings are wrong: {fields}", "bad_settings") from None


def _modes(settings: Settings) -> Iterator[Finding]:
    """Nobody else may read what the data directory holds, or put something else in its place."""
    open_to_others = [path for path in _private(settings) if path.lstat().st_mode & 0o077]
    for path in open_to_others[:MOST_SHOWN]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        wanted = "0700" if path.is_dir() else "0400" if path.suffix in (".key", ".token") else "0600"
        yield Finding("modes", Result.BAD, f"{path} is open to others ({mode:04o}): chmod {wanted} '{path}'")
    if not open_to_others:
        yield Finding("modes", Result.GOOD, f"only its owner can read {settings.data}")


def _private(settings: Settings) -> Iterator[Path]:
    """The directory itself, and what would matter if the directory were opened: keys, tokens, journals."""
    yield settings.data
    for directory in (settings.keys, settings.journal_directory):
        if directory.is_dir():
            yield directory
            yield from (path for path in directory.iterdir() if path.suffix != ".pub")
    yield from (path for path in settings.data.iterdir() if path.suffix in (".token", ".key"))


def _keys(settings: Settings) -> Iterator[Finding]:
    for name, path in (
        ("zone key", settings.keys / f"{settings.zone}.key"),
        ("token", settings.data / TOKEN),
    ):
        there = path.is_file()
        told = f"{path} is there" if there else f"{path} is missing; bring it back from a backup"
        yield Finding(name, Result.GOOD if there else Result.BAD, told)


def _journal(settings: Settings) -> Iterator[Finding]:
    directory = settings.journal_directory
    if not directory.is_dir():
        yield Finding("journal", Result.BAD, f"the escrow journal's directory {directory} is not there")
        return
    writable = os.access(directory, os.W_OK | os.X_OK)
    if not writable:
        yield Finding("journal", Result.BAD, f"this user cannot write {directory}")
    if directory.stat().st_dev == settings.data.stat().st_dev:
        told = (
            "the escrow journal is on the database's own volume, and one lost disk takes both: see --journal"
        )
        yield Finding("journal", Result.NOTE, told)
    elif writable:
        yield Finding("journal", Result.GOOD, "the escrow journal is on a volume of its own")


def _schema(settings: Settings) -> Iterator[Finding]:
    if not (settings.data / "keyturn.sqlite").exists():
        yield Finding("schema", Result.BAD, "there is no database yet; `keyturn up` makes it")
        return
    database = Database(settings.database_url)
    try:
        check_schema(database)
        yield Finding("schema", Result.GOOD, "the database is of this release")
    except (SchemaTooNew, SchemaTooOld, StoreUnavailable) as error:
        yield Finding("schema", Result.BAD, str(error))
    finally:
        database.dispose()


def _engine(settings: Settings) -> Iterator[Finding]:
    try:
        wrong = connect(settings.data).ready()
    except CommandFailed as failed:
        yield Finding("engine", Result.BAD, failed.message)
        return
    for each in wrong:
        yield Finding("engine", Result.BAD, each)
    if not wrong:
        yield Finding("engine", Result.GOOD, "it answers and can work")


def _core_dumps(settings: Settings) -> Iterator[Finding]:
    """The running engine's own limit where it runs, else that of this shell, which it would inherit."""
    limit = _engine_core_limit(settings)
    if limit is None:
        limit = "0" if resource.getrlimit(resource.RLIMIT_CORE)[0] == 0 else "not 0"
    if limit == "0":
        yield Finding("core dumps", Result.GOOD, "a crash writes no memory to disk")
    else:
        told = "a crash may write secrets to disk: `ulimit -c 0` before `keyturn up`"
        yield Finding("core dumps", Result.NOTE, told)


def _engine_core_limit(settings: Settings) -> str | None:
    try:
        pid = int(json.loads((settings.data / ENDPOINT).read_text())["pid"])
        limits = Path(f"/proc/{pid}/limits").read_text()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    lines = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    return lines[0].split()[4] if lines else None


def _swap(_: Settings) -> Iterator[Finding]:
    swaps = SWAPS.read_text().splitlines()[1:] if SWAPS.exists() else []
    if swaps:
        told = "memory can be swapped to disk, secrets included; encrypt the swap space or turn it off"
        yield Finding("swap", Result.NOTE, told)
    else:
        yield Finding("swap", Result.GOOD, "there is no swap space")


def _separation(_: Settings) -> Iterator[Finding]:
    told = "embedded: the API and the zone's private key are in one process tree; nothing separates them"
    yield Finding("separation", Result.NOTE, told)


CHECKS: Final = (_modes, _keys, _journal, _schema, _engine, _core_dumps, _swap, _separation)
