"""Is it alive, and can it work? Both without a token: load balancers and supervisors ask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy import select

from engine.api.context import ApiContext, Context
from engine.api.problems import problem
from engine.catalog.workers import longest_silence, youngest, zones_without_workers
from engine.store.database import StoreUnavailable
from engine.store.disk import full_volumes
from engine.store.models import engine_state

router = APIRouter(tags=["health"])


@router.get("/healthz")
def alive() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz")
def ready(context: Context) -> JSONResponse:
    """200 when it can work; otherwise a problem whose `wrong` lists what keeps it from working."""
    if found := wrong(context):
        return problem(503, "not_ready", "the engine cannot work: " + "; ".join(found), wrong=found)
    with context.database.reading() as connection:
        alone = zones_without_workers(connection, longest_silence(context.settings.tick))
    return JSONResponse({"status": "ready", **({"zones_without_workers": list(alone)} if alone else {})})


def wrong(context: ApiContext) -> list[str]:
    """What keeps the engine from working, as this process sees it."""
    return [*_database(context), *_worker(context), *_journal(context)]


def _database(context: ApiContext) -> Iterator[str]:
    try:
        with context.database.reading() as connection:
            if connection.execute(select(engine_state.c.id)).first() is None:
                yield "the database holds no engine; start `keyturn up` on it"
    except StoreUnavailable:
        yield "the database does not take part"


def _worker(context: ApiContext) -> Iterator[str]:
    with suppress(StoreUnavailable), context.database.reading() as connection:
        age = youngest(connection)
        if age is None:
            yield "no worker is at work"
        elif age > longest_silence(context.settings.tick):
            yield f"no worker has looked for work for {round(age)} seconds"


def _journal(context: ApiContext) -> Iterator[str]:
    directory = context.settings.journal_directory
    if not os.access(directory, os.W_OK | os.X_OK):
        yield "the escrow journal's directory cannot be written"
    for what in full_volumes(context.settings):
        yield f"the volume of {what} is full"
