"""The HTTP surface as one application."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

from fastapi import APIRouter, FastAPI

from engine.api import (
    audit,
    credentials,
    devices,
    health,
    operations,
    receivers,
    restored,
    rules,
    templates,
    trials,
    workers,
)
from engine.api.context import ApiContext
from engine.api.limits import AccessLog, BodyLimit
from engine.api.problems import MEDIA_TYPE, Problem, install

PREFIX: Final = "/api/v1"
WORDS: Final[dict[int | str, str]] = {
    "default": "Anything else; `code` says what.",
    401: "No valid token.",
    403: "The token's holder has no right to this.",
    422: "The request is not what this address takes; what was sent is never quoted.",
}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Problem, "description": words, "content": {MEDIA_TYPE: {}}}
    for status, words in WORDS.items()
}


def create_app(context: ApiContext) -> FastAPI:
    """The application of one process. Serve it without the server's own access log: that one has queries."""
    app = FastAPI(
        title="Keyturn",
        version=version("keyturn"),
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # both pages load scripts from other hosts
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.context = context
    routes = APIRouter(prefix=PREFIX, responses=PROBLEMS)
    rooms = (devices, credentials, rules, templates, trials, operations, audit, receivers, restored, workers)
    for room in rooms:
        routes.include_router(room.router)
    app.include_router(routes)
    app.include_router(health.router)
    install(app)
    app.add_middleware(BodyLimit, limit=context.settings.max_body)
    app.add_middleware(AccessLog)  # added last: it is the outermost, so that it sees what BodyLimit refuses
    return app
