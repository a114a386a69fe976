"""What one process counts about its work, in a registry of its own.

Labels name executors, actions, outcomes, states and zones; never a user, an account, a credential or a
device.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from engine.catalog.states import Action
from engine.operations.states import TERMINAL, OperationState
from executors.contract import Outcome

# A password over SSH takes about a second, an executor child has 240 by default.
DURATIONS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)  # seconds


class Metrics:
    """Thread-safe. A call costs some ten microseconds, so a process whose metrics nobody reads counts too.

    `rings` tells how many rings the broker took and did not take; `tick_age` how many seconds ago the last
    tick went through. A process without a bell or a tick leaves them.
    """

    def __init__(self, zone: str = "") -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.rings: Callable[[], tuple[int, int]] | None = None
        self.tick_age: Callable[[], float] | None = None
        self._zone = zone
        self._attempts = Counter(
            "keyturn_attempts",
            "Attempts that ended in this process, by how the attempt ended.",
            ("executor", "action", "outcome", "zone"),
            registry=self.registry,
        )
        self._operations = Counter(
            "keyturn_operations",
            "Operations that this process ended, or left in doubt or for later.",
            ("action", "state"),
            registry=self.registry,
        )
        self._durations = Histogram(
            "keyturn_operation_duration_seconds",
            "From the claim that ended an operation to its end.",
            ("executor", "action"),
            buckets=DURATIONS,
            registry=self.registry,
        )
        self._refused = Counter(
            "keyturn_claims_refused",
            "Claims that found the operation taken, ended or not to be begun: normal in small numbers.",
            registry=self.registry,
        )
        self._children = Counter(
            "keyturn_children", "Executor children that were started.", registry=self.registry
        )
        self.registry.register(_Process(self))
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def attempt_ended(
        self, executor: str, action: Action, outcome: Outcome, state: OperationState | None, seconds: float
    ) -> None:
        """`state` is what the operation is in now, None if another worker has taken it over; `seconds` since
        the claim."""
        self._attempts.labels(executor, action.value, outcome.value, self._zone).inc()
        if state is not None:
            self._operations.labels(action.value, state.value).inc()
        if state in TERMINAL:
            self._durations.labels(executor, action.value).observe(seconds)

    def claim_refused(self) -> None:
        self._refused.inc()

    def child_started(self) -> None:
        self._children.inc()


class _Process(Collector):
    """What is not counted but looked at when somebody asks."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._build = InfoMetricFamily("keyturn_build", "The release that runs here.")
        self._build.add_metric(
            [], {"version": version("keyturn"), "python_version": platform.python_version()}
        )

    def describe(self) -> Iterator[Metric]:
        yield self._build
        yield _rings()
        yield _tick_age()

    def collect(self) -> Iterator[Metric]:
        yield self._build
        if self._metrics.rings is not None:
            taken, refused = self._metrics.rings()
            rings = _rings()
            rings.add_metric(["taken"], taken)
            rings.add_metric(["refused"], refused)
            yield rings
        if self._metrics.tick_age is not None:
            age = _tick_age()
            age.add_metric([], self._metrics.tick_age())
            yield age


def _rings() -> CounterMetricFamily:
    told = "Messages to the broker, by whether it took them."
    return CounterMetricFamily("keyturn_rings", told, labels=["result"])


def _tick_age() -> GaugeMetricFamily:
    told = "Since this process last looked for work and lost leases."
    return GaugeMetricFamily("keyturn_tick_age_seconds", told)
