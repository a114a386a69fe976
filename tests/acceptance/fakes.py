"""Accounts on fake targets, each a device of its own, managed by a running engine: no root, no sshd."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executors.fake.target import Behaviour, FakeTarget
from tests.acceptance.engine import RunningEngine

PATIENCE = 90.0  # seconds
POLL = 0.1  # seconds
POLICY, LOCKOUT = "fakes", {"threshold": 4, "window_seconds": 5.0}
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Managed:
    """One account, `svc`, and what really opens it."""

    credential: int
    target: FakeTarget

    def sent(self) -> list[str]:
        """Passwords that the target was asked to set, in their order."""
        return [request.password for request in self.target.requests("svc")]


@dataclass(frozen=True)
class Fakes:
    """Made by `among`."""

    engine: RunningEngine
    folder: Path

    @classmethod
    def among(cls, engine: RunningEngine, folder: Path) -> Fakes:
        """A crash costs logins; nobody waits for half an hour until more are allowed."""
        made = cls(engine, folder)
        made.ask("POST", "/policies", {"name": POLICY, "rules": {"lockout": LOCKOUT}})
        return made

    def account(self, behaviour: Behaviour | None = None, **device: Any) -> Managed:
        """Registered, proven and enabled. `device`: more fields, such as its zone."""
        number = next(_numbers)
        target = FakeTarget.create(self.folder / f"target{number}")
        target.set("svc", f"first-{number}", behaviour or Behaviour())
        where = {"address": str(target.path), "ports": {"fake": 1}}
        self.ask("POST", "/devices", {"name": f"fake{number}", **where, **device})
        new = {"name": f"svc@fake{number}", "secret": f"first-{number}", "policy": POLICY}
        credential = int(self.ask("POST", "/credentials", new)["id"])
        enabled = self.ask("POST", f"/credentials/{credential}/enable")["operation"]
        assert self.ended(enabled)["state"] == "succeeded"
        return Managed(credential, target)

    def rotate(self, account: Managed) -> int:
        return int(self.ask("POST", f"/credentials/{account.credential}/rotate")["operation"])

    def operation(self, number: int) -> dict[str, Any]:
        return dict(self.ask("GET", f"/operations/{number}"))

    def ended(self, number: int) -> dict[str, Any]:
        """The operation, once it has ended."""
        until = time.monotonic() + PATIENCE
        while (shown := self.operation(number))["finished"] is None:
            assert time.monotonic() < until, shown
            time.sleep(POLL)
        return shown

    def opens(self, account: Managed) -> bool:
        """Whether the target accepts what the engine says is the secret."""
        path = f"/credentials/{account.credential}/reveal"
        shown = self.ask("POST", path, {"reason": "compared by a test"})["secret"]
        return account.target.opens("svc", shown)

    def change(self, account: Managed) -> dict[str, Any]:
        """Changed to the end, and proven by the target."""
        shown = self.ended(self.rotate(account))
        assert (shown["state"], shown["outcome"]) == ("succeeded", "ok"), shown
        assert self.opens(account)
        return shown

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.engine.api(method, path, json=body)
        assert answer.ok, answer.text
        return answer.json()
