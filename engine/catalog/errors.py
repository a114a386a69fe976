"""What the catalog refuses, why, and what to do about it."""

from __future__ import annotations

from engine.store.errors import KeyturnError, Kind


class BadInput(KeyturnError):
    """A field holds what it cannot hold."""

    code = "bad_input"
    kind = Kind.INVALID

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class UnknownZone(KeyturnError):
    code = "unknown_zone"
    kind = Kind.NOT_FOUND

    def __init__(self, name: str, known: list[str]) -> None:
        there = (
            f"known zones: {', '.join(known)}"
            if known
            else "there are none yet; the first `keyturn up` or `keyturn worker` makes one"
        )
        super().__init__(f"there is no zone {name!r}; {there}")


class UnknownWorker(KeyturnError):
    code = "unknown_worker"
    kind = Kind.NOT_FOUND

    def __init__(self, name: str, alive: list[str]) -> None:
        there = f"at work are: {', '.join(alive)}" if alive else "none is at work"
        super().__init__(f"there is no worker {name!r} at work; {there}")


class ZoneKeyDiffers(KeyturnError):
    code = "zone_key_differs"
    kind = Kind.CONFLICT

    def __init__(self, name: str) -> None:
        super().__init__(
            f"zone {name} is registered with another public key; secrets are sealed to that one, "
            "so start this process with the key files that belong to this database"
        )


class UnknownDevice(KeyturnError):
    code = "unknown_device"
    kind = Kind.NOT_FOUND

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no device {name!r}; add it with `keyturn device add`")


class DuplicateDevice(KeyturnError):
    code = "duplicate_device"
    kind = Kind.CONFLICT

    def __init__(self, name: str, first_id: int, address: str) -> None:
        super().__init__(
            f"device {name} is registered already (id {first_id}, address {address}); "
            "use that one, or choose another name"
        )


class UnknownCredential(KeyturnError):
    code = "unknown_credential"
    kind = Kind.NOT_FOUND

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no credential {name}; add it with `keyturn credential add`")


class AmbiguousCredential(KeyturnError):
    code = "ambiguous_credential"
    kind = Kind.CONFLICT

    def __init__(self, name: str, kinds: list[str]) -> None:
        super().__init__(f"{name} has several secrets ({', '.join(kinds)}); say which kind you mean")


class DuplicateCredential(KeyturnError):
    code = "duplicate_credential"
    kind = Kind.CONFLICT

    def __init__(self, first_id: int, first: str, what: str) -> None:
        super().__init__(
            f"{what} is registered already as {first} (id {first_id}); an account is registered once, "
            "use that credential, or link a place that holds the same secret with `--parent … --link same`"
        )
        self.first_id = first_id


class NeverTouched(KeyturnError):
    code = "never_touched"
    kind = Kind.INVALID


class WrongState(KeyturnError):
    code = "wrong_state"
    kind = Kind.CONFLICT


class ParentCycle(KeyturnError):
    code = "parent_cycle"
    kind = Kind.CONFLICT


class TooDeep(KeyturnError):
    code = "too_deep"
    kind = Kind.CONFLICT


class InUse(KeyturnError):
    code = "in_use"
    kind = Kind.CONFLICT


class UnknownPolicy(KeyturnError):
    code = "unknown_policy"
    kind = Kind.NOT_FOUND

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"there is no policy {name!r}; known policies: {', '.join(known) or 'none'}")


class DuplicateRule(KeyturnError):
    code = "duplicate_rule"
    kind = Kind.CONFLICT

    def __init__(self, what: str, name: str) -> None:
        super().__init__(f"there is a {what} {name!r} already; choose another name")
