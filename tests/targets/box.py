"""Starts a disposable SSH target and asks it for its own record."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

PATIENCE = 60.0  # seconds


@dataclass(frozen=True)
class NewAccount:
    name: str
    password: str = field(repr=False)
    sudoer: bool = False
    locked: bool = False


class Box:
    """`python -m tests.targets.sshbox`, on a free port of loopback unless another place is named."""

    def __init__(
        self,
        accounts: Sequence[NewAccount],
        hold: Path | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
        within: Sequence[str] = (),
    ) -> None:
        """`hold`: while this file exists, the answer to a change is kept back.

        `within`: what the command line begins with, to be started in another network.
        """
        self.address = address
        command = [
            *within,
            sys.executable,
            "-m",
            "tests.targets.sshbox",
            "--host",
            address,
            "--port",
            str(port),
        ]
        self._process = subprocess.Popen(
            [*command, "--hold", str(hold)] if hold else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            start_new_session=True,  # an interrupt at the keyboard is for whoever started it
        )
        started = self._ask([asdict(each) for each in accounts])
        self.port: int = started["port"]
        self.host_key: str = started["host_key"]

    @property
    def pid(self) -> int:
        return self._process.pid

    def holds(self, account: str, password: str) -> bool:
        """Whether this is the account's password now."""
        return bool(self._ask({"account": account, "password": password})["holds"])

    def held(self, account: str) -> list[str]:
        """Every password that the account ever had, oldest first; the last one is in force."""
        return cast(list[str], self._ask({"account": account})["held"])

    def withholds(self, account: str) -> bool:
        """Whether a change was made whose answer is being kept back."""
        return bool(self._ask({"account": account})["withheld"])

    def stop(self) -> None:
        """It ends by itself with its standard input; by force if it does not."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _ask(self, question: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)
        return cast(dict[str, Any], json.loads(self._process.stdout.readline()))
