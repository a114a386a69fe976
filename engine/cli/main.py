"""The `keyturn` command: up, doctor, and everything a running engine does for people."""

from __future__ import annotations

import click

from engine.cli.audit import audit
from engine.cli.credential import credential
from engine.cli.device import device
from engine.cli.doctor import doctor
from engine.cli.exits import MEANING
from engine.cli.frame import EngineGroup, shared_options
from engine.cli.operation import operation
from engine.cli.policy import policy
from engine.cli.profile import profile
from engine.cli.template import template
from engine.cli.up import up

EPILOG = "\b\nExit codes:\n" + "\n".join(f"{code:>4}  {meaning}" for code, meaning in MEANING.items())


@click.group(cls=EngineGroup, epilog=EPILOG, params=shared_options())
@click.version_option(package_name="keyturn")
def main() -> None:
    """Keyturn: rotates passwords on targets and never loses one."""


for command in (up, doctor, device, credential, operation, profile, policy, template, audit):
    main.add_command(command)
