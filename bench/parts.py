"""What the engine itself costs, with the fake executor: throughput, and where one change's time goes."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import rig
from bench.meter import Meter
from bench.rig import Rig
from engine.catalog.generator import GeneratorRules, generate
from engine.operations.ledger import Ledger
from engine.vault.sealing import Context, Purpose, open_sealed, seal
from engine.work.app import WorkerThread, make_app, register
from engine.work.bell import Bell
from engine.work.conductor import Conductor
from engine.work.names import queues
from engine.work.worker import worker_name
from executors.contract import Redactor, Secret

THREADS = (1, 4, 8)
WARM = 8  # changes before anything is measured: statements are compiled, pages touched
ROUNDS_OF_SMALL = 200

Figures = dict[str, float]


class Timed:
    """Passes every call on and adds its CPU milliseconds, of the calling thread, to `spent[name]`."""

    def __init__(
        self, inner: Any, name: str, spent: Counter[str], wrap: frozenset[str] = frozenset()
    ) -> None:
        self._inner, self._name, self._spent, self._wrap = inner, name, spent, wrap

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._inner, attribute)
        return self._timed(attribute, found) if callable(found) else found

    def _timed(self, attribute: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            before = time.thread_time()
            try:
                result = call(*arguments, **named)
            finally:
                self._spent[self._name] += (time.thread_time() - before) * 1000  # type: ignore[assignment]
            again = attribute in self._wrap
            return Timed(result, self._name, self._spent) if again else result

        return timed


def measure(changes: int) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="keyturn-bench-") as directory,
        rig.on_fake(Path(directory) / "engine", max(changes, WARM)) as (engine, names),
    ):
        engine.check(rig.change_all(engine, names[:WARM], threads=2))
        throughput = [_throughput(engine, names[:changes], threads) for threads in THREADS]
        return {
            "throughput": throughput,
            "statements": _statements(engine, names[:changes]),
            "milliseconds": _milliseconds(engine, names[:changes]),
            "small": _small(engine),
            "doorbell": _doorbell(changes),
        }


def _throughput(engine: Rig, names: Sequence[str], threads: int) -> Figures:
    meter = Meter(engine.helpers)
    asked = rig.change_all(engine, names, threads)
    spent = meter.spent()
    engine.check(asked)
    return {
        "threads": threads,
        "changes": len(names),
        "per_second": len(names) / spent.wall,
        "client_ms": spent.client / len(names),
        "child_ms": spent.helpers / len(names),
    }


def _statements(engine: Rig, names: Sequence[str]) -> Figures:
    with engine.counting() as counts:
        engine.check([engine.change(name) for name in names])
    return {name: number / len(names) for name, number in sorted(counts.items())}


def _milliseconds(engine: Rig, names: Sequence[str]) -> Figures:
    """CPU of one thread by part; `child` is the fork server's tree."""
    spent: Counter[str] = Counter()
    settings = engine.settings
    ledger = Ledger(engine.database, worker_name(), settings.zone, settings.lease, settings.margin)
    sessions = Timed(engine.children, "speaking with the child", spent, frozenset({"open"}))
    conductor = Conductor(
        Timed(ledger, "database: claim to close", spent),  # type: ignore[arg-type]
        sessions,
        Timed(engine.keys, "zone keys", spent),
        Timed(engine.journal, "escrow journal", spent),  # type: ignore[arg-type]
        settings.deadline,
    )
    asking = Timed(engine, "database: the request", spent)
    meter, before = Meter(engine.helpers), time.thread_time()
    asked = [asking.ask(name) for name in names]
    for operation in asked:
        conductor.conduct(operation)
    whole, child = (time.thread_time() - before) * 1000, meter.spent().helpers
    engine.check(asked)
    parts: Figures = {name: value / len(names) for name, value in spent.items()}
    parts["rest: protocol, sealing, redaction"] = whole / len(names) - sum(parts.values())
    parts["child: fork and verbs"] = child / len(names)
    return parts


def _small(engine: Rig) -> Figures:
    """Milliseconds of single calls."""
    key = engine.keys.private("default")
    secret = generate(GeneratorRules())
    context = Context("box", "account", "password/", 1, Purpose.SECRET)
    sealed = seal(secret, key.public_key(), context)
    text = "a line of output as targets write them\n" * 20
    return {
        "seal": _each(lambda: seal(secret, key.public_key(), context)),
        "open": _each(lambda: open_sealed(sealed, key, context)),
        "redact a transcript with two secrets": _each(
            lambda: Redactor([secret, Secret("x" * 24)]).redact(text)
        ),
    }


def _each(call: Callable[[], object]) -> float:
    before = time.thread_time()
    for _ in range(ROUNDS_OF_SMALL):
        call()
    return (time.thread_time() - before) * 1000 / ROUNDS_OF_SMALL


def _doorbell(rings: int) -> Figures:
    """A ring that leads to nothing: Celery's in-memory transport, its worker thread and pool."""
    done, answered = threading.Semaphore(0), 0
    installation = f"bench-{os.getpid()}"
    app = make_app("memory://", installation, queues(installation, "default"))
    register(app, lambda _: done.release(), lambda _: None)
    bell, consumer = Bell(app, installation), WorkerThread(app, 8)
    consumer.start()
    bell.start()
    bell.ring(answered, "default")
    done.acquire(timeout=30)
    meter = Meter()
    for number in range(1, rings + 1):
        bell.ring(number, "default")
    for _ in range(rings):
        done.acquire(timeout=30)
    ringing = meter.spent()
    meter = Meter()
    time.sleep(1.0)
    idle = meter.spent()
    consumer.stop()
    bell.stop()
    return {
        "ring_ms": ringing.client / rings,
        "per_second": rings / ringing.wall,
        "idle_ms_per_second": idle.client,
    }
