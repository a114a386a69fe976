"""Receivers of notices over HTTP, what could not be brought to them, and the notices themselves."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel
from sqlalchemy import Connection

from engine.api.context import Context
from engine.api.identity import Administered, Administrator, Readable
from engine.api.schemas import MAX_COUNT, Bare, ReceiverBody, RedeliverBody
from engine.catalog.zones import get_zone
from engine.record import deliveries, outbox, receivers
from engine.record.deliveries import Delivery, State
from engine.record.outbox import Notice
from engine.record.receivers import WEBHOOK, BadReceiver, NewReceiver, Receiver
from engine.vault.sealing import seal
from engine.vault.service import zone_key
from engine.vault.signing import check_key, key_context, new_key
from executors.contract import Secret

router = APIRouter(tags=["receivers"])

Limit = Annotated[int, Query(ge=1, le=1000)]
After = Annotated[int, Query(ge=0, le=MAX_COUNT)]


class Added(BaseModel):
    """`secret` is the signing key, if one was made: it is shown this once."""

    receiver: Receiver
    secret: str | None


class Redelivered(BaseModel):
    deliveries: int


class Removed(BaseModel):
    name: str


@router.post("/receivers", status_code=201)
def add(body: ReceiverBody, context: Context, caller: Administrator) -> Added:
    """It gets what happens from now on, or, `from_start`, all that is kept.

    A webhook's messages are signed with `secret`; without one a key is made.
    """
    zone = body.zone or context.settings.zone
    made = new_key() if body.kind == WEBHOOK and body.secret is None else None
    with context.database.writing() as connection:
        get_zone(connection, zone)
        new = NewReceiver(
            body.name,
            body.kind,
            zone,
            body.url,
            body.format,
            body.kinds,
            body.options,
            _sealed(connection, zone, body, made or body.secret),
            body.from_start,
        )
        added = receivers.add(connection, caller.name, new)
    return Added(receiver=added, secret=None if made is None else made.reveal())


def _sealed(connection: Connection, zone: str, body: ReceiverBody, key: Secret | None) -> bytes | None:
    if key is None:
        return None
    if body.kind != WEBHOOK:
        raise BadReceiver("secret", f"only a {WEBHOOK} signs what it sends; leave it out")
    check_key(key)
    return seal(key, zone_key(connection, zone), key_context(body.name))


@router.get("/receivers", dependencies=[Readable])
def list_all(context: Context) -> list[Receiver]:
    with context.database.reading() as connection:
        return receivers.list_all(connection)


@router.get("/receivers/{name}", dependencies=[Readable])
def show(name: str, context: Context) -> Receiver:
    with context.database.reading() as connection:
        return receivers.get(connection, name)


@router.post("/receivers/{name}/enable", dependencies=[Bare])
def enable(name: str, context: Context, caller: Administrator) -> Receiver:
    """It gets what it missed meanwhile, as far as notices are kept."""
    with context.database.writing() as connection:
        return receivers.enable(connection, caller.name, name)


@router.post("/receivers/{name}/disable", dependencies=[Bare])
def disable(name: str, context: Context, caller: Administrator) -> Receiver:
    with context.database.writing() as connection:
        return receivers.disable(connection, caller.name, name)


@router.post("/receivers/{name}/remove", dependencies=[Bare])
def remove(name: str, context: Context, caller: Administrator) -> Removed:
    """With all that waits for it and its dead-letter list."""
    with context.database.writing() as connection:
        receivers.remove(connection, caller.name, name)
    return Removed(name=name)


@router.get("/receivers/{name}/deliveries", dependencies=[Administered])
def of_receiver(
    name: str, context: Context, state: State = "dead", limit: Limit = 100, after: After = 0
) -> list[Delivery]:
    """A webhook's deliveries, the oldest first; `after` is the id of the last one seen."""
    with context.database.reading() as connection:
        return deliveries.find(connection, name, state, limit, after)


@router.post("/receivers/{name}/redeliver")
def redeliver(name: str, body: RedeliverBody, context: Context, caller: Administrator) -> Redelivered:
    """Try again what is on the dead-letter list: one delivery, or all."""
    with context.database.writing() as connection:
        return Redelivered(deliveries=deliveries.redeliver(connection, caller.name, name, body.delivery))


@router.get("/deliveries/dead", dependencies=[Administered])
def of_callbacks(context: Context, limit: Limit = 100, after: After = 0) -> list[Delivery]:
    """What could not be brought to requesters' callbacks."""
    with context.database.reading() as connection:
        return deliveries.find(connection, None, "dead", limit, after)


@router.post("/deliveries/redeliver")
def call_back_again(body: RedeliverBody, context: Context, caller: Administrator) -> Redelivered:
    """Try again what could not be brought to requesters' callbacks: one delivery, or all."""
    with context.database.writing() as connection:
        return Redelivered(deliveries=deliveries.redeliver(connection, caller.name, None, body.delivery))


@router.get("/notices", dependencies=[Readable])
def notices(context: Context, after: After = 0, limit: Limit = 100) -> list[Notice]:
    """Numbered notices after a sequence number, for catching up; none if there is nothing newer."""
    with context.database.reading() as connection:
        return outbox.after(connection, after, limit)
