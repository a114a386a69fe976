"""`keyturn receiver`: where notices go, and what could not be brought there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click

from engine.cli.frame import EngineGroup, Shared, pass_shared, say, show_one, show_rows
from engine.cli.secrets import read_secret

COLUMNS = ("name", "kind", "zone", "url", "format", "kinds", "enabled", "waiting", "dead", "error")
DETAILS = (*COLUMNS[:6], "options", *COLUMNS[6:9], "sent", "settled", "failures", "error", "due", "created")
DEAD_COLUMNS = ("id", "kind", "operation_id", "at", "tries", "error")
KINDS: Final = ("webhook", "syslog")
OPTIONS: Final = ("facility", "max_bytes", "cleartext")
PAGE: Final = 1000

callbacks_option = click.option(
    "--callbacks", is_flag=True, help="Of requesters' callbacks, in place of a receiver's."
)


@click.group(cls=EngineGroup)
def receiver() -> None:
    """Receivers: where notices go, by syslog or webhook."""


@receiver.command()
@click.argument("name")
@click.argument("url")
@click.option("--kind", type=click.Choice(KINDS), help="By default webhook for http(s)://, else syslog.")
@click.option("--zone", metavar="Z", help="Zone whose workers send; the engine's own by default.")
@click.option(
    "--format", type=click.Choice(("rfc5424", "cef")), help="Of syslog messages; rfc5424 by default."
)
@click.option(
    "--notices", "kinds", multiple=True, metavar="PATTERN", help="E.g. 'operation.*'; all by default."
)
@click.option(
    "--ca",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="PEM file of the only authorities that may vouch for it.",
)
@click.option("--facility", type=int, help="Of syslog, 0 to 23.")
@click.option("--max-bytes", type=int, help="Longest syslog message.")
@click.option("--cleartext", is_flag=True, help="Let a webhook go over http://.")
@click.option("--from-start", is_flag=True, help="Send what happened before, as far as it is kept.")
@click.option(
    "--secret-file", metavar="F", help="A webhook's signing key, or - for standard input; else one is made."
)
@pass_shared
def add(
    shared: Shared,
    /,
    name: str,
    url: str,
    kind: str | None,
    kinds: tuple[str, ...],
    ca: Path | None,
    secret_file: str | None,
    **given: Any,
) -> None:
    """Send notices to URL: tls://, tcp:// or udp://HOST:PORT for syslog, https:// for a webhook."""
    body: dict[str, Any] = {"name": name, "url": url, "from_start": given.pop("from_start")}
    body["kind"] = kind or ("webhook" if url.startswith("http") else "syslog")
    said = {each: value for each, value in given.items() if value is not None and value is not False}
    body["options"] = {each: said.pop(each) for each in OPTIONS if each in said}
    body |= said
    if kinds:
        body["kinds"] = list(kinds)
    if ca is not None:
        body["options"]["ca"] = ca.read_text("utf-8", "replace")
    if secret_file is not None:
        body["secret"] = read_secret(secret_file).reveal()
    added = shared.client().post("/receivers", body)
    made = f"; it signs with\n{added['secret']}\nwhich is not shown again" if added["secret"] else ""
    say(shared, added, f"receiver {added['receiver']['name']} added{made}")


@receiver.command("list")
@pass_shared
def list_(shared: Shared) -> None:
    """All receivers."""
    show_rows(shared, shared.client().get("/receivers"), COLUMNS)


@receiver.command()
@click.argument("name")
@pass_shared
def show(shared: Shared, name: str) -> None:
    """One receiver and how it gets on."""
    show_one(shared, shared.client().get(_path(name)), DETAILS)


@receiver.command()
@click.argument("name")
@pass_shared
def enable(shared: Shared, name: str) -> None:
    """Send again, what it missed first."""
    say(shared, shared.client().post(f"{_path(name)}/enable"), f"receiver {name} is enabled")


@receiver.command()
@click.argument("name")
@pass_shared
def disable(shared: Shared, name: str) -> None:
    """Send nothing until it is enabled."""
    say(shared, shared.client().post(f"{_path(name)}/disable"), f"receiver {name} is disabled")


@receiver.command()
@click.argument("name")
@pass_shared
def remove(shared: Shared, name: str) -> None:
    """Forget it, with all that waits for it."""
    say(shared, shared.client().post(f"{_path(name)}/remove"), f"receiver {name} removed")


@receiver.command()
@click.argument("name", required=False)
@callbacks_option
@pass_shared
def dead(shared: Shared, name: str | None, callbacks: bool) -> None:
    """What could not be brought to a webhook, the oldest first, at most 1000."""
    path = "/deliveries/dead" if _of_callbacks(name, callbacks) else f"{_path(str(name))}/deliveries"
    columns = (*DEAD_COLUMNS, "url") if callbacks else DEAD_COLUMNS
    show_rows(shared, shared.client().get(path, limit=PAGE), columns)


@receiver.command()
@click.argument("name", required=False)
@callbacks_option
@click.option("--delivery", type=int, metavar="ID", help="This one alone.")
@pass_shared
def redeliver(shared: Shared, name: str | None, callbacks: bool, delivery: int | None) -> None:
    """Try again what is on the dead-letter list."""
    path = "/deliveries" if _of_callbacks(name, callbacks) else _path(str(name))
    again = shared.client().post(f"{path}/redeliver", {"delivery": delivery})
    say(shared, again, f"{again['deliveries']} deliveries are tried again")


def _path(name: str) -> str:
    return f"/receivers/{quote(name, safe='')}"


def _of_callbacks(name: str | None, callbacks: bool) -> bool:
    if callbacks == (name is not None):
        raise click.UsageError("give a receiver's name, or --callbacks")
    return callbacks
