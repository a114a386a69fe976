"""What a data directory and its host show without the database: files, volumes, swap, broker, the engine."""

from __future__ import annotations

import json
import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kombu import Connection as Broker
from kombu.exceptions import KombuError
from sqlalchemy import make_url

from engine.cli.client import ENDPOINT, TOKEN, connect
from engine.cli.errors import CommandFailed
from engine.cli.findings import Finding, Role, bad, good, note, role_of
from engine.cli.guard import is_loopback
from engine.settings import Settings
from engine.store.disk import full_volumes

SWAPS: Final = Path("/proc/swaps")
CORE_PATTERN: Final = Path("/proc/sys/kernel/core_pattern")
BLOCK_DEVICES: Final = Path("/sys/class/block")
MOST_SHOWN: Final = 5
BROKER_TIMEOUT: Final = 3  # seconds


def checked(settings: Settings) -> Iterator[Finding]:
    for check in CHECKS:
        yield from check(settings)


def _modes(settings: Settings) -> Iterator[Finding]:
    """Nobody else may read what the data directory holds, or put something else in its place."""
    open_to_others = [path for path in _private(settings) if path.lstat().st_mode & 0o077]
    for path in open_to_others[:MOST_SHOWN]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        wanted = "0700" if path.is_dir() else "0400" if path.suffix in (".key", ".token") else "0600"
        yield bad("modes", f"{path} is open to others ({mode:04o}): chmod {wanted} '{path}'")
    if not open_to_others:
        yield good("modes", f"only its owner can read {settings.data}")


def _private(settings: Settings) -> Iterator[Path]:
    """The directory itself, and what would matter if the directory were opened: keys, tokens, journals,
    passwords."""
    yield settings.data
    for directory in (settings.keys, settings.journal_directory):
        if directory.is_dir():
            yield directory
            yield from (path for path in directory.iterdir() if path.suffix != ".pub")
    yield from (path for path in settings.data.iterdir() if path.suffix in (".token", ".key"))
    named = (
        settings.pepper_path,
        settings.database_password_file,
        settings.broker_password_file,
        settings.tls_key,
    )
    yield from (path for path in named if path is not None and path.exists())


def _keys(settings: Settings) -> Iterator[Finding]:
    path, role = settings.keys / f"{settings.zone}.key", role_of(settings)
    if path.is_file():
        yield good("zone key", f"{path} is there")
    elif role is Role.API:
        yield good("zone key", f"there is no private key of zone {settings.zone} here, as for an API process")
    else:
        yield bad("zone key", f"{path} is missing; bring it back from a backup or another worker")


def _token(settings: Settings) -> Iterator[Finding]:
    path = settings.data / TOKEN
    if path.is_file():
        yield good("token", f"{path} is there")
    elif role_of(settings) is Role.EMBEDDED:
        yield bad("token", f"{path} is missing; bring it back from a backup")
    else:
        yield note("token", f"{path} is not here: no command can ask the API with this data directory")


def _separation(settings: Settings) -> Iterator[Finding]:
    role = role_of(settings)
    if role is Role.EMBEDDED:
        told = "embedded: the API and the zone's private key are in one process tree; nothing separates them"
        yield note("separation", told)
    elif role is Role.WORKER and (settings.data / ENDPOINT).exists():
        told = "an API process was started on the data directory of a worker: give each its own"
        yield bad("separation", told)
    else:
        yield good("separation", "API and workers are processes of their own")


def _journal(settings: Settings) -> Iterator[Finding]:
    directory = settings.journal_directory
    if not directory.is_dir():
        yield bad("journal", f"the escrow journal's directory {directory} is not there")
        return
    if not os.access(directory, os.W_OK | os.X_OK):
        yield bad("journal", f"this user cannot write {directory}")
    for what in full_volumes(settings):
        yield bad("journal", f"the volume of {what} is full; nothing is begun until there is room")
    if role_of(settings) is Role.EMBEDDED:
        yield apart(directory, settings.data)


def apart(journal: Path, database: Path) -> Finding:
    """Whether the two are on different volumes. Raises OSError for what cannot be looked at."""
    if journal.stat().st_dev == database.stat().st_dev:
        told = (
            "the escrow journal is on the database's own volume, and one lost disk takes both: see --journal"
        )
        return note("journal", told)
    return good("journal", "the escrow journal is on a volume of its own")


