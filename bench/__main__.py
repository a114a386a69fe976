"""`python -m bench`: measure everything, print the tables, store the raw numbers."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import contest, distributed, parts
from bench.distributed import distributed_table
from bench.figures import rows
from bench.page import contest_table, page, parts_table, throughput_table
from tests.peers import sshd

RESULTS = Path(__file__).with_name("results") / "full.json"
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
CHANGES_OF_PARTS, QUICK_CHANGES = 100, 16


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few accounts, one round, nothing stored")
    parser.add_argument(
        "--write", action="store_true", help="only write docs/performance.md from the stored numbers"
    )
    asked = parser.parse_args()
    if asked.write:
        PAGE.write_text(page(json.loads(RESULTS.read_text())))
        return 0
    if not sshd.available():
        print(f"no sshd to measure on: {sshd.HOW}", file=sys.stderr)
        return 1
    results = _measure(asked.quick)
    _show(results)
    if not asked.quick:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        print(f"\nraw numbers: {RESULTS}\nto publish them: python -m bench --write")
    return 0


def _measure(quick: bool) -> dict[str, Any]:
    return {
        "machine": _machine(),
        "parts": parts.measure(QUICK_CHANGES if quick else CHANGES_OF_PARTS),
        "distributed": distributed.measure(QUICK_CHANGES if quick else distributed.CHANGES),
        "contest": contest.measure(
            contest.QUICK if quick else contest.FULL, lambda line: print(line, flush=True)
        ),
    }


def _show(results: dict[str, Any]) -> None:
    for shown in (
        contest_table(rows(results["contest"]["samples"])),
        throughput_table(results["parts"]),
        parts_table(results["parts"]),
        distributed_table(results["distributed"]),
        json.dumps({name: results["parts"][name] for name in ("statements", "small", "doorbell")}, indent=1),
    ):
        print("\n" + shown)


def _machine() -> dict[str, Any]:
    """What the figures depend on."""
    server = subprocess.run([str(sshd.SSHD), "-V"], capture_output=True, text=True, check=False)
    return {
        "when": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpus": os.cpu_count(),
        "cpu": _cpu(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sshd": (server.stderr + server.stdout).strip().splitlines()[-1].partition(",")[0],
        "paramiko": version("paramiko"),
        "sqlalchemy": version("sqlalchemy"),
        "load": os.getloadavg()[0],
    }


def _cpu() -> str:
    """proc(5), /proc/cpuinfo; not on every architecture."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine()
    )


if __name__ == "__main__":
    sys.exit(main())
