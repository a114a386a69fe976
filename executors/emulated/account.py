"""Accounts of an emulated device, and the rules that its passwords must keep."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

ADMINISTRATOR: Final = 15
"""The privilege that may do everything; Cisco's numbers, for all platforms."""


class Refusal(StrEnum):
    """Why a device does not take a password."""

    TOO_SHORT = "too short"
    TOO_SIMPLE = "too simple"
    SAME = "the same as now"
    USED_BEFORE = "used before"
    TOO_SOON = "changed too recently"
    MISSING = "no such account"


class Access(StrEnum):
    """What a login with a name and a password comes to."""

    OPENS = "opens"
    REFUSED = "refused"
    LOCKED = "locked"


@dataclass
class Account:
    """`service`: it opens no login but something behind one, as an enable secret does."""

    name: str
    password: str = field(repr=False)
    privilege: int = ADMINISTRATOR
    locked: bool = False
    must_change: bool = False
    service: bool = False
    failed: int = 0
    before: list[str] = field(default_factory=list, repr=False)
    """Its earlier passwords, oldest first."""
    changed_at: float = float("-inf")

    @property
    def may_administer(self) -> bool:
        return self.privilege >= ADMINISTRATOR


@dataclass(frozen=True)
class Rules:
    """What a new password must be. `tries`: failed logins that lock an account, None for never."""

    min_length: int = 8
    kinds: int = 1  # of lower case, upper case, digits, others
    remembers: int = 0  # earlier passwords that are refused
    must_differ: bool = True  # from the one in force
    min_age: float = 0.0  # seconds between changes
    tries: int | None = None

    def judge(self, account: Account, new: str, now: float) -> Refusal | None:
        """The first rule that the password breaks, in the order in which devices tend to look."""
        if now - account.changed_at < self.min_age:
            return Refusal.TOO_SOON
        if self.must_differ and new == account.password:
            return Refusal.SAME
        if self.remembers and new in account.before[-self.remembers :]:
            return Refusal.USED_BEFORE
        if len(new) < self.min_length:
            return Refusal.TOO_SHORT
        return Refusal.TOO_SIMPLE if kinds_in(new) < self.kinds else None


@dataclass(frozen=True)
class Lies:
    """How a device does otherwise than it says."""

    cut_at: int | None = None
    """A new password is stored up to this length only; a login is compared whole."""
    significant: int | None = None
    """Only so many characters count, when stored and at each login, as with DES crypt."""
    folds_case: bool = False
    """Upper and lower case are the same, when stored and at each login."""
    says_no_but_does: bool = False
    says_yes_but_does_not: bool = False
    late: float = 0.0
    """Seconds until a change that was confirmed comes into force."""
    forgets: bool = False
    """It says that the configuration was saved, and saves nothing."""

    def stored(self, new: str) -> str:
        return self.compared(new[: self.cut_at])

    def compared(self, given: str) -> str:
        given = given[: self.significant]
        return given.casefold() if self.folds_case else given


HONEST: Final = Lies()


def kinds_in(text: str) -> int:
    """How many of lower case, upper case, digits and others a text holds."""
    kinds: Sequence[str] = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
    others = any(not any(char in kind for kind in kinds) for char in text)
    return sum(any(char in kind for char in text) for kind in kinds) + others
