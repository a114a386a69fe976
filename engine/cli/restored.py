"""`keyturn restored`: after the database was restored from an older copy."""

from __future__ import annotations

import click

from engine.cli.frame import EngineGroup, Shared, pass_shared, say, show_rows


@click.group(cls=EngineGroup)
def restored() -> None:
    """What a restored database got back from the escrow journals; changes wait until this ends."""


@restored.command()
@pass_shared
def show(shared: Shared) -> None:
    """Credentials that got versions back, and what was found out of each since."""
    view = shared.client().get("/restored")
    say(shared, view, "RESTORED mode: changes wait" if view["restored"] else "not in RESTORED mode")
    if not shared.as_json:
        show_rows(shared, view["credentials"], ("credential", "state", "versions", "reason"))


@restored.command()
@pass_shared
def end(shared: Shared) -> None:
    """End the mode, after the list was looked at."""
    say(shared, shared.client().post("/restored/end", {}), "changes go on")
