"""An event loop in a thread of its own, and how a console's output leaves it with its pauses."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, Final, Protocol, TypeVar

from executors.emulated.console import Piece

Result = TypeVar("Result")
PATIENCE: Final = 20.0  # seconds for a start or an end


class Writer(Protocol):
    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...


class Background:
    """Runs coroutines from another thread until it is stopped."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="emulated device", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def stop(self) -> None:
        self.run(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()


async def _cancel_others() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0)  # transports close in the next round


async def deliver(pieces: Sequence[Piece], writer: Writer) -> None:
    for piece in pieces:
        await asyncio.sleep(piece.after)
        writer.write(piece.data)
        await writer.drain()
