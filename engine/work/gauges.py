"""The figures of the whole engine as metrics, the same from every process that is asked.

One that cannot read the database says so (`keyturn_database_up`) and nothing else; asking never fails and
never hangs.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from engine.catalog.states import CredentialState
from engine.operations import figures
from engine.operations.figures import Figures
from engine.settings import Settings
from engine.store.database import Database, StoreUnavailable

log = logging.getLogger(__name__)

FRESH: Final = 5.0  # seconds that figures are used again
PATIENCE: Final = 3.0  # seconds to wait for the database; Prometheus itself waits for 10

Sample = tuple[tuple[str, ...], float]
Samples = Iterable[Sample]


@dataclass(frozen=True, slots=True)
class Gauge:
    """One metric over the figures; a counter in the database if its name says `_total`."""

    name: str
    told: str
    labels: tuple[str, ...]
    samples: Callable[[Figures], Samples]

    def family(self) -> GaugeMetricFamily | CounterMetricFamily:
        if self.name.endswith("_total"):
            return CounterMetricFamily(self.name, self.told, labels=self.labels)
        return GaugeMetricFamily(self.name, self.told, labels=self.labels)

    def filled(self, found: Figures) -> Metric:
        family = self.family()
        for labels, value in self.samples(found):
            family.add_metric(labels, value)
        return family


def _one(read: Callable[[Figures], float]) -> Callable[[Figures], Samples]:
    return lambda found: [((), float(read(found)))]


def _zones(read: Callable[[figures.ZoneFigures], float]) -> Callable[[Figures], Samples]:
    return lambda found: [((each.zone,), float(read(each))) for each in found.zones]


def _unfinished(read: Callable[[figures.Unfinished], float]) -> Callable[[Figures], Samples]:
    """All states of all zones, so that one that becomes empty falls to 0 and does not vanish."""

    def samples(found: Figures) -> Samples:
        known = {(each.zone, each.state): float(read(each)) for each in found.unfinished}
        keys = [(zone.zone, state) for zone in found.zones for state in ("scheduled", "running", "in_doubt")]
        return [(key, known.get(key, 0.0)) for key in keys]

    return samples


def _leases(read: Callable[[figures.Leases], float]) -> Callable[[Figures], Samples]:
    def samples(found: Figures) -> Samples:
        known = {each.zone: float(read(each)) for each in found.leases}
        return [((zone.zone,), known.get(zone.zone, 0.0)) for zone in found.zones]

    return samples


def _receivers(read: Callable[[figures.ReceiverFigures], float]) -> Callable[[Figures], Samples]:
    """One that is switched off lags for a reason."""
    return lambda found: [
        ((each.name, each.kind), float(read(each))) for each in found.receivers if each.enabled
    ]


def _needing(found: Figures) -> Samples:
    needing = {zone.zone: 0 for zone in found.zones}
    for each in found.unfinished:
        needing[each.zone] += each.needs_person
    return [((zone,), float(count)) for zone, count in needing.items()]


def _states(found: Figures) -> Samples:
    return [((state.value,), float(found.credentials.get(state, 0))) for state in CredentialState]


def _duties(found: Figures) -> Samples:
    return [((name,), done) for name, done in sorted(found.duties.items())]


ZONE: Final = ("zone",)
RECEIVER: Final = ("receiver", "kind")

GAUGES: Final[tuple[Gauge, ...]] = (
    Gauge(
        "keyturn_operations_unfinished",
        "Operations that have not ended.",
        ("zone", "state"),
        _unfinished(lambda each: each.count),
    ),
    Gauge(
        "keyturn_operations_oldest_seconds",
        "Since the first unfinished operation in this state began, or was asked for if it has not begun.",
        ("zone", "state"),
        _unfinished(lambda each: each.oldest),
    ),
    Gauge(
        "keyturn_operations_needing_person",
        "Operations that go on only after a person has decided.",
        ZONE,
        _needing,
    ),
    Gauge(
        "keyturn_operations_overdue_seconds",
        "Since the first operation was due that a worker could take; 0 if none is.",
        ZONE,
        _zones(lambda each: each.overdue),
    ),
    Gauge(
        "keyturn_operations_wait_mean_seconds",
        "From due to taken, of those that ended at the first attempt in the last ten minutes.",
        (),
        _one(lambda found: found.wait.mean),
    ),
    Gauge(
        "keyturn_operations_wait_max_seconds",
        "The longest such wait.",
        (),
        _one(lambda found: found.wait.longest),
    ),
    Gauge("keyturn_leases_held", "Claims that are worked on.", ZONE, _leases(lambda each: each.count)),
    Gauge(
        "keyturn_leases_oldest_seconds",
        "Since the oldest claim that is held was taken.",
        ZONE,
        _leases(lambda each: each.oldest),
    ),
    Gauge(
        "keyturn_leases_overdue",
        "Claims whose lease is over, and which nobody has taken over.",
        ZONE,
        _leases(lambda each: each.overdue),
    ),
    Gauge("keyturn_workers", "Workers that live.", ZONE, _zones(lambda each: each.workers)),
    Gauge(
        "keyturn_workers_draining",
        "Workers that live and take nothing more.",
        ZONE,
        _zones(lambda each: each.draining),
    ),
    Gauge(
        "keyturn_worker_threads",
        "Operations that the workers can do at a time.",
        ZONE,
        _zones(lambda each: each.threads),
    ),
    Gauge(
        "keyturn_worker_threads_busy",
        "Operations that the workers were doing at their last beat.",
        ZONE,
        _zones(lambda each: each.busy),
    ),
    Gauge("keyturn_devices", "Devices.", ZONE, _zones(lambda each: each.devices)),
    Gauge(
        "keyturn_devices_paused", "Devices that are paused.", ZONE, _zones(lambda each: each.paused_devices)
    ),
    Gauge("keyturn_credentials", "Credentials.", ("state",), _states),
    Gauge(
        "keyturn_accounts_budget_spent",
        "Accounts that nothing is tried on until the window of refused logins is over.",
        (),
        _one(lambda found: found.accounts_spent),
    ),
    Gauge(
        "keyturn_audit_sealed_entries_total",
        "Audit entries that are numbered and chained.",
        (),
        _one(lambda found: found.sealed),
    ),
    Gauge(
        "keyturn_audit_unsealed_entries",
        "Audit entries that are not chained yet.",
        (),
        _one(lambda found: found.unsealed.count),
    ),
    Gauge(
        "keyturn_audit_unsealed_oldest_seconds",
        "Since the oldest audit entry was written that is not chained yet.",
        (),
        _one(lambda found: found.unsealed.oldest),
    ),
    Gauge(
        "keyturn_notices_numbered_total",
        "Notices that receivers can get.",
        (),
        _one(lambda found: found.notices),
    ),
    Gauge(
        "keyturn_notices_unnumbered",
        "Notices that no receiver can get yet.",
        (),
        _one(lambda found: found.unnumbered.count),
    ),
    Gauge(
        "keyturn_notices_unnumbered_oldest_seconds",
        "Since the oldest notice was written that no receiver can get yet.",
        (),
        _one(lambda found: found.unnumbered.oldest),
    ),
    Gauge(
        "keyturn_receiver_waiting_notices",
        "Notices on their way to a receiver, for a stream whether it wants them or not.",
        RECEIVER,
        _receivers(lambda each: each.waiting.count),
    ),
    Gauge(
        "keyturn_receiver_waiting_oldest_seconds",
        "Since the oldest of those notices was written.",
        RECEIVER,
        _receivers(lambda each: each.waiting.oldest),
    ),
    Gauge(
        "keyturn_receiver_failures",
        "Tries that failed in a row.",
        RECEIVER,
        _receivers(lambda each: each.failures),
    ),
    Gauge(
        "keyturn_receiver_dead_deliveries",
        "Notices that are not tried any more and that nobody has sent anew.",
        RECEIVER,
        _receivers(lambda each: each.dead),
    ),
    Gauge(
        "keyturn_duty_done_timestamp_seconds",
        "When what one process does for all was last done: `heartbeat` is the notice to all receivers.",
        ("duty",),
        _duties,
    ),
    Gauge("keyturn_paused", "1 while all changes are paused.", (), _one(lambda found: found.paused)),
    Gauge(
        "keyturn_restored",
        "1 while the engine only reads, because the database was restored.",
        (),
        _one(lambda found: found.restored),
    ),
    Gauge(
        "keyturn_clock_behind_seconds",
        "How far the database's clock is behind the latest time seen; above 2 nothing is taken.",
        (),
        _one(lambda found: found.clock_behind),
    ),
)


class FiguresCollector(Collector):
    """Thread-safe. `settings` names the volumes of this host, and how long a worker may be silent."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._settings = settings
        self._reader = _Reader(database, settings.tick)

    def describe(self) -> Iterator[Metric]:
        yield from (each.family() for each in GAUGES)
        yield from (_schema(""), _clock_skew(), _up(), *_volumes(self._settings), _heartbeat(self._settings))

    def collect(self) -> Iterator[Metric]:
        found = self._reader.latest()
        yield _up(float(found is not None))
        yield from _volumes(self._settings)
        yield _heartbeat(self._settings)
        if found is not None:
            yield from (each.filled(found.figures) for each in GAUGES)
            yield _schema(found.figures.schema)
            yield _clock_skew(found.skew)


