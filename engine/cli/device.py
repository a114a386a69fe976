"""`keyturn device`: where accounts are, and which host keys are theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from engine.cli.frame import EngineGroup, Shared, pass_shared, say, show_one, show_rows

COLUMNS = ("name", "address", "ports", "zone", "vendor", "model", "type", "site", "paused")
DETAILS = (
    *COLUMNS, "id", "authority", "domain", "tags", "connection_limit", "jump", "cleartext",
    "weak_algorithms", "pause_reason", "keys",
)  # fmt: skip


@click.group(cls=EngineGroup)
def device() -> None:
    """Devices: where accounts are, and how they are reached."""


def named_ports(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, int]:
    ports: dict[str, int] = {}
    for text in given:
        service, equals, port = text.partition("=")
        if not equals or not service or not (port.isascii() and port.isdigit()):
            raise click.BadParameter("write SERVICE=PORT, such as ssh=22")
        if service in ports:
            raise click.BadParameter(f"{service} is given twice")
        ports[service] = int(port)
    return ports


@device.command("add")
@click.argument("name")
@click.option("--address", required=True, metavar="A", help="IP address or host name.")
@click.option(
    "--port",
    "ports",
    multiple=True,
    required=True,
    callback=named_ports,
    metavar="SERVICE=PORT",
    help="E.g. ssh=22.",
)
@click.option("--zone", metavar="Z", help="Zone whose workers reach it; the engine's own by default.")
@click.option(
    "--host-key", "host_keys", multiple=True, metavar="LINE", help="Pin a key: 'ssh-ed25519 AAAA…'."
)
@click.option("--vendor", default="")
@click.option("--model", default="")
@click.option("--type", "type_", default="", help="Device type.")
@click.option("--site", default="")
@click.option("--domain", default="")
@click.option("--tag", "tags", multiple=True)
@click.option("--limit", type=int, default=4, show_default=True, help="Connections at a time.")
@click.option("--jump", metavar="USER@DEVICE", help="Credential that logs in to the jump host.")
@click.option("--cleartext", is_flag=True, help="Let secrets be sent unencrypted, as telnet does.")
@click.option("--weak-algorithms", is_flag=True, help="Let ssh fall back to SHA-1, CBC and the like.")
@pass_shared
def add(shared: Shared, /, limit: int, type_: str, **given: Any) -> None:
    """Register a device. Nothing connects to it yet."""
    body = {name: value for name, value in given.items() if value is not None}
    added = shared.client().post("/devices", {**body, "type": type_, "connection_limit": limit})
    say(shared, added, f"device {added['name']} added (id {added['id']})")


@device.command("list")
@pass_shared
def list_(shared: Shared) -> None:
    """All devices."""
    show_rows(shared, shared.client().get("/devices"), COLUMNS)


@device.command()
@click.argument("name")
@pass_shared
def show(shared: Shared, name: str) -> None:
    """One device with its pinned keys."""
    found = shared.client().get(f"/devices/{quote(name, safe='')}")
    shown = found if shared.as_json else found | {"keys": [_key(key) for key in found["host_keys"]]}
    show_one(shared, shown, DETAILS)


def _key(key: Mapping[str, Any]) -> str:
    return f"{key['line'].split()[0]} {key['fingerprint']} trusted by {key['trusted_by']}"


@device.command()
@click.argument("name")
@click.option(
    "--host-key", required=True, metavar="LINE", help="'ssh-ed25519 AAAA…', got by a way you trust."
)
@pass_shared
def trust(shared: Shared, name: str, host_key: str) -> None:
    """Pin a host key in place of the pinned ones of its type."""
    changed = shared.client().post(f"/devices/{quote(name, safe='')}/trust", {"host_key": host_key})
    say(shared, changed, f"device {changed['name']}: the key is pinned")


@device.command()
@click.argument("name")
@click.option("--cleartext/--no-cleartext", default=None, help="Secrets may be sent unencrypted.")
@click.option("--weak-algorithms/--no-weak-algorithms", default=None, help="ssh may fall back to SHA-1, CBC.")
@pass_shared
def consent(shared: Shared, /, name: str, **given: bool | None) -> None:
    """Allow what a device that cannot do better needs, or allow it no longer."""
    body = {consented: value for consented, value in given.items() if value is not None}
    changed = shared.client().post(f"/devices/{quote(name, safe='')}/consent", body)
    allowed = [word for word in ("cleartext", "weak_algorithms") if changed[word]]
    say(shared, changed, f"device {changed['name']} allows: {', '.join(allowed) or 'nothing of this kind'}")


@device.command()
@click.argument("name")
@click.option("--reason", required=True)
@pass_shared
def pause(shared: Shared, name: str, reason: str) -> None:
    """Begin nothing on it until it is resumed."""
    changed = shared.client().post(f"/devices/{quote(name, safe='')}/pause", {"reason": reason})
    say(shared, changed, f"device {changed['name']} is paused")


@device.command()
@click.argument("name")
@pass_shared
def resume(shared: Shared, name: str) -> None:
    """Let operations begin on it again."""
    changed = shared.client().post(f"/devices/{quote(name, safe='')}/resume")
    say(shared, changed, f"device {changed['name']} is resumed")
