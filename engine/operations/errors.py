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


class NumberTaken(Exception):
    """Somebody stored a version of that number meanwhile. Nothing was written; take the next one."""


class NotClaimed(Exception):
    """Nothing to do now. The message says why; the operation keeps its due time or gets a later one."""


class Postponed(NotClaimed):
    """It waits for what may take long, so it is looked at again after `seconds` and holds nobody up
    meanwhile."""

    def __init__(self, operation_id: int, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.operation_id = operation_id
        self.seconds = seconds


class NotAdmitted(KeyturnError):
    """Since it was asked for, the credential, or what it needs, has become such that it cannot be begun."""

    code = "wrong_state"
    kind = Kind.CONFLICT
