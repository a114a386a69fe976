"""`keyturn api`: one of any number of API processes of a distributed engine."""

from __future__ import annotations

from pathlib import Path

import click

from engine.cli.frame import EngineCommand, Shared, pass_shared
from engine.cli.settings import check_distributed, check_listen, settings_of, start


@click.command(cls=EngineCommand)
@click.option("--listen", metavar="HOST:PORT", help="Address of the API.")
@click.option(
    "--journal",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory of the escrow journal, for secrets that people set.",
)
@pass_shared
def api(shared: Shared, listen: str | None, journal: Path | None) -> None:
    """Serve the API until SIGINT or SIGTERM. Does not start if it could open a secret or reach a target."""
    from engine.processes import api as process

    settings = settings_of(shared, listen=listen, journal=journal)
    check_listen(settings, beyond_loopback=True)
    check_distributed(settings)
    start(process.run, settings)
