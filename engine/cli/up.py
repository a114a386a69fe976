"""`keyturn up`: the whole engine in one process tree."""

from __future__ import annotations

from pathlib import Path

import click

from engine.cli.frame import EngineCommand, Shared, pass_shared
from engine.cli.settings import check_listen, settings_of, start


@click.command(cls=EngineCommand)
@click.option("--listen", metavar="HOST:PORT", help="Loopback address of the API.")
@click.option(
    "--journal",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory of the escrow journal; best on another volume than the data.",
)
@pass_shared
def up(shared: Shared, listen: str | None, journal: Path | None) -> None:
    """Start the engine on a data directory, which the first start creates. Ends at SIGINT or SIGTERM."""
    from engine.processes import embedded

    settings = settings_of(shared, listen=listen, journal=journal)
    check_listen(settings, beyond_loopback=False)
    start(embedded.run, settings)
