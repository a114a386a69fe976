"""Logging: structlog over the standard library. Every line passes the redactor of the secrets in use."""

from __future__ import annotations

import json as jsonlib
import logging
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from executors.contract.parts import MASK
from executors.contract.redaction import Redactor
from executors.contract.secret import Secret

TALKATIVE = ("amqp", "celery", "kombu", "paramiko", "urllib3", "uvicorn")
"""Libraries that log what passes through them; nothing below WARNING is wanted from them."""

URL_FIELD = re.compile(
    r"(?:^|_)(?:url|uri|path|href|link|location|referer|referrer|target_url)$", re.IGNORECASE
)
QUERY = re.compile(r"(\b[a-z][a-z0-9+.-]{1,20}://[^\s?#'\"]*)[?#][^\s'\"]*", re.IGNORECASE)


class _Registry:
    """The secrets in use in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_use: dict[object, tuple[Secret, ...]] = {}
        self._redactor = Redactor(())

    def add(self, secrets: tuple[Secret, ...]) -> object:
        token = object()
        with self._lock:
            self._in_use[token] = secrets
            self._rebuild()
        return token

    def remove(self, token: object) -> None:
        with self._lock:
            del self._in_use[token]
            self._rebuild()

    def redact(self, text: str) -> str:
        return self._redactor.redact(text)  # replaced as a whole, so no lock is needed to read it

    def _rebuild(self) -> None:
        self._redactor = Redactor(secret for secrets in self._in_use.values() for secret in secrets)


_registry = _Registry()


@contextmanager
def protect(secrets: Iterable[Secret]) -> Iterator[None]:
    """Keep these secrets out of every log line of this process while the block runs. Any thread; nests."""
    token = _registry.add(tuple(secrets))
    try:
        yield
    finally:
        _registry.remove(token)


def configure(level: str, stream: TextIO, *, json: bool) -> None:
    """Log to `stream` from `level` ("DEBUG" … "ERROR") on, as JSON or for people. May be called again."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_secrets,
        _without_queries,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            _without_secrets,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = _Handler(stream)
    handler.setFormatter(_Formatter(shared, json=json))
    root = logging.getLogger()
    for earlier in [known for known in root.handlers if isinstance(known, _Handler)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(level)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(True)


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        """The standard one prints the message and its arguments to stderr, past every redactor."""
        kind = sys.exc_info()[0]
        what = kind.__name__ if kind else "unknown"
        try:
            self.stream.write(
                f"[a log line of {record.pathname}:{record.lineno} could not be written: {what}]\n"
            )
        except (OSError, ValueError):  # the stream itself is gone or closed
            return


class _Formatter(structlog.stdlib.ProcessorFormatter):
    def __init__(self, shared: list[Processor], *, json: bool) -> None:
        self._json = json
        # Plain tracebacks: rich ones, structlog's default where rich is installed, show local variables.
        people = structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        )
        machines: list[Processor] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
        super().__init__(
            foreign_pre_chain=shared,
            processors=[self.remove_processors_meta, *(machines if json else [people])],
        )

    def format(self, record: logging.LogRecord) -> str:
        record.args = _shown(record.args)
        line = super().format(record)
        redacted = _registry.redact(line)
        if not self._json or redacted == line or _is_json(redacted):
            return redacted
        return jsonlib.dumps({"event": MASK, "level": record.levelname.lower()})


def _is_json(line: str) -> bool:
    try:
        jsonlib.loads(line)
    except ValueError:
        return False
    return True


def _shown(value: Any) -> Any:
    """The value with `repr` in place of secrets, at any depth of plain containers."""
    if isinstance(value, Secret):
        return repr(value)
    if isinstance(value, Mapping):
        return {_shown(name): _shown(inner) for name, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(_shown(inner) for inner in value)
    if isinstance(value, list | set | frozenset):
        return [_shown(inner) for inner in value]
    return value


def _without_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {name: value if name == "exc_info" else _shown(value) for name, value in event.items()}


def _without_queries(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {name: _without_query(name, value) for name, value in event.items()}


def _without_query(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if URL_FIELD.search(name):
        return re.split(r"[?#]", value, maxsplit=1)[0]
    return QUERY.sub(r"\1", value)
