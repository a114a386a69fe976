"""Accounts in memory, and the target's own record of every password that each of them held."""

from __future__ import annotations

import asyncio
import hmac
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

FIRST_UID: Final = 1000
HOLD_POLL: Final = 0.02  # seconds
PATIENT: Final = 50  # looks at the file between two signs of life: no reader calls the target silent


@dataclass
class Account:
    name: str
    uid: int
    sudoer: bool
    locked: bool
    held: list[str] = field(repr=False)
    """Oldest first; the last one opens."""
    withheld: bool = False
    """A change was made, and its answer is being kept back."""

    def has(self, password: str) -> bool:
        return hmac.compare_digest(self.held[-1].encode(), password.encode())

    def opens(self, password: str) -> bool:
        return not self.locked and self.has(password)


class Accounts:
    """`hold`: while this file exists, whoever asked for a change does not hear that it was made."""

    def __init__(self, given: Iterable[Mapping[str, Any]], hold: Path | None) -> None:
        self._hold = hold
        self._by_name = {
            each["name"]: Account(
                name=each["name"],
                uid=0 if each["name"] == "root" else FIRST_UID + number,
                sudoer=each.get("sudoer", False),
                locked=each.get("locked", False),
                held=[each["password"]],
            )
            for number, each in enumerate(given)
        }

    def find(self, name: str) -> Account | None:
        return self._by_name.get(name)

    async def change(self, account: Account, password: str, say: Callable[[str], None]) -> None:
        """Set it; returns when it may be told. Empty lines meanwhile show that it is at work."""
        account.held.append(password)
        if self._hold is None:
            return
        account.withheld = self._hold.exists()
        for look in itertools.count(1):
            if not self._hold.exists():
                break
            if look % PATIENT == 0:
                say("\n")
            await asyncio.sleep(HOLD_POLL)
        account.withheld = False
