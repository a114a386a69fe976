"""Everything that a process of the engine exports, from an engine in which there is something to count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, insert, select

from engine.catalog.models import worker, zone
from engine.catalog.states import Action
from engine.operations.states import OperationState
from engine.record.models import receiver
from engine.settings import Settings
from engine.store.clock import now
from engine.store.models import duty
from engine.work.gauges import FiguresCollector
from engine.work.metrics import Metrics
from executors.contract import Outcome
from tests.unit.operations.room import Room

OWN_SUFFIXES = ("_bucket", "_sum", "_count")


@dataclass(frozen=True, slots=True)
class Family:
    """`labels` are those of its samples; a histogram's `le` is one of them."""

    name: str  # as it is asked for
    kind: str
    told: str
    labels: frozenset[str]


def given_worker(connection: Connection, name: str, **fields: Any) -> None:
    only_zone = select(zone.c.id).where(zone.c.name == "default").scalar_subquery()
    row = {"zone_id": only_zone, "host": "h", "release": "1", "threads": 8, "name": name, **fields}
    connection.execute(insert(worker).values({"started": now(), "beat": now(), **row}))


def given_receiver(connection: Connection, name: str, **fields: Any) -> int:
    where = {"zone": "default", "url": "tls://siem.test", "format": "rfc5424", "options": {}, "kinds": ["*"]}
    row = {"name": name, "kind": "syslog", "due": now(), "created": now(), **where, **fields}
    return int(connection.execute(insert(receiver).values(row).returning(receiver.c.id)).scalar_one())


def metrics_of(room: Room) -> Metrics:
    """A worker's, with one of everything."""
    room.ask(room.account("ann"))
    with room.database.writing() as connection:
        given_worker(connection, "w1", busy=1)
        given_receiver(connection, "siem")
        connection.execute(insert(duty).values(name="heartbeat", done=now()))
    made = Metrics("default")
    made.rings = lambda: (5, 0)
    made.tick_age = lambda: 0.5
    made.claim_refused()
    made.child_started()
    made.attempt_ended("ssh", Action.CHANGE_SECRET, Outcome.OK, OperationState.SUCCEEDED, 1.5)
    made.registry.register(FiguresCollector(room.database, Settings(data=room.folder)))
    return made


def families(metrics: Metrics) -> Iterator[Family]:
    """What is exported, but for the moments at which each counter began, which only some readers use."""
    text = generate_latest(metrics.registry).decode()
    for family in text_string_to_metric_families(text):
        if family.name.endswith("_created"):
            continue
        labels = frozenset(label for sample in family.samples for label in sample.labels)
        suffix = "_total" if family.type == "counter" else ""
        yield Family(family.name + suffix, family.type, family.documentation, labels)


def by_sample(found: Iterator[Family]) -> dict[str, frozenset[str]]:
    """The labels by the name that a query uses."""
    names: dict[str, frozenset[str]] = {}
    for family in found:
        if family.kind == "histogram":
            names |= {family.name + suffix: family.labels for suffix in OWN_SUFFIXES}
        else:
            names[family.name] = family.labels
    return names
