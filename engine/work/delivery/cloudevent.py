"""A notice as a CloudEvent (CloudEvents 1.0.2, JSON format, structured mode)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final

from engine.record.catalogue import kind_of
from engine.record.outbox import Notice

MEDIA_TYPE: Final = "application/cloudevents+json; charset=utf-8"


def event_id(incarnation: str, notice_id: int) -> str:
    """The same through all tries. A restored database numbers anew, under another incarnation."""
    return f"{incarnation}-{notice_id}"


def encode(notice: Notice, installation: str, incarnation: str) -> bytes:
    """The event's JSON; what the engine adds to CloudEvents is `dataversion`, `noticeid`, `incarnation`."""
    kind = kind_of(notice.kind)
    about = notice.payload.get("credential")
    operation = {} if notice.operation_id is None else {"operation": notice.operation_id}
    event = {
        "specversion": "1.0",
        "id": event_id(incarnation, notice.id),
        "source": f"/keyturn/{installation}",
        "type": f"keyturn.{notice.kind}",
        "time": datetime.fromtimestamp(notice.at, UTC).isoformat(timespec="milliseconds"),
        **({"subject": about} if about and isinstance(about, str) else {}),
        "datacontenttype": "application/json",
        "dataversion": str(kind.version),
        "noticeid": kind.id,
        "incarnation": incarnation,
        "data": {**notice.payload, **operation, "sequence": notice.sequence},
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
