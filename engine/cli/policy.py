"""`keyturn policy`: how strong secrets are, and how patient the engine is."""

from __future__ import annotations

from pathlib import Path

import click

from engine.cli.documents import read_document
from engine.cli.frame import EngineGroup, Shared, pass_shared, say, show_rows


@click.group(cls=EngineGroup)
def policy() -> None:
    """Policies: how strong secrets are, and how patient the engine is."""


@policy.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=True))
@pass_shared
def add(shared: Shared, name: str, file: Path) -> None:
    """Add a policy from a JSON or YAML file (- for standard input)."""
    added = shared.client().post("/policies", {"name": name, "rules": read_document(file)})
    say(shared, added, f"policy {added['name']} added")


@policy.command("list")
@pass_shared
def list_(shared: Shared) -> None:
    """All policies."""
    show_rows(shared, shared.client().get("/policies"), ("name", "rules"))
