"""What `keyturn doctor` tells, and what its checks look at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from engine.settings import Settings

WORKER_NAME: Final = "worker.name"  # a worker that was started leaves it in its data directory


class Result(StrEnum):
    GOOD = "good"
    NOTE = "note"  # as it is here; know it
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    result: Result
    detail: str


class Role(StrEnum):
    """Whose data directory it is."""

    EMBEDDED = "embedded"
    WORKER = "worker"
    API = "api"  # or that of `keyturn migrate`


def role_of(settings: Settings) -> Role:
    if settings.database is None:
        return Role.EMBEDDED
    works = (settings.data / WORKER_NAME).exists() or (settings.keys / f"{settings.zone}.key").exists()
    return Role.WORKER if works else Role.API


def good(check: str, detail: str) -> Finding:
    return Finding(check, Result.GOOD, detail)


def note(check: str, detail: str) -> Finding:
    return Finding(check, Result.NOTE, detail)


def bad(check: str, detail: str) -> Finding:
    return Finding(check, Result.BAD, detail)
