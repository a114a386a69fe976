"""What can go wrong on the way, and at which point of a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Point(StrEnum):
    """Places in a session, by what the device is about to do."""

    BANNER = "banner"
    PROMPT = "prompt"  # of a command
    OLD = "old password"  # to ask for it
    NEW = "new password"
    AGAIN = "new password again"
    BEFORE_CHANGE = "before the change"
    AFTER_CHANGE = "after the change"  # and before a word about it
    BEFORE_SAVE = "before saving"  # or committing
    AFTER_SAVE = "after saving"


@dataclass(frozen=True)
class Drop:
    """The connection is lost."""


@dataclass(frozen=True)
class Silence:
    """The device never says anything again, and keeps the connection."""


@dataclass(frozen=True)
class Delay:
    seconds: float


@dataclass(frozen=True)
class Noise:
    """Bytes as they are: a flood, broken UTF-8, half a prompt, escape sequences."""

    data: bytes


Trouble = Drop | Silence | Delay | Noise
Troubles = Mapping[Point, Sequence[Trouble]]
