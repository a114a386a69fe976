"""The base of every error that a caller can do something about."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """What an error means to a caller, whatever the way it came: HTTP status and exit code follow from it."""

    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"


class KeyturnError(Exception):
    """Something a person or a program can settle. `code` is for programs and never changes its meaning.

    The message is one sentence: what is wrong and what to do next, never a secret.
    """

    code: ClassVar[str]
    kind: ClassVar[Kind]

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
