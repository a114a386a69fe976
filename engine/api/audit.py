"""The audit record over HTTP, for `keyturn audit verify`."""

from __future__ import annotations

from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import Final, TextIO

from fastapi import APIRouter
from starlette.responses import StreamingResponse

from engine.api.context import Context
from engine.api.identity import Administered
from engine.record.export import export

CHUNK: Final = 64 * 1024

router = APIRouter(prefix="/audit", tags=["audit"])


@router.get("/export", response_class=StreamingResponse, dependencies=[Administered])
def export_record(context: Context) -> StreamingResponse:
    """JSON Lines. Written to a file first: a slow reader must not hold a transaction open. The file has no
    name and is on the data directory's volume: /tmp may be a little room in memory."""
    where = context.settings.data
    file = TemporaryFile("w+", encoding="ascii", newline="", dir=where)  # noqa: SIM115 - the generator closes it
    with context.database.reading() as connection:
        export(connection, file)
    file.seek(0)
    return StreamingResponse(_chunks(file), media_type="application/jsonl")


def _chunks(file: TextIO) -> Iterator[str]:
    with file:
        while chunk := file.read(CHUNK):
            yield chunk