def _engine(settings: Settings) -> Iterator[Finding]:
    if role_of(settings) is not Role.EMBEDDED and not (settings.data / ENDPOINT).exists():
        yield note("engine", "no API process runs on this data directory")
        return
    try:
        wrong = connect(settings.data).ready()
    except CommandFailed as failed:
        yield bad("engine", failed.message)
        return
    yield from (bad("engine", each) for each in wrong)
    if not wrong:
        yield good("engine", "it answers and can work")


def _broker(settings: Settings) -> Iterator[Finding]:
    if settings.broker is None:
        alone = role_of(settings) is Role.EMBEDDED
        told = "none is needed in one process" if alone else "none is set: work is found at each tick only"
        yield (good if alone else note)("broker", told)
        return
    where = make_url(settings.broker).render_as_string()
    try:
        _ask_broker(settings)
    except (KombuError, OSError) as error:  # whose text may quote the URL
        told = f"{where} does not answer ({type(error).__name__}); work is found at each tick only"
        yield bad("broker", told)
    else:
        yield good("broker", f"{where} answers")


def _ask_broker(settings: Settings) -> None:
    """Raises KombuError, OSError."""
    limits = {"socket_connect_timeout": BROKER_TIMEOUT, "socket_timeout": BROKER_TIMEOUT}
    options = limits if settings.broker_url.startswith("redis") else {}
    with Broker(settings.broker_url, connect_timeout=BROKER_TIMEOUT, transport_options=options) as connection:
        try:
            connection.ensure_connection(max_retries=1, timeout=BROKER_TIMEOUT)
            connection.channel()  # Redis is only asked now
        except (*connection.connection_errors, *connection.channel_errors) as error:
            raise OSError(type(error).__name__) from None


def _metrics(settings: Settings) -> Iterator[Finding]:
    if settings.metrics is None:
        yield note("metrics", "this process serves none; set `metrics` to HOST:PORT")
    elif is_loopback(settings.metrics.rpartition(":")[0].removeprefix("[").removesuffix("]")):
        yield good("metrics", f"{settings.metrics} can be asked from this host")
    else:
        told = f"whoever reaches {settings.metrics} can read counts and the names of zones and receivers"
        yield note("metrics", told)


def _core_dumps(settings: Settings) -> Iterator[Finding]:
    """Every process of the engine sets its limit to 0. The kernel does not ask that limit where it hands
    cores to a program: core(5)."""
    limit = _engine_core_limit(settings)
    if limit is None:
        limit = "0" if resource.getrlimit(resource.RLIMIT_CORE)[0] == 0 else "not 0"
    pattern = CORE_PATTERN.read_text() if CORE_PATTERN.exists() else ""
    if limit != "0":
        yield note("core dumps", "a crash may write secrets to disk: `ulimit -c 0` before the engine starts")
    elif pattern.startswith("|"):
        program = pattern[1:].split()[0]
        told = f"the kernel hands cores to {program} whatever the limit: see that it keeps to a limit of 0"
        yield note("core dumps", told)
    else:
        yield good("core dumps", "a crash writes no memory to disk")


def _engine_core_limit(settings: Settings) -> str | None:
    """None: no process of this data directory says where it is."""
    try:
        pid = int(json.loads((settings.data / ENDPOINT).read_text())["pid"])
        limits = Path(f"/proc/{pid}/limits").read_text()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    lines = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    return lines[0].split()[4] if lines else None


def _swap(_: Settings) -> Iterator[Finding]:
    swaps = SWAPS.read_text().splitlines()[1:] if SWAPS.exists() else []
    plain = [place for place in (line.split()[0] for line in swaps) if not _stays_secret(place)]
    if plain:
        told = f"memory can be swapped to {', '.join(plain)}, secrets included; encrypt it or turn it off"
        yield note("swap", told)
    else:
        yield good("swap", "there is no swap space on a plain disk")


def _stays_secret(place: str) -> bool:
    """Compressed memory, or a device that dm-crypt encrypts."""
    name = Path(place).resolve().name
    identity = BLOCK_DEVICES / name / "dm" / "uuid"
    return name.startswith("zram") or (identity.exists() and identity.read_text().startswith("CRYPT-"))


CHECKS: Final = (
    _modes,
    _keys,
    _token,
    _journal,
    _engine,
    _broker,
    _metrics,
    _core_dumps,
    _swap,
    _separation,
)
