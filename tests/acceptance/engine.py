"""The real engine, a real sshd and real accounts behind the real commands."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import requests

from tests.demo.engine import Engine
from tests.peers.accounts import LocalAccounts
from tests.peers.sshd import SshServer

TICK = "0.2"  # seconds: what waits for the next look need not wait long in a test
T = TypeVar("T")
_numbers = itertools.count(1)


class RunningEngine(Engine):
    """`keyturn up` with settings of its own, `KEYTURN_<NAME>=value`; its API as well as its commands."""

    role = "up"

    def __init__(self, data: Path, *arguments: str | Path, **settings: str) -> None:
        super().__init__(data)
        self._arguments = arguments
        self._settings = {f"KEYTURN_{name.upper()}": value for name, value in settings.items()}

    def launch(self, listen: str = "127.0.0.1:0") -> None:
        where = ("--data", self.data, "--listen", listen)
        self._begin(self.role, *where, *self._arguments, **{"KEYTURN_TICK": TICK, **self._settings})

    def api(self, method: str, path: str, token: str | None = None, **options: Any) -> requests.Response:
        """One request below /api/v1, with the administrator's token unless another is given."""
        held = token or (self.data / "admin.token").read_text().strip()
        headers = {"Authorization": f"Bearer {held}", **options.pop("headers", {})}
        return requests.request(
            method, f"{self.url}/api/v1{path}", headers=headers, timeout=60, allow_redirects=False, **options
        )


@dataclass(frozen=True)
class Ended:
    """How a command that waits for an operation ended."""

    exit: int
    operation: int
    state: str
    outcome: str | None

    @property
    def end(self) -> tuple[int, str, str | None]:
        return self.exit, self.state, self.outcome


@dataclass(frozen=True)
class Refused:
    """What a command that refused said. With --json it is one problem document."""

    exit: int
    code: str
    detail: str


@dataclass
class Site:
    """One engine, one sshd, real accounts. Names of accounts are new each time: tests do not share them."""

    engine: RunningEngine
    sshd: SshServer
    accounts: LocalAccounts

    def account(self, suffix: str, secret: str | None = None, **options: Any) -> str:
        return self.accounts.add(f"{suffix}{next(_numbers)}", secret, **options)

    def device(self, server: SshServer | None = None, *options: str, key: str | None = None) -> str:
        """A new device at `server`; `key` in place of the server's own."""
        place, name = server or self.sshd, f"box{next(_numbers)}"
        line = key or place.host_key_line
        where = ("--address", place.host, "--port", f"ssh={place.port}", "--host-key", line)
        self.engine.ask("device", "add", name, *where, *options)
        return name

    def add(self, name: str, secret: str, *options: str) -> dict[str, Any]:
        """`credential add --enable`, the secret by standard input."""
        return dict(self.engine.ask(*ADD, name, *FROM_INPUT, "--enable", *options, stdin=secret + "\n"))

    def own(self, suffix: str, secret: str, device: str, *options: str, **account: Any) -> tuple[str, str]:
        """A new account that is managed: its name on the machine, and that of its credential."""
        user = self.account(suffix, secret, **account)
        self.add(f"{user}@{device}", secret, *options)
        return user, f"{user}@{device}"

    def rotate(self, name: str, timeout: float = 50) -> Ended:
        return self.wait("credential", "rotate", name, "--wait", "--timeout", str(timeout))

    def wait(self, *command: str) -> Ended:
        """A command that prints where an operation stands."""
        done = self.engine.run(*command, "--json")
        assert done.stdout, done.stderr
        shown = json.loads(done.stdout)
        return Ended(done.returncode, shown["operation"], shown["state"], shown["outcome"])

    def refused(self, *command: str | Path, stdin: str = "") -> Refused:
        """A command that must not succeed and must leave standard output empty."""
        done = self.engine.run(*command, "--json", stdin=stdin)
        assert done.returncode != 0, f"{command} was not refused"
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        error = json.loads(done.stderr)["error"]
        assert error["exit"] == done.returncode
        return Refused(error["exit"], error["code"], error["detail"])

    # Looking goes through the API: a command costs half a second, and its own tests are elsewhere.

    def look(self, path: str, **query: Any) -> Any:
        answer = self.engine.api("GET", path, params=query)
        assert answer.ok, answer.text
        return answer.json()

    def credential(self, name: str) -> dict[str, Any]:
        return dict(self.look(f"/credentials/named/{quote(name, safe='')}"))

    def state(self, name: str) -> str:
        return str(self.credential(name)["state"])

    def history(self, name: str) -> list[dict[str, Any]]:
        """Versions, newest first."""
        return list(self.look(f"/credentials/{self.credential(name)['id']}/history"))

    def operation(self, number: int) -> dict[str, Any]:
        return dict(self.look(f"/operations/{number}"))

    def operations(self, **query: Any) -> list[dict[str, Any]]:
        return list(self.look("/operations", **query))

    def revealed(self, name: str) -> str:
        path = f"/credentials/{self.credential(name)['id']}/reveal"
        answer = self.engine.api("POST", path, json={"reason": "compared by a test"})
        assert answer.ok, answer.text
        return str(answer.json()["secret"])

    def vault_opens(self, name: str) -> bool:
        """Whether the target's own record accepts what the vault says is the password."""
        return self.accounts.opens(name.partition("@")[0], self.revealed(name))

    def document(self, content: Mapping[str, Any]) -> Path:
        """A file for `policy add` and `profile add`."""
        path = self.engine.data.parent / f"document{next(_numbers)}.json"
        path.write_text(json.dumps(content))
        return path

    def policy(self, **rules: Any) -> str:
        name = f"policy-{next(_numbers)}"
        self.engine.ask("policy", "add", name, self.document(rules))
        return name


def at_once(run: Callable[[str], T], names: Sequence[str]) -> list[T]:
    """For each name, all at the same time."""
    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(run, names))


ADD = ("credential", "add")
FROM_INPUT = ("--secret-file", "-")


@contextmanager
def running(engine: RunningEngine) -> Iterator[RunningEngine]:
    """Started on entry; nothing of it is left running."""
    try:
        engine.start()
        yield engine
    finally:
        engine.end()
