"""The `keyturn` command: processes, doctor, and everything a running engine does for people."""

from __future__ import annotations

import resource
from importlib import import_module

import click

from engine.cli.exits import MEANING
from engine.cli.frame import EngineGroup, shared_options

COMMANDS = (
    "up",
    "migrate",
    "api",
    "worker",
    "ready",
    "doctor",
    "device",
    "credential",
    "operation",
    "profile",
    "policy",
    "template",
    "audit",
    "receiver",
    "restored",
    "restore",
    "backup",
)
EPILOG = "\b\nExit codes:\n" + "\n".join(f"{code:>4}  {meaning}" for code, meaning in MEANING.items())


class Main(EngineGroup):
    """Imports only the command that is called: `device list` need not pay for what `up` loads."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"engine.cli.{cmd_name}"), cmd_name)
        return command


@click.group(cls=Main, epilog=EPILOG, params=shared_options())
@click.version_option(package_name="keyturn")
def main() -> None:
    """Keyturn: rotates passwords on targets and never loses one."""
    # A crash must not write secrets to a file; the fork server and its children inherit it.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
