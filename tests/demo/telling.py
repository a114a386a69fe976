"""How the demo talks: a heading per step, and a tick only after a check."""

from __future__ import annotations

import hashlib
import time


class NotSo(Exception):
    """A check failed; the message is the sentence that is not true."""


def step(number: int, title: str) -> None:
    print(f"\n{number}  {title}", flush=True)


def say(text: str) -> None:
    print(f"   {text}", flush=True)


def check(sentence: str, true: bool) -> None:
    """Raises NotSo."""
    if not true:
        print(f"   ✗ {sentence}", flush=True)
        raise NotSo(sentence)
    print(f"   ✓ {sentence}", flush=True)


def masked(secret: str) -> str:
    """Enough to see that two secrets differ, and nothing that helps to find one."""
    return f"******** ({hashlib.sha256(secret.encode()).hexdigest()[:8]})"


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __str__(self) -> str:
        return f"{time.monotonic() - self._began:.1f} s"
