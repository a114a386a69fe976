"""Names on the wire of the broker: tasks, and one queue for each zone and urgency."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

OPERATION_TASK = "keyturn.operation"
REVEAL_TASK = "keyturn.reveal"


class Urgency(StrEnum):
    """In the order in which a worker takes them."""

    URGENT = "urgent"  # somebody waits: a reveal, or a priority above zero
    NORMAL = "normal"
    BULK = "bulk"

    @classmethod
    def of(cls, priority: int) -> Urgency:
        if priority == 0:
            return cls.NORMAL
        return cls.URGENT if priority > 0 else cls.BULK


def queue(installation: str, zone: str, urgency: Urgency) -> str:
    """`installation` keeps two engines apart that share a broker."""
    return f"keyturn.{installation}.{zone}.{urgency}"


def queues(installation: str, zone: str) -> Sequence[str]:
    return [queue(installation, zone, urgency) for urgency in Urgency]
