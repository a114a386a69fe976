"""What the database tells about the whole engine: schema, clock, zones, waits, notices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError, NoResultFound

from engine.cli.doctor_host import apart
from engine.cli.findings import Finding, Role, bad, good, note, role_of
from engine.cli.guard import is_loopback
from engine.operations import figures
from engine.operations.claims import CLOCK_STEP
from engine.operations.figures import Figures
from engine.settings import Settings
from engine.store.database import Database, StoreUnavailable
from engine.store.upgrade import SchemaTooNew, SchemaTooOld, check_schema

CONNECT_TIMEOUT: Final = 5  # seconds
LARGEST_SKEW: Final = 5.0  # seconds; logs of several hosts cannot be put in order any more
SLOW: Final = 30.0  # seconds that an operation waits for a worker
LATE: Final = 300.0  # seconds after which what should take a second has stopped
UNSEALED: Final = 60.0  # seconds
FAILING: Final = 3  # tries in a row


@dataclass(frozen=True, slots=True)
class _Seen:
    settings: Settings
    figures: Figures
    skew: float  # seconds that the database's clock is ahead of this host's


def checked(settings: Settings) -> Iterator[Finding]:
    """Nothing but the reason, if the database cannot be read."""
    if settings.database is None and not (settings.data / "keyturn.sqlite").exists():
        yield bad("schema", "there is no database yet; `keyturn up` makes it")
        return
    try:
        database = _open(settings)
    except OSError as error:
        yield bad("schema", f"the database's password cannot be read: {error.strerror}")
        return
    try:
        yield from _looked_at(settings, database)
    finally:
        database.dispose()


def _open(settings: Settings) -> Database:
    """Raises OSError for the password's file."""
    url = settings.database_url
    hasty = {} if settings.database is None else {"connect_args": {"connect_timeout": CONNECT_TIMEOUT}}
    return Database(url, **hasty)


def _looked_at(settings: Settings, database: Database) -> Iterator[Finding]:
    try:
        check_schema(database)
        with database.reading() as connection:
            seen = _Seen(settings, figures.read(connection, settings.tick), figures.clock_skew(connection))
            volumes = list(_volumes(settings, connection))
    except (SchemaTooNew, SchemaTooOld, StoreUnavailable) as error:
        yield bad("schema", str(error))
        return
    except NoResultFound:
        yield bad("schema", "the database holds no engine: run `keyturn migrate`")
        return
    yield good("schema", f"the database's schema is {seen.figures.schema}, on which this release can work")
    yield from volumes
    for check in CHECKS:
        yield from check(seen)


def _volumes(settings: Settings, connection: Connection) -> Iterator[Finding]:
    """SQLite's is a matter of the host alone. PostgreSQL tells its directory to few roles only."""
    if role_of(settings) is Role.EMBEDDED or not settings.journal_directory.is_dir():
        return
    if not _is_here(settings.database_url):
        yield good("journal", f"the escrow journal is here, the database on {settings.database_url.host}")
        return
    try:
        with connection.begin_nested():
            place = Path(str(connection.execute(text("SHOW data_directory")).scalar_one()))
        yield apart(settings.journal_directory, place)
    except (DBAPIError, OSError):
        told = "whether journal and database share a volume cannot be seen from here; see that they do not"
        yield note("journal", told)


def _is_here(url: URL) -> bool:
    """Whether it is reached through a socket or a loopback address."""
    host = url.query.get("host", url.host)
    return not isinstance(host, str) or host.startswith("/") or is_loopback(host)


def _clock(seen: _Seen) -> Iterator[Finding]:
    behind = seen.figures.clock_behind
    if behind > CLOCK_STEP:
        told = f"the database's clock went back by {behind:.0f} s; nothing is taken until it has caught up"
        yield bad("clock", f"{told}: set it right")
    elif abs(seen.skew) > LARGEST_SKEW:
        told = f"this host's clock and the database's differ by {abs(seen.skew):.0f} s: let both follow NTP"
        yield bad("clock", told)
    else:
        yield good("clock", f"this host's clock and the database's agree within {abs(seen.skew):.1f} s")


