"""A disposable SSH target as a process of its own: `python -m tests.targets.sshbox [--hold FILE]`.

Lines of JSON both ways. The first line on standard input lists the accounts; the first on standard output
names port and host key. Each further line asks for the target's own record of one account, as
`tests.targets.box.Box` does. It ends with its standard input, so it outlives nobody.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import asyncssh

from tests.targets.accounts import Accounts
from tests.targets.shell import Console, Shell

LOOPBACK = "127.0.0.1"


class _Door(asyncssh.SSHServer):
    """Passwords only."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        account = self._accounts.find(username)
        return account is not None and account.opens(password)


async def _serve(accounts: Accounts, host: str, port: int) -> dict[str, Any]:
    key = asyncssh.generate_private_key("ssh-ed25519")

    async def session(process: asyncssh.SSHServerProcess[str]) -> None:
        user = accounts.find(process.get_extra_info("username"))
        assert user is not None  # it has just logged in
        shell = Shell(accounts, Console(process), user, root=user.uid == 0)
        work = shell.interact() if process.command is None else shell.run(process.command)
        try:
            process.exit(await work)
        except (OSError, asyncssh.Error):
            return  # whoever asked has gone

    acceptor = await asyncssh.listen(
        host,
        port,
        server_host_keys=[key],
        server_factory=lambda: _Door(accounts),
        process_factory=session,
        line_editor=False,
        errors="replace",
    )
    return {"port": acceptor.get_port(), "host_key": key.export_public_key().decode().strip()}


def _record(accounts: Accounts, question: dict[str, Any]) -> dict[str, Any]:
    account = accounts.find(question["account"])
    if account is None:
        return {"error": "no such account"}
    if "password" in question:
        return {"holds": account.has(question["password"])}
    return {"held": account.held, "locked": account.locked, "withheld": account.withheld}


async def _main(host: str, port: int, hold: Path | None) -> None:
    asked = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
    accounts = Accounts(json.loads(await asked.readline()), hold)
    _tell(await _serve(accounts, host, port))
    while line := await asked.readline():
        _tell(_record(accounts, json.loads(line)))


def _tell(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--hold", type=Path, help="while this file exists, no change is answered")
    given = parser.parse_args()
    asyncio.run(_main(given.host, given.port, given.hold))
