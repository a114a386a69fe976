"""Deliveries to webhooks and requesters as people see them: what could not be brought, and trying again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, select

from engine.record import audit
from engine.record.models import delivery, outbox
from engine.record.receivers import begin_anew, get, locked
from engine.store.errors import KeyturnError, Kind

State = Literal["waiting", "delivered", "dead"]
CALLBACKS: Final = "requesters' callbacks"


class NoDeadDelivery(KeyturnError):
    code = "no_dead_delivery"
    kind = Kind.NOT_FOUND

    def __init__(self, delivery_id: int, whose: str) -> None:
        super().__init__(
            f"delivery {delivery_id} is not on the dead-letter list of {whose}; "
            "look at the list for those that are"
        )


@dataclass(frozen=True, slots=True)
class Delivery:
    """`at` is when it happened; `created` when its sending began; seconds since 1970-01-01 UTC."""

    id: int
    notice_id: int
    sequence: int | None
    kind: str
    operation_id: int | None
    at: float
    url: str
    state: str
    tries: int
    error: str | None
    created: float
    due: float
    finished: float | None


def find(
    connection: Connection, receiver: str | None, state: State, limit: int, after: int = 0
) -> list[Delivery]:
    """The oldest `limit` after the id `after`, of a receiver or of all callbacks (None).

    Raises UnknownReceiver.
    """
    mine = _of(None if receiver is None else get(connection, receiver).id)
    statement = (
        select(*_COLUMNS)
        .join(outbox, outbox.c.id == delivery.c.notice_id)
        .where(mine, delivery.c.state == state, delivery.c.id > after)
        .order_by(delivery.c.id)
        .limit(limit)
    )
    return [Delivery(**row) for row in connection.execute(statement).mappings()]


def redeliver(
    connection: Connection, actor: str, receiver: str | None, delivery_id: int | None = None
) -> int:
    """Take one dead delivery, or all, of a receiver or of the callbacks (None) off the list and try again.

    Returns how many. Raises UnknownReceiver, NoDeadDelivery.
    """
    which = [_of(None if receiver is None else locked(connection, receiver).id), delivery.c.state == "dead"]
    if delivery_id is not None:
        which.append(delivery.c.id == delivery_id)
    again = begin_anew(connection, *which)
    whose = CALLBACKS if receiver is None else f"receiver {receiver}"
    if delivery_id is not None and not again:
        raise NoDeadDelivery(delivery_id, whose)
    details = {"deliveries": again}
    audit.write(connection, actor=actor, action="receiver.redeliver", object=whose, details=details)
    return again


def _of(receiver_id: int | None) -> ColumnElement[bool]:
    return delivery.c.receiver_id.is_(None) if receiver_id is None else delivery.c.receiver_id == receiver_id


_COLUMNS: Final[list[Any]] = [
    delivery.c[name] if name in delivery.c else outbox.c[name] for name in Delivery.__dataclass_fields__
]
