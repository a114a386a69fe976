"""The port to a terminal, and the clock beside it: what a transport gives and what tests play."""

from __future__ import annotations

import time
from typing import Protocol


class Channel(Protocol):
    def send(self, data: bytes) -> None:
        """Raises Failure for a broken connection."""

    def receive(self, seconds: float) -> bytes:
        """Some bytes, none at the end of the output. Raises TimeoutError if none come in time, Failure for a
        broken connection."""


class Clock(Protocol):
    def now(self) -> float:
        """Seconds that never go back."""

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
