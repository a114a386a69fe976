"""The running engine, found through its data directory and asked over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter

from engine.cli import exits
from engine.cli.errors import CommandFailed
from engine.cli.exits import Exit

ENDPOINT: Final = "engine.json"
TOKEN: Final = "admin.token"  # noqa: S105 - the name of a file
CONNECT_TIMEOUT: Final = 5.0  # seconds
READ_TIMEOUT: Final = 60.0  # seconds without a byte


@dataclass(frozen=True)
class Endpoint:
    """Where an engine listens. `certificate_sha256` is that of its own certificate, if it speaks TLS."""

    url: str
    certificate_sha256: str | None = None


class _Pinned(HTTPAdapter):
    """Speaks with whoever shows this very certificate, whatever name it was given and whoever signed it: the
    engine itself has written down which one is its own."""

    def __init__(self, certificate_sha256: str) -> None:
        self._pin = certificate_sha256
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, assert_fingerprint=self._pin, **options)


class Client:
    """Calls to one engine. Proxies and .netrc of the environment are not used: they would see secrets."""

    def __init__(self, url: str, token: str, certificate_sha256: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False
        if certificate_sha256 is not None:
            self._session.mount("https://", _Pinned(certificate_sha256))
            self._session.verify = False  # not by authorities: the pin is compared in any case
        self._session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **query: Any) -> Any:
        return self._json("GET", path, params=query)

    def post(self, path: str, body: Any = None, key: str | None = None) -> Any:
        """`key` is an idempotency key: the same request sent again is answered as the first was."""
        headers = {"Idempotency-Key": key} if key else {}
        return self._json("POST", path, json={} if body is None else body, headers=headers)

    def put(self, path: str, body: Any) -> Any:
        return self._json("PUT", path, json=body)

    def lines(self, path: str) -> Iterator[str]:
        """The lines of a streamed text, as they come."""
        answer = self._send("GET", path, stream=True)
        try:
            for line in answer.iter_lines(decode_unicode=False):
                yield line.decode("ascii", "replace")
        except requests.RequestException as error:
            raise unreachable(self._url, error) from None

    def ready(self) -> list[str]:
        """What keeps the engine from working; nothing if it is ready."""
        answer = self._request("GET", "/readyz")
        return [] if answer.ok else problem_of(answer).get("wrong") or [f"it answered {answer.status_code}"]

    def _json(self, method: str, path: str, **options: Any) -> Any:
        answer = self._send(method, path, **options)
        return answer.json() if answer.content else None

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        answer = self._request(method, f"/api/v1{path}", **options)
        if not answer.ok:
            problem = problem_of(answer)
            code = str(problem.get("code", f"http_{answer.status_code}"))
            raise CommandFailed(exits.of_status(answer.status_code, code), _sentence(answer, problem), code)
        return answer

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        try:
            return self._session.request(
                method,
                self._url + path,
                timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                allow_redirects=False,
                **options,
            )
        except requests.RequestException as error:
            raise unreachable(self._url, error) from None


def unreachable(url: str, error: requests.RequestException) -> CommandFailed:
    """Names the kind of error only: its text quotes the URL with its query."""
    what = f"the engine at {url} does not answer ({type(error).__name__}); is `keyturn up` running?"
    return CommandFailed(Exit.NO_ENGINE, what, "engine_unreachable")


def problem_of(answer: requests.Response) -> dict[str, Any]:
    try:
        problem = answer.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _sentence(answer: requests.Response, problem: dict[str, Any]) -> str:
    detail = str(problem.get("detail") or f"the engine answered {answer.status_code}")
    fields = [f"{each.get('field')}: {each.get('problem')}" for each in problem.get("errors", [])]
    return "; ".join([detail, *fields])


def connect(data: Path | None) -> Client:
    """The engine of that data directory. Raises CommandFailed where there is none, or it cannot be read."""
    if data is None:
        raise CommandFailed(
            Exit.NO_ENGINE, "say where the engine's data is: --data DIR or KEYTURN_DATA", "no_data_directory"
        )
    found = endpoint(data)
    if found is None:
        raise CommandFailed(
            Exit.NO_ENGINE,
            f"no engine runs on {data}; start one: keyturn up --data {data}",
            "engine_not_running",
        )
    return Client(found.url, _token(data / TOKEN), found.certificate_sha256)


def endpoint(data: Path) -> Endpoint | None:
    """Where the engine of that directory listens; None if none has been started, or it has ended."""
    try:
        found = json.loads((data / ENDPOINT).read_text())
        url, pin = str(found["url"]), found.get("certificate_sha256")
        return Endpoint(url, None if pin is None else str(pin))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandFailed(
            Exit.NO_ENGINE, f"{data / ENDPOINT} cannot be read: {type(error).__name__}", "bad_endpoint_file"
        ) from None


def _token(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        why = f"the token {path} cannot be read: {error.strerror}; run this as the user that runs the engine"
        raise CommandFailed(Exit.NOT_PERMITTED, why, "token_unreadable") from None
