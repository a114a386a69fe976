"""What all contenders stand on: one sshd, and accounts of this machine that each may log in to."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from tests.peers.accounts import LocalAccounts
from tests.peers.sshd import SshServer

T = TypeVar("T")
R = TypeVar("R")

LANES = 8  # changes at a time
KEX = "curve25519-sha256,curve25519-sha256@libssh.org"  # one exchange under two names


@dataclass(frozen=True, slots=True)
class Login:
    name: str
    password: str


@dataclass(frozen=True, slots=True)
class Lane:
    """What one thread works through, with an administrator of its own."""

    admin: Login
    accounts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ground:
    """`lanes` are changed by administrators, `selves` change their own password."""

    host: str
    port: int
    host_key: str
    server: int
    accounts: LocalAccounts
    lanes: tuple[Lane, ...]
    selves: tuple[str, ...]

    @property
    def managed(self) -> tuple[str, ...]:
        return tuple(name for lane in self.lanes for name in lane.accounts)

    def proven(self, logins: Sequence[Login]) -> int:
        """How many of these does the target's own record confirm."""
        return sum(self.accounts.opens(login.name, login.password) for login in logins)


@contextmanager
def prepared(each: int, own: int) -> Iterator[Ground]:
    """`each` accounts for each of eight administrators, and `own` that change themselves. Needs root."""
    server = SshServer({"KexAlgorithms": KEX, "MaxStartups": "200", "MaxSessions": "100"})
    accounts = LocalAccounts()
    try:
        lanes = tuple(_lane(accounts, number, each) for number in range(LANES))
        selves = tuple(accounts.add(f"s{number}", password()) for number in range(own))
        yield Ground(server.host, server.port, server.host_key_line, server.pid, accounts, lanes, selves)
    finally:
        server.stop()
        accounts.remove_all()


def _lane(accounts: LocalAccounts, number: int, size: int) -> Lane:
    secret = password()
    admin = accounts.add(f"admin{number}", secret, sudo=["ALL"])
    return Lane(Login(admin, secret), tuple(accounts.add(f"a{number}x{i}", password()) for i in range(size)))


def password() -> str:
    return secrets.token_urlsafe(18)


def set_passwords(logins: Sequence[Login]) -> None:
    """As root, behind everybody's back."""
    lines = "".join(f"{login.name}:{login.password}\n" for login in logins)
    subprocess.run(["chpasswd"], input=lines, text=True, check=True, capture_output=True)


def together(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`work` on each, at most eight at a time."""
    with ThreadPoolExecutor(LANES) as pool:
        return list(pool.map(work, items))
