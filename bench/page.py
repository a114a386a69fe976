"""docs/performance.md, made from the stored figures alone, so that page and figures cannot drift apart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.figures import Row, rows, table

AIM = 3.0  # times bare paramiko, one change a child

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
        throughput=throughput_table(parts),
        statements=parts["statements"]["statements"],
        commits=parts["statements"]["commits"],
        parts=parts_table(parts),
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
    return table(head, [*lines, ["engine, batch of ten", *["not built yet"] * 5]])


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
