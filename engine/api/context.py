"""What the API process works with. It holds no private key of a zone: it can seal, and never open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Request

from engine.settings import Settings
from engine.store.database import Database
from engine.vault.journal import JournalWriter
from executors.contract import Secret


class Bell(Protocol):
    """Tells a worker that there is something to do. Losing a ring costs time, never an operation."""

    def ring(self, operation_id: int) -> None: ...

    def reveal(self, request_id: int) -> None: ...


@dataclass(frozen=True)
class ApiContext:
    """`pepper` keys the hashes of tokens."""

    database: Database
    settings: Settings
    pepper: Secret
    bell: Bell
    journal: JournalWriter


def _context(request: Request) -> ApiContext:
    context = request.app.state.context
    assert isinstance(context, ApiContext)
    return context


Context = Annotated[ApiContext, Depends(_context)]
