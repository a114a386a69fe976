"""Who is not let in, and who is let in but not to this."""

from __future__ import annotations

from engine.store.errors import KeyturnError, Kind


class Unauthenticated(KeyturnError):
    """Unknown, expired and revoked tokens are all alike to the caller; the log says which it was."""

    code = "unauthenticated"
    kind = Kind.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__("the token is not valid; present a current one as `Authorization: Bearer …`")


class Forbidden(KeyturnError):
    code = "forbidden"
    kind = Kind.FORBIDDEN

    def __init__(self, principal: str, permission: str, obj: str) -> None:
        super().__init__(
            f"{principal} has no right to {permission} {obj}; ask an administrator for that right"
        )


class BadToken(KeyturnError):
    """A token cannot be made or found as asked."""

    code = "bad_token_request"
    kind = Kind.INVALID


class UnusablePepper(Exception):
    """The pepper file is damaged or open to others; without it no stored token can be checked."""
