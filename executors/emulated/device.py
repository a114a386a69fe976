"""An emulated device: its accounts, what it has saved, and the target's own record of both."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

from executors.emulated.account import HONEST, Access, Account, Lies, Refusal, Rules
from executors.emulated.console import Console, Keys
from executors.emulated.trouble import Troubles

if TYPE_CHECKING:
    from executors.emulated.session import Session

LINES_KEPT: Final = 10_000
MOST_COMING: Final = 100  # changes that are not in force yet
MOST_ACCOUNTS: Final = 1_000  # templates create accounts; a flood of them must not fill the memory


@dataclass(frozen=True)
class LoginWords:
    """The login that a device itself asks for, over Telnet or at its console."""

    name: str  # the prompt for the account; {host}
    word: str  # the prompt for its password; {user}
    refused: str
    locked: str = ""  # if it differs from `refused`
    greeting: str = ""
    tries: int = 3


@dataclass(frozen=True)
class Platform:
    """A product: its session, and what of it is data."""

    name: str
    title: str
    session: type[Session]
    login: LoginWords
    keys: Keys
    rules: Rules = field(default_factory=Rules)
    hostname: str = "device"
    banner: str = ""
    page: int | None = None  # lines until the pager stops; None without one
    saves: bool = False  # it has a startup configuration of its own
    services: tuple[str, ...] = ()  # such as the enable secret: accounts that open no login


class Served(Protocol):
    """What the servers need of a device."""

    def authenticate(self, name: str, password: str) -> Access: ...

    def open(
        self, username: str | None = None, command: str | None = None, *, terminal: bool = True
    ) -> Console: ...


class Device:
    """`lock_holder`: who holds the configuration lock, if not us. Times are seconds of `clock`."""

    def __init__(
        self,
        platform: Platform,
        accounts: Iterable[Account],
        *,
        rules: Rules | None = None,
        lies: Lies = HONEST,
        troubles: Troubles | None = None,
        banner: str | None = None,
        lock_holder: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.platform = platform
        self.rules = rules or platform.rules
        self.lies = lies
        self.troubles = troubles or {}
        self.banner = platform.banner if banner is None else banner
        self.lock_holder = lock_holder
        self.lock = threading.RLock()
        self._clock = clock
        self._accounts = {account.name: replace(account) for account in accounts}
        self._startup = deepcopy(self._accounts)
        self._received: deque[str] = deque(maxlen=LINES_KEPT)
        self._coming: list[tuple[float, str, str]] = []  # when, whose, what
        self._armed: tuple[float, dict[str, Account]] | None = None

    @property
    def received(self) -> list[str]:
        """The lines that arrived, secrets in clear: what was typed at prompts of every kind."""
        return list(self._received)

    def opens(self, name: str, password: str) -> bool:
        """The device's own record: whether this password opens the account now. Counts as no try."""
        with self.lock:
            account = self.find(name)
            return account is not None and not account.locked and self._matches(account, password)

    def authenticate(self, name: str, password: str) -> Access:
        """A try to log in; too many failed ones lock the account."""
        with self.lock:
            account = self.find(name)
            if account is None or account.service:
                return Access.REFUSED
            return self.tried(account, password)

    def tried(self, account: Account, password: str) -> Access:
        """A try to open what this account opens."""
        with self.lock:
            if account.locked:
                return Access.LOCKED
            if self._matches(account, password):
                account.failed = 0
                return Access.OPENS
            account.failed += 1
            account.locked = self.rules.tries is not None and account.failed >= self.rules.tries
            return Access.REFUSED

    def open(
        self, username: str | None = None, command: str | None = None, *, terminal: bool = True
    ) -> Console:
        """A session: of an account that has logged in, or, without a name, one that asks for the login."""
        console = Console(self.platform.keys, self._received.append, self.lock, terminal=terminal)
        with self.lock:
            console.start(self.platform.session.entered(self, console, username, command))
        return console

    def find(self, name: str) -> Account | None:
        self._settle()
        return self._accounts.get(name)

    def accounts(self) -> list[Account]:
        """Those that log in, in the order in which they were made."""
        self._settle()
        return [account for account in self._accounts.values() if not account.service]

    def add(self, account: Account) -> None:
        if len(self._accounts) < MOST_ACCOUNTS:
            self._accounts[account.name] = account

    def remove(self, name: str) -> None:
        self._accounts.pop(name, None)

    def judge(self, name: str, new: str) -> Refusal | None:
        """What the rules say of a password, without a change."""
        account = self.find(name)
        return Refusal.MISSING if account is None else self.rules.judge(account, new, self._clock())

    def change(self, name: str, new: str, *, by_rules: bool = True) -> Refusal | None:
        """What the device answers; what it does may differ, as `lies` says."""
        refusal = self.judge(name, new)
        if refusal is Refusal.MISSING or (refusal and by_rules):
            return refusal
        if not self.lies.says_yes_but_does_not:
            coming = (self._clock() + self.lies.late, name, self.lies.stored(new))
            self._coming = [*self._coming, coming][-MOST_COMING:]
            self._settle()
        return Refusal.TOO_SIMPLE if self.lies.says_no_but_does else None

    def save(self) -> None:
        """What runs is what a restart begins with."""
        if not self.lies.forgets:
            self._startup = deepcopy(self._accounts)

    @property
    def is_saved(self) -> bool:
        return not self.platform.saves or _passwords(self._accounts) == _passwords(self._startup)

    def reload(self) -> None:
        """A restart: what was not saved is lost, where the platform saves."""
        if self.platform.saves:
            self._accounts = deepcopy(self._startup)
            self._coming.clear()

    def arm(self, seconds: float) -> None:
        """Undo what follows unless it is confirmed in time."""
        self._armed = (self._clock() + seconds, deepcopy(self._accounts))

    def disarm(self) -> bool:
        """Confirm; False if nothing was armed, or it was undone already."""
        self._settle()
        armed, self._armed = self._armed, None
        return armed is not None

    def _settle(self) -> None:
        now = self._clock()
        for due, name, new in self._coming:
            account = self._accounts.get(name)
            if account is not None and due <= now:
                account.before = [*account.before, account.password][-max(1, self.rules.remembers) :]
                account.password, account.changed_at, account.must_change = new, now, False
        self._coming = [each for each in self._coming if each[0] > now]
        if self._armed is not None and self._armed[0] <= now:
            self._accounts, self._armed = self._armed[1], None

    def _matches(self, account: Account, password: str) -> bool:
        return self.lies.compared(password) == self.lies.compared(account.password)


def _passwords(accounts: dict[str, Account]) -> dict[str, str]:
    return {name: account.password for name, account in accounts.items()}
