"""What every command shares: `--data`, `--json`, and the two ways to print."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.cli.client import Client, connect
from engine.cli.errors import CommandFailed

# Fields that hold seconds since 1970-01-01 UTC; people get local time.
MOMENTS = frozenset(
    [
        "created",
        "since",
        "due",
        "next_due",
        "started",
        "finished",
        "at",
        "sent_at",
        "proven_at",
        "trusted_at",
        "beat",
        "stopped",
        "delivered_at",
        "expires",
    ]
)


@dataclass
class Shared:
    """What the command line said for all commands."""

    data: Path | None = None
    as_json: bool = False
    connect: Callable[[Path | None], Client] = field(default=connect)

    def client(self) -> Client:
        return self.connect(self.data)


pass_shared = click.make_pass_decorator(Shared, ensure=True)


def _take_json(context: click.Context, _: click.Parameter, given: bool) -> None:
    shared = context.ensure_object(Shared)
    shared.as_json = shared.as_json or given


def _take_data(context: click.Context, _: click.Parameter, given: Path | None) -> None:
    shared = context.ensure_object(Shared)
    shared.data = given or shared.data


def shared_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["--data"],
            type=click.Path(path_type=Path, file_okay=False),
            envvar="KEYTURN_DATA",
            expose_value=False,
            is_eager=True,
            callback=_take_data,
            help="Data directory of the engine (or KEYTURN_DATA).",
        ),
        click.Option(
            ["--json"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_take_json,
            help="Print JSON.",
        ),
    ]


class _Tells(click.Command):
    """Says what went wrong in the way that was asked for."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CommandFailed as failed:
            failed.as_json = ctx.ensure_object(Shared).as_json
            raise


class EngineCommand(_Tells):
    """A command that takes `--data` and `--json` at its end too."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.params.extend(shared_options())


class EngineGroup(_Tells, click.Group):
    command_class = EngineCommand
    group_class = type


def show_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=True))


def show_rows(shared: Shared, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """A table for people, whole objects as JSON."""
    if shared.as_json:
        return show_json(list(rows))
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(column, row.get(column)) for column in columns))
    return Console().print(table)


def show_one(shared: Shared, row: Mapping[str, Any], columns: Sequence[str] | None = None) -> None:
    """One object: a line a field for people, as it is as JSON."""
    if shared.as_json:
        return show_json(row)
    table = Table(box=None, show_header=False, pad_edge=False)
    for name in columns or list(row):
        table.add_row(Text(name.replace("_", " "), style="bold"), _cell(name, row.get(name)))
    return Console().print(table)


def say(shared: Shared, row: Mapping[str, Any], sentence: str) -> None:
    """A sentence for people, the object as JSON."""
    if shared.as_json:
        show_json(row)
    else:
        click.echo(sentence)


def _cell(name: str, value: Any) -> Text:
    """Text without markup: what comes from a target must not style the terminal."""
    if value is None:
        return Text("")
    if name in MOMENTS and isinstance(value, float):
        value = datetime.fromtimestamp(value).astimezone().isoformat(" ", "seconds")
    if isinstance(value, Mapping):
        value = ", ".join(f"{name}={inner}" for name, inner in value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        value = ", ".join(str(inner) for inner in value)
    return Text(printable(str(value)))


def printable(text: str) -> str:
    """What comes from elsewhere must neither move the cursor nor be a lone surrogate."""
    return "".join(char if char.isprintable() or char == "\n" else "�" for char in text)
