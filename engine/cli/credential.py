"""`keyturn credential`: accounts, their secrets, and what is done to them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

import click

from engine.cli.client import Client
from engine.cli.exits import Exit
from engine.cli.frame import EngineGroup, Shared, pass_shared, say, show_one, show_rows
from engine.cli.secrets import read_secret
from engine.cli.waiting import end_with, timeout_option, wait_for

KINDS = ("password", "ssh_key", "enable", "community", "api_key", "certificate", "information")
OF_LINES = ("ssh_key", "certificate")  # kinds whose secret is text of several lines
COLUMNS = ("name", "kind", "state", "current_version", "policy", "auth", "parent", "link", "reason")
VERSION_COLUMNS = ("number", "status", "origin", "proof", "created", "sent_at", "proven_at", "parent_version")

PROVEN = ("managed", "changing")  # an operation may be at work already when the proof is told

F = TypeVar("F", bound=Callable[..., Any])

secret_file = click.option(
    "--secret-file", metavar="F", help="File that holds the secret, or - for standard input."
)


@click.group(cls=EngineGroup)
def credential() -> None:
    """Credentials: accounts whose secret the engine keeps and changes."""


def one_credential(function: F) -> F:
    """The argument and option that name one credential."""
    function = click.option(
        "--kind", type=click.Choice(KINDS), help="Where the account has several secrets."
    )(function)
    return click.argument("name", metavar="USER@DEVICE")(function)


def find(client: Client, name: str, kind: str | None) -> dict[str, Any]:
    query = {"kind": kind} if kind else {}
    found: dict[str, Any] = client.get(f"/credentials/named/{quote(name, safe='')}", **query)
    return found


@credential.command()
@click.argument("name", metavar="USER@DEVICE")
@secret_file
@click.option("--auth", metavar="USER@DEVICE", help="Credential that logs in to change this one.")
@click.option("--become", metavar="USER@DEVICE", help="Credential whose rights `su` takes on.")
@click.option(
    "--reconcile", metavar="USER@DEVICE", help="Credential that resets this one when no secret opens it."
)
@click.option("--parent", metavar="USER@DEVICE", help="Credential whose change this one follows.")
@click.option(
    "--link", type=click.Choice(["same", "own"]), help="Holds the parent's secret, or gets its own."
)
@click.option("--policy", metavar="NAME")
@click.option("--template", metavar="NAME", help="In place of the profile's.")
@click.option("--identifier", metavar="I")
@click.option("--additional", metavar="T", help="Additional information, such as a database's name.")
@click.option("--kind", type=click.Choice(KINDS))
@click.option("--tag", "tags", multiple=True)
@click.option("--enable", "enabling", is_flag=True, help="Prove it at once and let the engine change it.")
@timeout_option
@pass_shared
def add(
    shared: Shared, /, name: str, secret_file: str | None, enabling: bool, timeout: float, **given: Any
) -> None:
    """Register an account. Nothing changes it before it is proven and enabled."""
    body: dict[str, Any] = {"name": name} | {key: value for key, value in given.items() if value is not None}
    if secret_file is not None:
        body["secret"] = read_secret(secret_file, lines=given["kind"] in OF_LINES).reveal()
    client = shared.client()
    added = client.post("/credentials", body)
    if enabling:
        return _enable(shared, client, added, timeout)
    return say(shared, added, f"credential {added['name']} added (id {added['id']}), {added['state']}")


@credential.command()
@one_credential
@timeout_option
@pass_shared
def enable(shared: Shared, name: str, kind: str | None, timeout: float) -> None:
    """Prove the stored secret by a login and let the engine change it."""
    client = shared.client()
    _enable(shared, client, find(client, name, kind), timeout)


def _enable(shared: Shared, client: Client, found: dict[str, Any], timeout: float) -> None:
    asked = client.post(f"/credentials/{found['id']}/enable")
    operation = None if asked["operation"] is None else wait_for(client, asked["operation"], timeout)
    if operation is not None and operation["state"] != "succeeded":
        return end_with(shared, operation)
    shown = client.get(f"/credentials/{found['id']}") | {
        "operation": asked["operation"],
        "outcome": operation and operation["outcome"],
    }
    say(shared, shown, f"credential {shown['name']} is {shown['state']}")
    if shown["state"] not in PROVEN:
        click.get_current_context().exit(int(Exit.NOT_PROVEN))
    return None


@credential.command("set")
@one_credential
@click.option(
    "--secret-file", required=True, metavar="F", help="File that holds the secret, or - for standard input."
)
@pass_shared
def set_(shared: Shared, name: str, kind: str | None, secret_file: str) -> None:
    """Store a secret that was set on the target by hand. It is unverified until a login proves it."""
    client = shared.client()
    found = find(client, name, kind)
    secret = read_secret(secret_file, lines=found["kind"] in OF_LINES)
    stored = client.put(f"/credentials/{found['id']}/secret", {"secret": secret.reveal()})
    say(shared, stored, f"credential {found['name']}: version {stored['version']} stored, {stored['state']}")


@credential.command()
@one_credential
@click.option("--reason", required=True)
@pass_shared
def suspend(shared: Shared, name: str, kind: str | None, reason: str) -> None:
    """Let nothing change it until it is resumed."""
    _turn(shared, name, kind, "suspend", {"reason": reason})


@credential.command()
@one_credential
@pass_shared
def resume(shared: Shared, name: str, kind: str | None) -> None:
    """Take it up again after a suspension."""
    _turn(shared, name, kind, "resume", {})


@credential.command()
@one_credential
@pass_shared
def retire(shared: Shared, name: str, kind: str | None) -> None:
    """Give the account up. Its versions stay readable."""
    _turn(shared, name, kind, "retire", {})


def _turn(shared: Shared, name: str, kind: str | None, verb: str, body: dict[str, str]) -> None:
    client = shared.client()
    turned = client.post(f"/credentials/{find(client, name, kind)['id']}/{verb}", body)
    say(shared, turned, f"credential {turned['name']} is {turned['state']}")


@credential.command("list")
@click.option("--device", metavar="NAME")
@click.option("--state", metavar="S")
@pass_shared
def list_(shared: Shared, device: str | None, state: str | None) -> None:
    """Credentials, never their secrets."""
    query = {name: value for name, value in (("device", device), ("state", state)) if value is not None}
    show_rows(shared, shared.client().get("/credentials", **query), COLUMNS)


@credential.command()
@one_credential
@pass_shared
def show(shared: Shared, name: str, kind: str | None) -> None:
    """One credential, and the profile that serves it."""
    show_one(shared, find(shared.client(), name, kind))


@credential.command()
@one_credential
@click.option("--reason", required=True, metavar="R", help="Why; it is audited.")
@click.option(
    "--break-glass", is_flag=True, help="A candidate that is not proven, where the credential is in doubt."
)
@pass_shared
def reveal(shared: Shared, name: str, kind: str | None, reason: str, break_glass: bool) -> None:
    """Print the secret. This is a person's view, and is recorded."""
    client = shared.client()
    found = find(client, name, kind)
    opened = client.post(f"/credentials/{found['id']}/reveal", {"reason": reason, "break_glass": break_glass})
    say(shared, opened, opened["secret"])


