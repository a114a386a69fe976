"""What can be wrong with asking for, or working on, an operation."""

from __future__ import annotations

from engine.store.errors import KeyturnError, Kind


class StaleTransition(KeyturnError):
    """The row was not in a state that may go there: somebody else moved it first."""

    code = "stale_transition"
    kind = Kind.CONFLICT

    def __init__(self, operation_id: int, state: str, after: str) -> None:
        super().__init__(f"operation {operation_id} is {state} and cannot become {after}; look at it again")


class NoSuchOperation(KeyturnError):
    code = "unknown_operation"
    kind = Kind.NOT_FOUND

    def __init__(self, operation_id: int) -> None:
        super().__init__(
            f"there is no operation {operation_id}; `keyturn operation list` shows those there are"
        )


class NotNow(KeyturnError):
    """The credential's or the engine's state does not allow this action."""

    code = "wrong_state"
    kind = Kind.CONFLICT


class KeyReused(KeyturnError):
    """The same idempotency key came with another request."""

    code = "idempotency_key_reused"
    kind = Kind.CONFLICT


class LeaseLost(Exception):
    """Another holder has a newer epoch, or our own clock says that the lease is over. Write nothing more."""
