"""RESTORED mode over HTTP: what a database that is older than its escrow journals got back, and the end of
that."""

from __future__ import annotations

from fastapi import APIRouter

from engine.api.context import Context
from engine.api.identity import Administrator, Readable
from engine.vault.restored import RestoredView, end_restored, restored_view

router = APIRouter(prefix="/restored", tags=["restored"])


@router.get("", dependencies=[Readable])
def show(context: Context) -> RestoredView:
    with context.database.reading() as connection:
        return restored_view(connection)


@router.post("/end")
def end(context: Context, principal: Administrator) -> RestoredView:
    """A person has seen the list: changes go on."""
    with context.database.writing() as connection:
        end_restored(connection, principal.name)
        return restored_view(connection)
