"""The command line with the engine's answers written down in the test: only the HTTP client is replaced."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from engine.cli.client import Client
from engine.cli.frame import Shared
from engine.cli.main import main


@pytest.fixture(autouse=True)
def core_limit_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """`main` lowers it for good, here for all tests that follow in this process."""
    monkeypatch.setattr("resource.setrlimit", lambda *_: None)


Answer = Any | Exception | Callable[[Any], Any]


@dataclass
class FakeEngine(Client):
    """Answers by method and path; several to one call are given in turn, the last for ever."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def answer(self, call: str, *answers: Answer) -> None:
        self.answers[call] = list(answers)

    def get(self, path: str, **query: Any) -> Any:
        return self._told(f"GET {path}", query)

    def post(self, path: str, body: Any = None, key: str | None = None) -> Any:  # noqa: ARG002 - as the client's
        return self._told(f"POST {path}", body)

    def put(self, path: str, body: Any) -> Any:
        return self._told(f"PUT {path}", body)

    def lines(self, path: str) -> Iterator[str]:
        return iter(self._told(f"GET {path}", None))

    def ready(self) -> list[str]:
        return self.wrong

    def _told(self, call: str, sent: Any) -> Any:
        self.calls.append((call, sent))
        answers = self.answers[call]
        told = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(told, Exception):
            raise told
        return told

    def sent(self, call: str) -> Any:
        return next(sent for made, sent in self.calls if made == call)


@dataclass
class Keyturn:
    """The command as a person types it."""

    engine: FakeEngine

    def __call__(self, *arguments: str, stdin: str | bytes | None = None) -> Result:
        shared = Shared(connect=lambda _: self.engine)
        return CliRunner().invoke(main, arguments, input=stdin, obj=shared)

    def json(self, *arguments: str, stdin: str | bytes | None = None, code: int = 0) -> Any:
        result = self(*arguments, "--json", stdin=stdin)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)


@pytest.fixture
def keyturn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Keyturn:
    monkeypatch.setattr("engine.cli.waiting.FIRST_PAUSE", 0.0)
    monkeypatch.setattr("engine.cli.waiting.LONGEST_PAUSE", 0.0)
    monkeypatch.chdir(tmp_path)
    return Keyturn(FakeEngine())


@pytest.fixture(autouse=True)
def resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that knows `localhost` and nothing else."""

    def known(host: str, *_: object, **__: object) -> list[Any]:
        if host != "localhost":
            raise socket.gaierror("no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", known)
