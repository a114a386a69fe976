"""`keyturn migrate`: bring the database to this release."""

from __future__ import annotations

import click

from engine.cli.frame import EngineCommand, Shared, pass_shared, say
from engine.cli.settings import settings_of, start


@click.command(cls=EngineCommand)
@pass_shared
def migrate(shared: Shared) -> None:
    """Bring the database to this release, and make what a first start needs. May run beside the previous
    release's workers; run it once before the first start and once before each new release, after a backup."""
    from engine.processes import migrate as process

    start(process.run, settings_of(shared))
    say(shared, {"migrated": True}, "the database is of this release")
