"""Writes docs/metrics.md from what is exported: `.venv/bin/python -m tests.write_metrics_page`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from engine.store.database import Database
from engine.store.metadata import metadata
from engine.work.gauges import GAUGES
from tests.exported import Family, families, metrics_of
from tests.unit.operations.room import Room

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"

HEAD = """\
# Metrics

Generated from the code: `.venv/bin/python -m tests.write_metrics_page`.

With `metrics = "HOST:PORT"` in its settings each process (`keyturn up`, `api`, `worker`) serves there,
without a token: `/metrics`, `/healthz` (200: the process answers) and `/readyz` (200, or 503 with what is
`wrong`). It tells no secret and no name of a user, account, credential or device, but the names of zones and
receivers: bind it to an address that only the monitoring reaches.

Two kinds stand beside each other. *The engine's* are read from the database, are the same from every
process, and are used again for five seconds: take `max by (...)` over instances. *The process's* are counted
where the work is done: take `sum`. A process that cannot read the database serves `keyturn_database_up 0` and
its own, and leaves out the engine's.

Reading the engine's costs about 0.1 s of the database's time with 100,000 credentials and 200,000 operations:
scrape each process every 15 s or less often.

Alerts: `deploy/prometheus/keyturn.rules.yaml`, explained in [the runbook](runbook.md). Dashboard:
`deploy/grafana/keyturn.json`.

"""

ENGINES = frozenset({*(gauge.name for gauge in GAUGES), "keyturn_schema_info"})


def page(found: Iterable[Family]) -> str:
    ours = sorted((each for each in found if each.name.startswith("keyturn_")), key=lambda each: each.name)
    return (
        HEAD
        + _table("The engine's", (each for each in ours if each.name in ENGINES))
        + _table("The process's", (each for each in ours if each.name not in ENGINES))
        + "Beside these: `process_*`, `python_gc_*` and `python_info` of the Prometheus client for Python.\n"
    )


def _table(title: str, found: Iterable[Family]) -> str:
    lines = [f"## {title}\n", "| metric | type | labels | |", "| --- | --- | --- | --- |"]
    for each in found:
        labels = ", ".join(f"`{label}`" for label in sorted(each.labels - {"le"}))
        lines.append(f"| `{each.name}` | {each.kind} | {labels} | {each.told} |")
    return "\n".join(lines) + "\n\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/keyturn.sqlite")
        metadata.create_all(database.engine)
        room = Room(database, Path(folder))
        PAGE.write_text(page(families(metrics_of(room))))
        room.journal.close()
        database.dispose()


if __name__ == "__main__":
    main()
