"""Somebody asks, a person or an application: one operation of the action asked for."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from engine.operations.requests import Ask
from engine.store.errors import KeyturnError, Kind
from triggers.registry import Event


class NoAction(KeyturnError):
    code = "no_action"
    kind = Kind.INVALID


class Manual:
    """The event `manual`."""

    from_outside = True

    def asks(self, connection: Connection, event: Event) -> Iterable[Ask]:  # noqa: ARG002 - the trigger's contract
        """Raises NoAction."""
        if event.action is None:
            raise NoAction("say which action is asked for, such as change_secret or verify")
        yield Ask(
            credential_id=event.credential_id,
            action=event.action,
            requester=event.requester,
            trigger=event.name,
            due=event.due,
            priority=event.priority,
            callback=event.callback,
            idempotency_key=event.idempotency_key,
            expires=event.expires,
        )
