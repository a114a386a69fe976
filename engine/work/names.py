"""Names on the wire of the broker."""

from __future__ import annotations

OPERATION_TASK = "keyturn.operation"
REVEAL_TASK = "keyturn.reveal"
