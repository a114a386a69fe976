"""Waiting for an operation, and the exit code of wherever it stands then."""

from __future__ import annotations

import time
from typing import Any, Final

import click

from engine.cli import exits
from engine.cli.client import Client
from engine.cli.exits import Exit
from engine.cli.frame import Shared, show_json

TIMEOUT: Final = 300.0  # seconds
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds


timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=TIMEOUT,
    show_default=True,
    help="Seconds that --wait waits.",
)


def wait_for(client: Client, operation_id: int, timeout: float) -> dict[str, Any]:
    """The operation once it is terminal or waits for a person; or as it stands after `timeout` seconds."""
    until = time.monotonic() + timeout
    pause = FIRST_PAUSE
    while True:
        found: dict[str, Any] = client.get(f"/operations/{operation_id}")
        settled = found["state"] in exits.TERMINAL or (found["state"] == "in_doubt" and found["needs_person"])
        left = until - time.monotonic()
        if settled or left <= 0:
            return found
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE)


def end_with(shared: Shared, operation: dict[str, Any], code: Exit | None = None) -> None:
    """Print where the operation stands and exit with its code, unless that is 0."""
    state, outcome = operation["state"], operation.get("outcome")
    if code is None:
        code = exits.of_operation(state, outcome, operation["needs_person"])
    if shared.as_json:
        show_json({"operation": operation["id"], "state": state, "outcome": outcome})
    else:
        reason = f": {operation['reason']}" if operation.get("reason") else ""
        click.echo(f"operation {operation['id']} {state} ({outcome or 'no outcome yet'}){reason}")
    if code is not Exit.OK:
        click.get_current_context().exit(int(code))