def _up(up: float | None = None) -> Metric:
    told = "Whether this process could read the database when it was asked."
    return GaugeMetricFamily("keyturn_database_up", told, value=up)


def _schema(schema: str) -> Metric:
    return InfoMetricFamily("keyturn_schema", "The database's schema.", value={"schema": schema})


def _clock_skew(seconds: float | None = None) -> Metric:
    told = "How far the database's clock is ahead of this host's; below 0: behind."
    return GaugeMetricFamily("keyturn_clock_skew_seconds", told, value=seconds)


def _heartbeat(settings: Settings) -> Metric:
    told = "How often receivers are to hear that the engine lives."
    return GaugeMetricFamily("keyturn_heartbeat_interval_seconds", told, value=settings.heartbeat)


def _volumes(settings: Settings) -> Iterator[Metric]:
    free = GaugeMetricFamily("keyturn_volume_free_bytes", "Room on this host's volumes.", labels=["volume"])
    for name, place in (("data", settings.data), ("journal", settings.journal_directory)):
        if place.is_dir():
            free.add_metric([name], shutil.disk_usage(place).free)
    yield free
    told = "With less room on a volume nothing is begun."
    yield GaugeMetricFamily("keyturn_volume_reserve_bytes", told, value=settings.min_free_disk)


@dataclass(frozen=True, slots=True)
class _Found:
    figures: Figures
    skew: float  # seconds that the database's clock is ahead of this host's


class _Reader:
    """Reads in a thread of its own: a database that hangs keeps that thread, and nobody who asks."""

    def __init__(self, database: Database, tick: float) -> None:
        self._database = database
        self._tick = tick
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._done.set()
        self._found: _Found | None = None
        self._read_at = -FRESH

    def latest(self) -> _Found | None:
        """None if the database does not answer in time."""
        with self._lock:
            if self._is_fresh():
                return self._found
            if self._done.is_set():
                self._done.clear()
                threading.Thread(target=self._read, name="figures", daemon=True).start()
        self._done.wait(PATIENCE)
        with self._lock:
            return self._found if self._is_fresh() else None

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._read_at < FRESH

    def _read(self) -> None:
        found = None
        try:
            with self._database.reading() as connection:
                found = _Found(figures.read(connection, self._tick), figures.clock_skew(connection))
        except (StoreUnavailable, SQLAlchemyError) as error:  # also a schema that is not ours
            log.warning("no figures: %s", error)
        with self._lock:
            self._found, self._read_at = found, time.monotonic()
        self._done.set()
