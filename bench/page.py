"""docs/performance.md, made from the stored figures alone, so that page and figures cannot drift apart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.distributed import distributed_table
from bench.figures import BATCH, Row, rows, table

AIM = 3.0  # times bare paramiko, one change a child
BATCH_AIM = 2.0  # times bare paramiko over one connection, many changes a child

PAGE = Path(__file__).with_name("performance.md.in")


def page(results: Mapping[str, Any]) -> str:
    contest, parts, machine = results["contest"], results["parts"], results["machine"]
    found = rows(contest["samples"])
    ratio = {row.contender: row for row in found}
    engine = ratio["engine, fresh"]
    return PAGE.read_text().format(
        **machine,
        rounds=contest["size"]["rounds"],
        each=contest["size"]["each"],
        lanes=8,
        contest=contest_table(found),
        ansible=_ansible(contest["ansible"]),
        aim=AIM,
        reached=engine.ratio,
        verdict="reached" if engine.ratio <= AIM else "missed",
        same=engine.client_ms / ratio["paramiko, fresh, same commands"].client_ms,
        own=ratio["engine, own password"].ratio,
        batch_aim=BATCH_AIM,
        batch=_batch(ratio, engine),
        throughput=throughput_table(parts),
        statements=parts["statements"]["statements"],
        commits=parts["statements"]["commits"],
        parts=parts_table(parts),
        distributed=distributed_table(results["distributed"]),
        per_second=results["distributed"]["distributed"]["per_second"],
        small=", ".join(f"{name} {value:.2f} ms" for name, value in parts["small"].items()),
        ring=parts["doorbell"]["ring_ms"],
        rings=parts["doorbell"]["per_second"],
        idle=parts["doorbell"]["idle_ms_per_second"],
    )


def contest_table(found: list[Row]) -> str:
    head = ["contender", "changes/s", "client ms", "child ms", "sshd ms", "ratio"]
    lines = [
        [
            row.contender,
            f"{row.per_second:.1f}",
            f"{row.client_ms:.1f}",
            f"{row.child_ms:.1f}" if row.child_ms else "-",
            f"{row.sshd_ms:.0f}",
            f"{row.ratio:.2f} ({row.lowest:.2f} to {row.highest:.2f})",
        ]
        for row in found
    ]
    missing = [] if any(row.contender == BATCH for row in found) else [[BATCH, *["not measured yet"] * 5]]
    return table(head, [*lines, *missing])


def _batch(ratio: Mapping[str, Row], engine: Row) -> str:
    batch = ratio.get(BATCH)
    if batch is None:
        return "Not measured yet."
    verdict = "reached" if batch.ratio <= BATCH_AIM else "missed"
    saved = engine.client_ms - batch.client_ms
    return f"Reached: {batch.ratio:.1f} times — {verdict}. It saves {saved:.0f} ms of CPU a change."


def throughput_table(parts: Mapping[str, Any]) -> str:
    head = ["threads", "changes/s", "client ms", "child ms"]
    lines = [
        [int(one["threads"]), f"{one['per_second']:.1f}", f"{one['client_ms']:.1f}", f"{one['child_ms']:.1f}"]
        for one in parts["throughput"]
    ]
    return table(head, lines)


def parts_table(parts: Mapping[str, Any]) -> str:
    lines = [[name, f"{value:.2f}"] for name, value in parts["milliseconds"].items()]
    return table(["part of one change", "CPU ms"], lines)


def _ansible(version: str) -> str:
    if version[:1].isdigit():
        return (
            f"{version}, the `user` module by sudo, then `raw: true` as the account; 8 forks, few accounts."
        )
    return f"not measured: {version}"
