"""From the command line to the settings of a process, and from what a process raises to an exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from engine.access.errors import UnusablePepper
from engine.catalog.errors import ZoneKeyDiffers
from engine.cli.errors import CommandFailed, input_refused
from engine.cli.exits import Exit
from engine.cli.frame import Shared
from engine.cli.guard import is_loopback
from engine.settings import Settings
from engine.store.database import StoreUnavailable
from engine.store.upgrade import SchemaTooNew, SchemaTooOld
from engine.vault.errors import VaultError

MAX_PORT = 65535
# What a person can put right; anything else is a mistake in the engine and keeps its traceback.
FAILURES = (SchemaTooNew, SchemaTooOld, StoreUnavailable, UnusablePepper, VaultError, ZoneKeyDiffers, OSError)


def settings_of(shared: Shared, **given: Any) -> Settings:
    """Raises CommandFailed, naming what is wrong and never a value."""
    named = {"data": shared.data, **given}
    try:
        return Settings(**{name: value for name, value in named.items() if value is not None})
    except ValidationError as error:
        raise input_refused("; ".join(_faults(error)), "bad_settings") from None


def start(run: Callable[[Settings], None], settings: Settings) -> None:
    """Run a process to its end. Raises CommandFailed."""
    from engine.processes.embedded import NotEmbedded
    from engine.processes.separation import NotSeparated
    from engine.processes.shared import DataDirectoryInUse

    try:
        run(settings)
    except DataDirectoryInUse as error:
        raise CommandFailed(Exit.NOT_READY, str(error), "data_directory_in_use") from None
    except NotSeparated as error:
        raise CommandFailed(Exit.NOT_READY, str(error), "not_separated") from None
    except (NotEmbedded, *FAILURES) as error:
        raise CommandFailed(Exit.NOT_READY, str(error), "cannot_start") from None


def check_listen(settings: Settings, *, beyond_loopback: bool) -> None:
    """Answers hold secrets: without TLS they stay on this machine. Raises CommandFailed."""
    host, _, port = settings.listen.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) <= MAX_PORT):
        raise input_refused("--listen: write HOST:PORT, such as 127.0.0.1:8470 or [::1]:8470", "bad_settings")
    if is_loopback(host.removeprefix("[").removesuffix("]")):
        return
    if not beyond_loopback:
        raise input_refused(
            f"--listen: {host} is no loopback address; put a proxy with TLS in front of 127.0.0.1",
            "bad_settings",
        )
    if settings.tls_certificate is None and settings.plaintext == "refuse":
        raise input_refused(
            f"--listen: {host} is no loopback address, and answers hold secrets: name `tls_certificate` and "
            '`tls_key`, or say `plaintext = "tolerate"` behind a proxy with TLS',
            "bad_settings",
        )


def _faults(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(map(str, each['loc']))}: {each['msg']}"
        for each in error.errors(include_input=False, include_url=False, include_context=False)
    ]
