"""`keyturn worker`: one of any number of workers of a zone; and what can be asked of those at work."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from engine.cli.errors import CommandFailed, input_refused
from engine.cli.exits import Exit
from engine.cli.frame import EngineGroup, Shared, pass_shared, say, shared_options, show_rows
from engine.cli.settings import check_distributed, settings_of, start

SHOWN = ("name", "zone", "busy", "threads", "draining", "beat", "started", "stopped", "release")
LOOK = 0.5  # seconds between two looks at a worker that drains


@click.group(cls=EngineGroup, invoke_without_command=True, params=shared_options())
@click.option("--zone", help="The zone whose targets it reaches.")
@click.option("--threads", type=int, help="How many operations it works on at a time.")
@click.option(
    "--journal",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory of the escrow journal; on another volume than the database's.",
)
@click.pass_context
@pass_shared
def worker(
    shared: Shared, context: click.Context, zone: str | None, threads: int | None, journal: Path | None
) -> None:
    """Without a command: work for a zone, until SIGINT, SIGTERM or `keyturn worker drain`; what was begun is
    ended first. The zone's first worker makes its key pair; further ones need a copy of it."""
    if context.invoked_subcommand is not None:
        return
    from engine.processes import worker as process

    settings = settings_of(shared, zone=zone, threads=threads, journal=journal)
    check_distributed(settings)
    start(process.run, settings)


@worker.command("list")
@click.option("--all", "gone_too", is_flag=True, help="Those that have stopped, too.")
@pass_shared
def list_workers(shared: Shared, gone_too: bool) -> None:
    """Workers, and when each was last heard of."""
    rows = [row for row in shared.client().get("/workers") if gone_too or row["stopped"] is None]
    show_rows(shared, rows, SHOWN)


@worker.command()
@click.argument("name", required=False)
@click.option("--zone", help="All workers of this zone.")
@click.option("--wait", is_flag=True, help="Until they have stopped.")
@click.option("--timeout", type=float, default=600.0, show_default=True, help="Seconds for --wait.")
@pass_shared
def drain(shared: Shared, name: str | None, zone: str | None, wait: bool, timeout: float) -> None:
    """Let a worker, or all of a zone, take nothing more, end what was begun, and stop."""
    if (name is None) == (zone is None):
        raise click.UsageError("name one worker, or a zone with --zone")
    client = shared.client()
    named = [name] if name else [row["name"] for row in _alive(shared) if row["zone"] == zone]
    if not named:
        told = f"no worker of zone {zone} is at work; see `keyturn worker list`"
        raise input_refused(told, "unknown_worker")
    for each in named:
        client.post(f"/workers/{quote(each, safe='')}/drain")
    if wait:
        _until_stopped(shared, set(named), timeout)
    say(shared, {"draining": named}, f"{', '.join(named)} {'stopped' if wait else 'drains'}")


def _alive(shared: Shared) -> list[dict[str, Any]]:
    return [row for row in shared.client().get("/workers") if row["stopped"] is None]


def _until_stopped(shared: Shared, named: set[str], timeout: float) -> None:
    until = time.monotonic() + timeout
    while left := named & {row["name"] for row in _alive(shared)}:
        if time.monotonic() > until:
            what = f"{', '.join(sorted(left))} still works on something; it stops when that has ended"
            raise CommandFailed(Exit.WAIT_TIMEOUT, what, "still_draining")
        time.sleep(LOOK)
