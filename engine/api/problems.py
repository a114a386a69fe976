"""Every error as a problem document (RFC 9457), without internals and without what the caller sent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError
from starlette.exceptions import HTTPException

from engine.record.errors import NotRecordable
from engine.store.database import StoreUnavailable
from engine.store.errors import KeyturnError, Kind
from engine.vault.errors import CannotSeal, JournalBroken, JournalFull
from executors.contract import TemplateError
from executors.registry import ExecutorUnavailable

MEDIA_TYPE: Final = "application/problem+json"
STATUS: Final[Mapping[Kind, HTTPStatus]] = {
    Kind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Kind.CONFLICT: HTTPStatus.CONFLICT,
    Kind.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Kind.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Kind.FORBIDDEN: HTTPStatus.FORBIDDEN,
}
# Own words: Python's names for statuses change between releases.
HTTP_CODES: Final = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    503: "not_available",
}
# A key of the caller's JSON is quoted back only if it looks like the name of a field: it could be a secret.
FIELD_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")


log = structlog.get_logger(__name__)


class Fault(BaseModel):
    """One field that cannot be what it is."""

    field: str
    problem: str


class Problem(BaseModel):
    """`code` is for programs and never changes its meaning; `detail` says what to do."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[Fault] | None = None
    wrong: list[str] | None = None
    line: int | None = None


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Fault] | None = None,
    wrong: Sequence[str] | None = None,
    line: int | None = None,
) -> JSONResponse:
    """The answer to a request that cannot be done."""
    body = Problem(
        type=f"urn:keyturn:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        errors=None if errors is None else list(errors),
        wrong=None if wrong is None else list(wrong),
        line=line,
    )
    content = body.model_dump(exclude_none=True)
    return JSONResponse(content, int(status), headers=dict(headers or {}), media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer all that handlers raise."""
    handlers: dict[type[Exception], Any] = {
        KeyturnError: _keyturn,
        RequestValidationError: _validation,
        HTTPException: _http,
        TemplateError: _template,
        ExecutorUnavailable: _no_executor,
        NotRecordable: _not_recordable,
        CannotSeal: _not_recordable,
        JournalFull: _journal_full,
        JournalBroken: _unavailable,
        StoreUnavailable: _unavailable,
        IntegrityError: _integrity,
        Exception: _unforeseen,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _keyturn(_: Request, error: KeyturnError) -> JSONResponse:
    headers = {"WWW-Authenticate": "Bearer"} if error.kind is Kind.UNAUTHENTICATED else None
    return problem(STATUS[error.kind], error.code, error.message, headers=headers)


def _validation(_: Request, error: RequestValidationError) -> JSONResponse:
    faults = [Fault(field=_place(each["loc"]), problem=each["msg"]) for each in error.errors()]
    return problem(422, "bad_input", "the request is not what this address takes", errors=faults)


def _place(location: Sequence[Any]) -> str:
    return ".".join(_shown(part) for part in location)


def _shown(part: Any) -> str:
    return str(part) if isinstance(part, int) or FIELD_NAME.fullmatch(str(part)) else "(a field)"


def _http(_: Request, error: HTTPException) -> JSONResponse:
    code = HTTP_CODES.get(error.status_code, f"http_{error.status_code}")
    return problem(error.status_code, code, error.detail, headers=error.headers)


def _template(_: Request, error: TemplateError) -> JSONResponse:
    return problem(422, "bad_template", str(error), line=error.line)


def _no_executor(_: Request, error: ExecutorUnavailable) -> JSONResponse:
    return problem(409, "no_executor", str(error))


def _not_recordable(_: Request, error: Exception) -> JSONResponse:
    return problem(422, "bad_input", str(error))


def _journal_full(_: Request, error: JournalFull) -> JSONResponse:
    log.error("journal full", error=str(error))
    return problem(
        507, "disk_full", "the escrow journal's volume is full; nothing was changed. Make room there"
    )


def _unavailable(_: Request, error: Exception) -> JSONResponse:
    log.error("not available", error=str(error))
    return problem(
        503, "not_available", "the database or the escrow journal does not take part; see GET /readyz"
    )


def _integrity(_: Request, error: IntegrityError) -> JSONResponse:
    log.warning("two requests at once", error=type(error.orig).__name__)
    return problem(
        409, "conflict", "somebody else changed the same thing at the same moment; look and try again"
    )


def _unforeseen(_: Request, error: Exception) -> JSONResponse:
    log.error("unforeseen error", error=type(error).__name__)
    return problem(
        500, "internal", "an unforeseen error; it is in the engine's log. Nothing of it was committed"
    )
