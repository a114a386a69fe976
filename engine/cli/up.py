"""`keyturn up`: the whole engine in one process tree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from engine.access.errors import UnusablePepper
from engine.cli.errors import CommandFailed, input_refused
from engine.cli.exits import Exit
from engine.cli.frame import EngineCommand, Shared, pass_shared
from engine.cli.guard import is_loopback
from engine.store.database import StoreUnavailable
from engine.store.upgrade import SchemaTooNew
from engine.vault.errors import VaultError

MAX_PORT = 65535
# What a person can put right; anything else is a mistake in the engine and keeps its traceback.
FAILURES = (SchemaTooNew, StoreUnavailable, UnusablePepper, VaultError, OSError)


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
    from engine import embedded
    from engine.settings import Settings

    given: dict[str, Any] = {"data": shared.data, "listen": listen, "journal": journal}
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise input_refused("; ".join(_faults(error)), "bad_settings") from None
    _check_listen(settings.listen)
    try:
        embedded.run(settings)
    except FAILURES as error:
        raise CommandFailed(Exit.NOT_READY, str(error), "cannot_start") from None
    except embedded.DataDirectoryInUse as error:
        raise CommandFailed(Exit.NOT_READY, str(error), "data_directory_in_use") from None


def _check_listen(listen: str) -> None:
    """Answers hold secrets and are not encrypted here, so they stay on this machine."""
    host, _, port = listen.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) <= MAX_PORT):
        raise input_refused("--listen: write HOST:PORT, such as 127.0.0.1:8470 or [::1]:8470", "bad_settings")
    if not is_loopback(host.removeprefix("[").removesuffix("]")):
        raise input_refused(
            f"--listen: {host} is no loopback address; put a proxy with TLS in front of 127.0.0.1",
            "bad_settings",
        )


def _faults(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(map(str, each['loc']))}: {each['msg']}"
        for each in error.errors(include_input=False, include_url=False, include_context=False)
    ]
