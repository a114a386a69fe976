"""Triggers by name: what happened, and which operations follow from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Protocol

from sqlalchemy import Connection

from engine.catalog.states import Action
from engine.operations.requests import Ask, Requested, ask_for
from engine.store.errors import KeyturnError, Kind

GROUP = "keyturn.triggers"


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a credential, told by `requester`. Moments are seconds since 1970-01-01 UTC."""

    name: str
    credential_id: int
    requester: str
    action: Action | None = None
    due: float | None = None
    priority: int = 0
    callback: str | None = None
    idempotency_key: str | None = None
    expires: float | None = None


class Trigger(Protocol):
    """One occasion. `from_outside`: callers may tell of it; otherwise only the engine itself does."""

    from_outside: bool

    def asks(self, connection: Connection, event: Event) -> Iterable[Ask]:
        """The operations that follow, none included. Raises KeyturnError for an event that makes no sense."""


class UnknownEvent(KeyturnError):
    code = "unknown_event"
    kind = Kind.INVALID

    def __init__(self, known: Iterable[str]) -> None:
        super().__init__(f"no trigger takes such an event; known events: {', '.join(known)}")


def happened(connection: Connection, event: Event) -> list[Requested]:
    """Ask for what follows from an event told from outside. Raises UnknownEvent and as `ask_for`."""
    triggers = {name: trigger for name, trigger in _triggers().items() if trigger.from_outside}
    if event.name not in triggers:
        raise UnknownEvent(sorted(triggers))
    return [ask_for(connection, ask) for ask in triggers[event.name].asks(connection, event)]


@cache
def _triggers() -> dict[str, Trigger]:
    return {entry.name: entry.load()() for entry in entry_points(group=GROUP)}