def _zones(seen: _Seen) -> Iterator[Finding]:
    alone = seen.figures.zones_without_workers
    for name in alone:
        told = f"zone {name} has devices and no worker that lives: `keyturn worker --zone {name}` there"
        if seen.settings.database is None:
            told = f"zone {name} has devices and no worker that lives: `keyturn up` is not running"
        yield bad("workers", told)
    if not alone:
        living = sum(each.workers for each in seen.figures.zones)
        yield good("workers", f"every zone that has devices has a worker; {living} in all")


def _wait(seen: _Seen) -> Iterator[Finding]:
    """Time to lease: from due to taken."""
    wait = seen.figures.wait
    overdue = [each for each in seen.figures.zones if each.overdue > SLOW]
    for each in overdue:
        told = f"an operation of zone {each.zone} is due for {each.overdue:.0f} s and could be taken"
        yield (bad if each.overdue > LATE else note)("time to lease", f"{told}: see its workers' logs")
    for lease in seen.figures.leases:
        if lease.overdue:
            told = f"{lease.overdue} operations of zone {lease.zone} wait to be taken over from lost workers"
            yield note("time to lease", told)
    if overdue:
        return
    if wait.mean > SLOW:
        told = f"operations waited {wait.mean:.0f} s for a worker: start more, or with more --threads"
        yield note("time to lease", told)
    else:
        told = f"{wait.mean:.1f} s on average, {wait.longest:.1f} s at most, of {wait.count} lately"
        yield good("time to lease", told if wait.count else "no operation ended lately, and none is late")


def _people(seen: _Seen) -> Iterator[Finding]:
    """What goes on only when somebody acts."""
    waiting = sum(each.needs_person for each in seen.figures.unfinished)
    if waiting:
        told = f"{waiting} operations wait for a person: `keyturn operation list --state in_doubt`"
        yield note("in doubt", told)
    if seen.figures.accounts_spent:
        told = f"nothing is tried on {seen.figures.accounts_spent} accounts: too many logins were refused"
        yield note("budget", told)
    if seen.figures.restored:
        yield bad("mode", "restored: the engine only reads until `keyturn restored end`")
    elif seen.figures.paused:
        yield note("mode", "all changes are paused")
    else:
        yield good("mode", "changes are allowed")


def _record(seen: _Seen) -> Iterator[Finding]:
    """What the tick does to audit entries and notices within a second."""
    for check, what, waiting in (
        ("audit", "audit entries wait to be sealed", seen.figures.unsealed),
        ("notices", "notices wait for their number", seen.figures.unnumbered),
    ):
        if waiting.oldest > UNSEALED:
            told = f"{waiting.count} {what}, the oldest for {waiting.oldest:.0f} s: no worker ticks"
            yield bad(check, told)
    if seen.figures.unsealed.oldest <= UNSEALED:
        yield good("audit", f"sealed up to entry {seen.figures.sealed}")


def _receivers(seen: _Seen) -> Iterator[Finding]:
    named = [each for each in seen.figures.receivers if each.kind != "callback"]
    told = [finding for each in named if each.enabled for finding in _receiver(each)]
    yield from told
    if not named:
        yield note("receivers", "none: nobody outside hears of anything; see `keyturn receiver add`")
    elif not told:
        yield good("receivers", f"{len(named)} of them, and none is behind")


def _receiver(each: figures.ReceiverFigures) -> Iterator[Finding]:
    if each.failures >= FAILING:
        told = f"{each.name} failed {each.failures} times in a row: `keyturn receiver show {each.name}`"
        yield bad("receivers", told)
    elif each.waiting.oldest > LATE:
        told = f"{each.name} is behind by {each.waiting.count} notices and {each.waiting.oldest:.0f} s"
        yield bad("receivers", told)
    if each.dead:
        told = f"{each.dead} notices to {each.name} were given up: `keyturn receiver dead {each.name}`"
        yield bad("receivers", told)


def _callbacks(seen: _Seen) -> Iterator[Finding]:
    hosts = seen.settings.callback_hosts
    if dead := sum(each.dead for each in seen.figures.receivers if each.kind == "callback"):
        told = f"{dead} callbacks were given up: `keyturn receiver dead --callbacks`"
        yield note("callbacks", told)
    told = f"requesters may name {', '.join(hosts)}" if hosts else "requesters may name no host"
    yield good("callbacks", told)


CHECKS: Final = (_clock, _zones, _wait, _people, _record, _receivers, _callbacks)
