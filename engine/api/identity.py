"""Who calls, and whether they may: the one place where a request meets `engine.access`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from engine.access import tokens
from engine.access.errors import Unauthenticated
from engine.access.service import Permission, Principal, allow
from engine.api.context import Context
from executors.contract import Secret

bearer = HTTPBearer(auto_error=False, description="A token as `keyturn up` or an administrator made it.")


def authenticated(
    context: Context, given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> Principal:
    """Raises Unauthenticated."""
    if given is None:
        raise Unauthenticated
    with context.database.reading() as connection:
        return tokens.authenticate(connection, context.pepper, Secret(given.credentials))


def _may(permission: Permission, area: str) -> Callable[..., Principal]:
    def checked(principal: Annotated[Principal, Depends(authenticated)]) -> Principal:
        allow(principal, permission, area)
        return principal

    return checked


def _caller(permission: Permission, area: str) -> Any:
    return Depends(_may(permission, area))


# For handlers to which it does not matter who it is:
Readable = _caller(Permission.SEE, "what is managed here")
Administered = _caller(Permission.ADMINISTER, "what is managed here")
# For those that write the caller down:
Administrator = Annotated[Principal, Administered]
Requester = Annotated[Principal, _caller(Permission.REQUEST, "operations")]
Revealer = Annotated[Principal, _caller(Permission.REVEAL, "secrets")]
TranscriptReader = Annotated[Principal, _caller(Permission.READ_TRANSCRIPT, "transcripts")]
