"""docs/performance.md, made from the stored figures alone, so that page and measurement cannot drift apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.figures import Row, rows, table

AIM = 3.0  # times bare paramiko, one change a child

PAGE = """# What a change costs

<!-- Made by `python -m bench --write` from bench/results/full.json. Do not edit: measure again (`make bench`). -->

Measured {when} on {cpus} CPUs ({cpu}), {kernel}, Python {python}, {sshd}, paramiko {paramiko}, SQLAlchemy {sqlalchemy};
load of the machine when it began: {load:.1f}. Absolute figures move from machine to machine, the ratios hold better.
`make bench` measures anew and stores the raw numbers; `python -m bench --quick` takes less than a minute.

## On one sshd

{rounds} interleaved rounds on real local accounts through PAM, {lanes} changes at a time, key exchange curve25519
everywhere, the same accounts and administrators (password login, sudo with password) for all. *client*: CPU milliseconds a
proven change of everything but sshd, children included; *child*: the part of it in fork server and executor children;
*sshd*: the server side on the same CPUs. *ratio*: client time over bare paramiko doing the same, median of the rounds
(lowest–highest). The engine's time includes request, audit with its chain, escrow journal and database, all on disk.

{contest}

- *paramiko, fresh*: administrator logs in, `sudo chpasswd` by standard input, proof by a fresh login; nothing is kept.
  *same commands* sends all that the engine's template and proof send (`id`, `passwd -S`, `true`).
- *reused*: one administrative connection for ten accounts.
- *own password*: `passwd` on a terminal, held against bare paramiko doing that.
- ansible-core: {ansible}

**Aim, one change a child: at most {aim:g} × bare paramiko. Reached: {reached:.1f} × — {verdict}.** Against bare paramiko
that sends the same commands: {same:.1f} ×. Own password: {own:.1f} ×.

**Aim, a batch of ten in a child: at most 2 × bare paramiko reused. Reached: nothing yet** — batches are not built.

## The engine alone

With the fake executor, whose target is a file; SQLite with WAL and `synchronous=FULL`, one `Worker`.

{throughput}

One change sends {statements:.0f} SQL statements in {commits:.1f} commits, request and audit included; each commit is one sync of the
WAL. The escrow journal adds one `fdatasync`. A change on an SSH target has one commit less: its template has nothing to save.

{parts}

Single calls: {small}.

Doorbell (Celery, in-memory transport): {ring:.2f} ms a ring, at most {rings:.0f} rings a second, {idle:.1f} ms a second when idle.
The figures above are without it: the changes were handed to the worker directly.
"""


def page(results: Mapping[str, Any]) -> str:
    contest, parts, machine = results["contest"], results["parts"], results["machine"]
    found = rows(contest["samples"])
    ratio = {row.contender: row for row in found}
    engine = ratio["engine, fresh"]
    return PAGE.format(
        **machine,
        rounds=contest["size"]["rounds"],
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
            f"{row.child_ms:.1f}" if row.child_ms else "–",
            f"{row.sshd_ms:.0f}",
            f"{row.ratio:.2f} ({row.lowest:.2f}–{row.highest:.2f})",
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
        return f"{version}, the `user` module by sudo, then `raw: true` as the account; 8 forks, few accounts."
    return f"not measured: {version}"
