"""What surrounds every request: the size of its body, no caching of the answer, one line in the log."""

from __future__ import annotations

import re
import time
from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.api.problems import problem

UNCACHED: Final = (b"cache-control", b"no-store")

log = structlog.get_logger(__name__)


class BodyLimit:
    """Refuses a body above `limit` bytes: by its announced length, else as soon as it has come too far."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if self._announced(scope) > self._limit:
            return await problem(413, "too_large", self._sentence())(scope, receive, send)
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise HTTPException(413, self._sentence())
            return message

        return await self._app(scope, counted, send)

    def _announced(self, scope: Scope) -> int:
        """HTTP servers let only digits through (RFC 9110 8.6)."""
        given = dict(scope["headers"]).get(b"content-length", b"0")
        return int(given) if given.isdigit() else 0

    def _sentence(self) -> str:
        return f"the body is larger than {self._limit} bytes"


class AccessLog:
    """Method, route, status and milliseconds. Never a query string: applications put secrets there."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, status = time.monotonic(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), UNCACHED]
            await send(message)

        try:
            return await self._app(scope, receive, watched)
        finally:
            milliseconds = round((time.monotonic() - started) * 1000)
            log.info("request", method=scope["method"], path=_route(scope), status=status, ms=milliseconds)


def _route(scope: Scope) -> str:
    """The path with its parameters' names in place of their values: a secret may have been pasted there."""
    route = scope.get("route")
    if route is None:
        return "(no such address)"
    own = re.search(route.path_regex.pattern.removeprefix("^"), scope["path"])  # without the router's prefix
    return f"{scope['path'][: own.start()] if own else ''}{route.path}"