@credential.command()
@one_credential
@pass_shared
def history(shared: Shared, name: str, kind: str | None) -> None:
    """Versions of the secret, without the secrets."""
    client = shared.client()
    versions = client.get(f"/credentials/{find(client, name, kind)['id']}/history")
    show_rows(shared, versions, VERSION_COLUMNS)


@credential.command()
@one_credential
@click.option("--wait", is_flag=True, help="Until it is proven, failed, or waits for a person.")
@timeout_option
@pass_shared
def rotate(shared: Shared, name: str, kind: str | None, wait: bool, timeout: float) -> None:
    """Change the secret on the target, prove the new one, and make it current."""
    _ask(shared, name, kind, "rotate", wait, timeout)


@credential.command()
@one_credential
@click.option("--wait", is_flag=True, help="Until it is proven, failed, or waits for a person.")
@timeout_option
@pass_shared
def verify(shared: Shared, name: str, kind: str | None, wait: bool, timeout: float) -> None:
    """Log in with the stored secret to see whether it opens."""
    _ask(shared, name, kind, "verify", wait, timeout)


@credential.command()
@one_credential
@click.option("--wait", is_flag=True, help="Until it is proven, failed, or waits for a person.")
@timeout_option
@pass_shared
def reconcile(shared: Shared, name: str, kind: str | None, wait: bool, timeout: float) -> None:
    """Find the version that opens, or reset by the reconcile account where the policy allows."""
    _ask(shared, name, kind, "reconcile", wait, timeout)


def _ask(shared: Shared, name: str, kind: str | None, verb: str, wait: bool, timeout: float) -> None:
    client = shared.client()
    found = find(client, name, kind)
    asked = client.post(f"/credentials/{found['id']}/{verb}", key=uuid.uuid4().hex)
    if wait:
        return end_with(shared, wait_for(client, asked["operation"], timeout))
    joined = " (joined one that was waiting)" if asked["joined"] else ""
    return say(shared, asked, f"operation {asked['operation']} {asked['state']}{joined}")
