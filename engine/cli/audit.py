"""`keyturn audit`: the record, and whether it is whole."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

import click

from engine.cli.errors import CommandFailed
from engine.cli.exits import Exit
from engine.cli.frame import EngineGroup, Shared, pass_shared, say
from engine.record.verification import Verdict, bounded_lines
from engine.record.verification import verify as verify_lines


@click.group(cls=EngineGroup)
def audit() -> None:
    """The audit record: exported, and checked offline."""


@audit.command()
@click.argument("file", required=False, type=click.File("rb"))
@pass_shared
def verify(shared: Shared, file: BinaryIO | None) -> None:
    """Check an export (- for standard input), or without a file the running engine's record."""
    lines = shared.client().lines("/audit/export") if file is None else bounded_lines(file)
    verdict = verify_lines(lines)
    _print(shared, verdict)
    if not verdict.whole:
        click.get_current_context().exit(int(Exit.AUDIT_BROKEN))


def _print(shared: Shared, verdict: Verdict) -> None:
    told = {
        "whole": verdict.whole,
        "sealed": verdict.sealed,
        "head": verdict.head,
        "unsealed": verdict.unsealed,
    }
    told |= {"bad": verdict.bad, "problem": verdict.problem and verdict.problem.name.lower()}
    say(shared, told, str(verdict))


@audit.command()
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="New file; standard output without."
)
@pass_shared
def export(shared: Shared, out: Path | None) -> None:
    """The record as JSON Lines, for `audit verify`."""
    lines = shared.client().lines("/audit/export")
    if out is None:
        sys.stdout.writelines(f"{line}\n" for line in lines)
        return
    try:
        with out.open("x", encoding="ascii") as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise CommandFailed(Exit.INPUT_REFUSED, f"{out} cannot be written: {error.strerror}") from None
