"""What an API process must not be able to do, tried at its start: open a secret, reach a target."""

from __future__ import annotations

import logging
import random
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection, make_url, select

from engine.catalog.models import device, zone
from engine.processes.confinement import connect_only_to
from engine.settings import Settings
from engine.store.database import Database
from engine.vault.errors import VaultError
from engine.vault.keys import FileKeys

log = logging.getLogger(__name__)

MOST_TRIED = 64  # ports of targets, drawn at random
TRY_FOR = 1.0  # seconds
TRIED_AT_ONCE = 32

DEFAULT_PORTS = {"postgresql": 5432, "redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671}


class NotSeparated(Exception):
    """This process could open secrets or reach targets. It does not start."""


def confine(settings: Settings) -> None:
    """Before the first thread: from now on only the database's and the broker's ports can be connected to."""
    if not connect_only_to(sorted(_needed(settings))):
        log.warning(
            "this kernel cannot confine connections (Landlock, Linux 6.7): only the network keeps this "
            "process from targets"
        )


def check(settings: Settings, database: Database) -> None:
    """Try what must fail. Raises NotSeparated."""
    with database.reading() as connection:
        zones, places = _zones(connection), _places(connection)
    if opened := [name for name in zones if _opens(settings, name)]:
        raise NotSeparated(
            f"this process holds the private key of zone {', '.join(opened)} ({settings.keys}); it belongs "
            "to the zone's workers only: remove it here"
        )
    with ThreadPoolExecutor(TRIED_AT_ONCE, thread_name_prefix="separation") as pool:
        tried = zip(places, pool.map(_connects, places), strict=True)
        reached = [place for place, connects in tried if connects]
    if reached:
        _tell(settings, reached)


def _needed(settings: Settings) -> set[int]:
    urls = [settings.database_url]
    if settings.broker is not None:
        urls.append(make_url(settings.broker))
    named = {url.port or DEFAULT_PORTS.get(url.drivername.partition("+")[0]) for url in urls}
    return {port for port in named if port is not None}


def _zones(connection: Connection) -> Sequence[str]:
    return connection.execute(select(zone.c.name)).scalars().all()


def _places(connection: Connection) -> list[tuple[str, int]]:
    rows = connection.execute(select(device.c.address, device.c.ports))
    found = [(address, port) for address, ports in rows for port in ports.values()]
    return random.sample(found, min(len(found), MOST_TRIED))


def _opens(settings: Settings, name: str) -> bool:
    try:
        FileKeys(settings.keys).private(name)
    except (VaultError, OSError):
        return False
    return True


def _connects(place: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(place, TRY_FOR):
            return True
    except (OSError, UnicodeError):  # UnicodeError: a name that IDNA cannot carry
        return False


def _tell(settings: Settings, reached: Sequence[tuple[str, int]]) -> None:
    where = ", ".join(f"{host}:{port}" for host, port in reached[:3])
    told = f"this process can reach {len(reached)} of the targets that it tried, such as {where}"
    if settings.reachable_targets == "refuse":
        raise NotSeparated(
            f"{told}; callers must never reach targets: put it into another network, or say "
            '`reachable_targets = "tolerate"` if you know why'
        )
    log.warning("%s; the settings tolerate it", told)
