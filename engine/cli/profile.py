"""`keyturn profile`: which executor and templates serve which credentials."""

from __future__ import annotations

from pathlib import Path

import click

from engine.cli.credential import one_credential
from engine.cli.documents import read_document
from engine.cli.frame import EngineGroup, Shared, pass_shared, say, show_one, show_rows

COLUMNS = ("name", "priority", "executor", "service", "login", "proof", "templates")


@click.group(cls=EngineGroup)
def profile() -> None:
    """Profiles: which executor and templates serve which credentials."""


@profile.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=True))
@pass_shared
def add(shared: Shared, name: str, file: Path) -> None:
    """Add a profile from a JSON or YAML file (- for standard input)."""
    added = shared.client().post("/profiles", read_document(file) | {"name": name})
    say(shared, added, f"profile {added['name']} added")


@profile.command("list")
@pass_shared
def list_(shared: Shared) -> None:
    """All profiles."""
    show_rows(shared, shared.client().get("/profiles"), COLUMNS)


@profile.command()
@one_credential
@pass_shared
def match(shared: Shared, name: str, kind: str | None) -> None:
    """Which profile serves a credential, or why none does."""
    query = {"kind": kind} if kind else {}
    show_one(shared, shared.client().get("/profiles/match", credential=name, **query))
