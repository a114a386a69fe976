"""`keyturn doctor`: what about this installation could hurt, and what to do about it."""

from __future__ import annotations

import click

from engine.cli import doctor_database, doctor_host
from engine.cli.errors import input_refused
from engine.cli.exits import Exit
from engine.cli.findings import Result
from engine.cli.frame import EngineCommand, Shared, pass_shared, show_rows
from engine.cli.settings import settings_of
from engine.settings import Settings


@click.command(cls=EngineCommand)
@pass_shared
def doctor(shared: Shared) -> None:
    """Check the installation, from the data directory of any of its processes. Changes nothing; ends with 1
    if something is bad."""
    settings = _settings(shared)
    findings = [*doctor_host.checked(settings), *doctor_database.checked(settings)]
    rows = [{"check": each.check, "result": each.result.value, "detail": each.detail} for each in findings]
    show_rows(shared, rows, ("result", "check", "detail"))
    if any(each.result is Result.BAD for each in findings):
        click.get_current_context().exit(int(Exit.FAILED))


def _settings(shared: Shared) -> Settings:
    if shared.data is None:
        raise input_refused("say where the engine's data is: --data DIR or KEYTURN_DATA", "no_data_directory")
    if not shared.data.is_dir():
        raise input_refused(f"{shared.data} is no directory; `keyturn up --data {shared.data}` makes it")
    return settings_of(shared)
