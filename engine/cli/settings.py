"""From the command line to the settings of a process, and from what a process raises to an exit code."""

from __future__ import annotations

from collections.abc import Callable
from tomllib import TOMLDecodeError
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from engine.access.errors import UnusablePepper
from engine.cli.errors import CommandFailed, input_refused
from engine.cli.exits import Exit
from engine.cli.frame import Shared
from engine.cli.guard import is_loopback
from engine.settings import CONFIG_FILE, Settings
from engine.store.database import StoreUnavailable
from engine.store.errors import KeyturnError
from engine.store.upgrade import SchemaTooNew, SchemaTooOld
from engine.vault.errors import VaultError
from engine.work.metrics_server import BadMetricsAddress

MAX_PORT = 65535
# What a person can put right; anything else is a mistake in the engine and keeps its traceback.
FAILURES = (
    SchemaTooNew,
    SchemaTooOld,
    StoreUnavailable,
    UnusablePepper,
    VaultError,
    KeyturnError,
    BadMetricsAddress,
    OSError,
)


def settings_of(shared: Shared, **given: Any) -> Settings:
    """Raises CommandFailed, naming what is wrong and never a value."""
    named = {"data": shared.data, **given}
    try:
        return Settings(**{name: value for name, value in named.items() if value is not None})
    except ValidationError as error:
        raise input_refused("; ".join(_faults(error)), "bad_settings") from None
    except SettingsError as error:  # of the environment: a list that is no JSON
        raise input_refused(str(error), "bad_settings") from None
    except TOMLDecodeError as error:
        raise input_refused(f"{CONFIG_FILE} is not TOML: {error}", "bad_settings") from None
    except UnicodeDecodeError:
        raise input_refused(f"{CONFIG_FILE} is not written in UTF-8", "bad_settings") from None
    except OSError as error:
        raise input_refused(f"{CONFIG_FILE} cannot be read: {error.strerror}", "bad_settings") from None


def start(run: Callable[[Settings], None], settings: Settings) -> None:
    """Run a process to its end. Raises CommandFailed."""
    from engine.processes.embedded import NotEmbedded
    from engine.processes.separation import NotSeparated
    from engine.processes.shared import DataDirectoryInUse
    from engine.processes.tls import UnusableCertificate

    try:
        run(settings)
    except DataDirectoryInUse as error:
        raise CommandFailed(Exit.NOT_READY, str(error), "data_directory_in_use") from None
    except NotSeparated as error:
        raise CommandFailed(Exit.NOT_READY, str(error), "not_separated") from None
    except (NotEmbedded, UnusableCertificate, *FAILURES) as error:
        raise CommandFailed(Exit.NOT_READY, str(error), "cannot_start") from None


def check_distributed(settings: Settings) -> None:
    """A process among others needs a database that others reach, too. Raises CommandFailed."""
    if settings.database is None:
        raise input_refused(
            "no `database` is named, and SQLite is for one process: name PostgreSQL's URL and a `broker`, or "
            "start `keyturn up`",
            "bad_settings",
        )


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
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    return [": ".join([*_where(each["loc"]), each["msg"].removeprefix("Value error, ")]) for each in faults]


def _where(place: tuple[int | str, ...]) -> list[str]:
    """Nothing for what is wrong with several settings together."""
    return [".".join(map(str, place))] if place else []
