"""Getting a secret out: a one-use key here, a worker of the zone there. This process opens nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from engine.api.context import ApiContext
from engine.vault.sealing import Context, open_bytes
from engine.vault.service import take

LONGEST_WAIT: Final = 5.0  # seconds
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.25  # seconds

Asking = Callable[[Connection, bytes], tuple[int, Context]]
"""Writes the request for a public key; returns its id and what the answer will be bound to."""


async def ask_and_open(context: ApiContext, ask: Asking) -> bytes:
    """What a worker re-sealed to a key made for this request. Raises KeyturnError; 503 without an answer."""
    key = X25519PrivateKey.generate()

    def asked() -> tuple[int, Context]:
        with context.database.writing() as connection:
            return ask(connection, key.public_key().public_bytes_raw())

    request_id, bound = await run_in_threadpool(asked)
    await run_in_threadpool(context.bell.reveal, request_id)
    return open_bytes(await _answer(context, request_id), key, bound)


async def _answer(context: ApiContext, request_id: int) -> bytes:
    def taken() -> bytes | None:
        with context.database.writing() as connection:
            return take(connection, request_id)

    waited, pause = 0.0, FIRST_PAUSE
    while waited < LONGEST_WAIT:
        await asyncio.sleep(pause)
        if (sealed := await run_in_threadpool(taken)) is not None:
            return sealed
        waited, pause = waited + pause, min(pause * 1.5, LONGEST_PAUSE)
    raise HTTPException(503, "no worker of the zone answered in time; see GET /readyz, then ask again")
