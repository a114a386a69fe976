"""Workers over HTTP: who is at work, and the word to end."""

from __future__ import annotations

from fastapi import APIRouter

from engine.api.context import Context
from engine.api.identity import Administrator, Readable
from engine.catalog import workers
from engine.catalog.workers import WorkerView

router = APIRouter(prefix="/workers", tags=["workers"])


@router.get("", dependencies=[Readable])
def show(context: Context) -> list[WorkerView]:
    with context.database.reading() as connection:
        return workers.workers(connection)


@router.post("/{name}/drain")
def drain(context: Context, principal: Administrator, name: str) -> WorkerView:
    """It takes nothing more, ends what it has begun, and stops."""
    with context.database.writing() as connection:
        return workers.drain(connection, principal.name, name)
