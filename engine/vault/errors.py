"""What can go wrong with secrets at rest. Messages hold names, paths and key ids, never a secret or a key."""

from __future__ import annotations

from pathlib import Path


class VaultError(Exception):
    """Base of this room's errors; the text is a sentence that a person can act on."""


class SealBroken(VaultError):
    """The sealed bytes were changed, or belong to another account, version or purpose."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the sealed secret does not open as {what}: it was altered, or it belongs to another "
            "credential, version or purpose; leave the row as it is and compare it with the escrow journal"
        )


class WrongKey(VaultError):
    """Sealed to another zone's key than the one at hand. `needed` is the id of the key that opens it."""

    def __init__(self, needed: str, given: str) -> None:
        super().__init__(
            f"sealed to the zone key {needed}, but this process holds {given}; "
            "let a worker of the zone that holds that key do it, or bring back that zone's key file"
        )
        self.needed = needed
        self.given = given


class UnknownFormat(VaultError):
    """The first byte names no format that this release knows."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"not a sealed secret of a known format ({found}); it may come from a newer release: upgrade"
        )


class CannotSeal(VaultError):
    """The secret cannot be stored, or the public key is not one that can be sealed to."""


class MissingKey(VaultError):
    """No such key here."""


class UnsafeKey(VaultError):
    """A key file is damaged, belongs to no pair, or is open to others."""


class KeyExists(VaultError):
    """A zone's key is made once; making it again would orphan all that is sealed to it."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} exists already; a zone's key is never overwritten, since it alone opens its secrets"
        )


class JournalFull(VaultError):
    """The journal's volume has no room. Nothing may be sent to a target until it has."""


class JournalBroken(VaultError):
    """The journal cannot be written or read. Nothing may be sent to a target until it can."""
