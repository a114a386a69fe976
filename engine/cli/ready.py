"""`keyturn ready`: for health checks of containers and services."""

from __future__ import annotations

import click
import requests

from engine.cli.client import CONNECT_TIMEOUT
from engine.cli.errors import CommandFailed, input_refused
from engine.cli.exits import Exit
from engine.cli.frame import EngineCommand, Shared, pass_shared, say
from engine.cli.settings import settings_of

ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "": "127.0.0.1"}  # noqa: S104 - what is replaced


@click.command(cls=EngineCommand)
@pass_shared
def ready(shared: Shared) -> None:
    """Whether the process with these settings can work, asked at its `metrics` address. Exit code 0 or 5."""
    settings = settings_of(shared)
    if settings.metrics is None:
        raise input_refused("set `metrics` to HOST:PORT: that is where it is asked", "no_metrics")
    host, _, port = settings.metrics.rpartition(":")
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.get(f"http://{ANYWHERE.get(host, host)}:{port}/readyz", timeout=CONNECT_TIMEOUT)
        except requests.RequestException:
            nobody = f"nothing answers at {settings.metrics}"
            raise CommandFailed(Exit.NOT_READY, nobody, "not_ready") from None
    if not answer.ok:
        raise CommandFailed(Exit.NOT_READY, answer.text.strip()[:1000], "not_ready")
    say(shared, {"ready": True}, "ready")
