"""`keyturn operation`: what the engine does, did and will do."""

from __future__ import annotations

import click

from engine.cli.frame import EngineGroup, Shared, pass_shared, say, show_json, show_one, show_rows
from engine.cli.waiting import TIMEOUT, end_with, wait_for

COLUMNS = ("id", "credential", "action", "state", "outcome", "needs_person", "requester", "reason")
ATTEMPT_COLUMNS = ("id", "number", "login", "outcome", "proof", "message", "worker")
STATES = (
    "scheduled",
    "waiting_approval",
    "running",
    "succeeded",
    "failed",
    "in_doubt",
    "canceled",
    "expired",
)


@click.group(cls=EngineGroup)
def operation() -> None:
    """Operations: requests and how they went."""


@operation.command("list")
@click.option(
    "--state", "states", multiple=True, type=click.Choice(STATES), help="May be given several times."
)
@click.option("--credential", metavar="USER@DEVICE")
@click.option("--device", metavar="NAME")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@click.option("--after", type=click.IntRange(min=0), default=0, help="Only those with a higher id.")
@pass_shared
def list_(
    shared: Shared,
    states: tuple[str, ...],
    credential: str | None,
    device: str | None,
    limit: int,
    after: int,
) -> None:
    """Operations by id."""
    query = {
        "state": list(states),
        "credential": credential,
        "device": device,
        "limit": limit,
        "after": after,
    }
    given = {name: value for name, value in query.items() if value not in (None, [])}
    show_rows(shared, shared.client().get("/operations", **given), COLUMNS)


@operation.command()
@click.argument("operation_id", metavar="ID", type=int)
@click.option("--transcripts", metavar="REASON", help="With the redacted transcripts; the reason is audited.")
@pass_shared
def show(shared: Shared, operation_id: int, transcripts: str | None) -> None:
    """One operation with its attempts."""
    client = shared.client()
    found = client.get(f"/operations/{operation_id}")
    if transcripts is not None:
        for attempt in found["attempts"]:
            if attempt["has_transcript"]:
                path = f"/operations/{operation_id}/attempts/{attempt['id']}/transcript"
                attempt["transcript"] = client.post(path, {"reason": transcripts})["transcript"]
    if shared.as_json:
        return show_json(found)
    show_one(
        shared, {name: value for name, value in found.items() if name not in ("attempts", "transitions")}
    )
    show_rows(shared, found["attempts"], ATTEMPT_COLUMNS)
    for attempt in found["attempts"]:
        if "transcript" in attempt:
            click.echo(f"--- attempt {attempt['number']}\n{attempt['transcript']}")
    return None


@operation.command()
@click.argument("operation_id", metavar="ID", type=int)
@click.option("--timeout", type=click.FloatRange(min=0), default=TIMEOUT, show_default=True, help="Seconds.")
@pass_shared
def wait(shared: Shared, operation_id: int, timeout: float) -> None:
    """Wait until it is proven, failed, or waits for a person."""
    end_with(shared, wait_for(shared.client(), operation_id, timeout))


@operation.command()
@click.argument("operation_id", metavar="ID", type=int)
@pass_shared
def cancel(shared: Shared, operation_id: int) -> None:
    """Stop it. Once something was sent it still ends by proof."""
    found = shared.client().post(f"/operations/{operation_id}/cancel")
    say(shared, found, f"operation {operation_id}: {found['state']}, cancel requested")


@operation.command()
@click.argument("operation_id", metavar="ID", type=int)
@pass_shared
def retry(shared: Shared, operation_id: int) -> None:
    """Ask again for one that failed, or look again at one in doubt."""
    asked = shared.client().post(f"/operations/{operation_id}/retry")
    say(shared, asked, f"operation {asked['operation']} {asked['state']}")
