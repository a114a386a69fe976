"""What a command or a login shell on the target does: as much of Debian 12 as changing passwords needs."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import asyncssh

from tests.targets.accounts import Account, Accounts

PASSWD_TRIES: Final = 3  # MAX_PASSWD_TRIES of Linux-PAM's pam_unix
SUDO_TRIES: Final = 3  # `passwd_tries`, sudoers(5)
MIN_LENGTH: Final = 6  # pam_unix(8), `minlen`
INTERRUPTED: Final = 130  # 128 + SIGINT
NOT_FOUND: Final = 127
PAM_FAILED: Final = 10  # passwd(1) of shadow: E_PAM_ERR


class HungUp(Exception):
    """Whoever sat at the other end has gone, or ended the input."""


class Interrupted(Exception):
    """The interrupt character was typed."""


class Console:
    """Standard input and output of one channel, on a terminal or not."""

    def __init__(self, process: asyncssh.SSHServerProcess[str]) -> None:
        self._process = process
        self._on_terminal = process.term_type is not None
        self._typed = ""

    def say(self, text: str) -> None:
        """Prompts and errors go to standard error, which a terminal shows like the rest."""
        self._process.stdout.write(text.replace("\n", "\r\n") if self._on_terminal else text)

    async def ask(self, prompt: str, *, echo: bool = False) -> str:
        """One line. Raises HungUp, Interrupted."""
        self.say(prompt)
        line = await self._line()
        if self._on_terminal:
            self.say((line if echo else "") + "\n")
        return line

    async def rest(self) -> list[str]:
        """Every line until the end of the input."""
        lines: list[str] = []
        try:
            while True:
                lines.append(await self._line())
        except HungUp:
            return lines

    async def _line(self) -> str:
        while "\n" not in self._typed:
            data = await self._read()
            if self._on_terminal:
                data = data.replace("\r", "\n")
                if "\x03" in data:
                    self._typed = ""
                    raise Interrupted
            self._typed += data
        line, _, self._typed = self._typed.partition("\n")
        return line

    async def _read(self) -> str:
        while True:
            try:
                data = await self._process.stdin.read(4096)
            except asyncssh.TerminalSizeChanged:
                continue
            except (asyncssh.BreakReceived, asyncssh.SignalReceived):
                raise Interrupted from None
            if not data:
                raise HungUp
            return data


@dataclass(frozen=True)
class Shell:
    """One user at work. `root`: under sudo, or root itself."""

    accounts: Accounts
    console: Console
    user: Account
    root: bool

    async def run(self, command: str) -> int:
        """The exit status of one command line."""
        try:
            words = shlex.split(command)
        except ValueError:
            return self._fail("sh: syntax error: unterminated quoted string", 2)
        try:
            return await self._start(words)
        except Interrupted:
            return INTERRUPTED
        except HungUp:
            return 1

    async def interact(self) -> int:
        """The login shell."""
        try:
            while True:
                command = await self.console.ask(f"{self.user.name}@box:~$ ", echo=True)
                if command.strip() in ("exit", "logout"):
                    return 0
                if command.strip():
                    await self.run(command)
        except (HungUp, Interrupted):
            return 0

    async def _start(self, words: Sequence[str]) -> int:
        if words and words[0] == "env":
            words = words[1:]
            while words and "=" in words[0]:
                words = words[1:]
        if not words:
            return 0
        if words[:2] == ["sh", "-c"]:
            words = _sudo_that_asks(words[2])
        command = COMMANDS.get(words[0])
        if command is None:
            return self._fail(f"sh: 1: {words[0]}: not found", NOT_FOUND)
        return await command(self, words[1:])

    def _fail(self, sentence: str, status: int) -> int:
        self.console.say(sentence + "\n")
        return status

    def _named(self, arguments: Sequence[str]) -> tuple[str, Account | None]:
        """The account that a command names after its options; the user's own if it names none."""
        names = [each for each in arguments if each != "--"]
        return (names[0], self.accounts.find(names[0])) if names else (self.user.name, self.user)

    async def true(self, _: Sequence[str]) -> int:
        return 0

    async def id(self, arguments: Sequence[str]) -> int:
        name, account = self._named([each for each in arguments if each != "-u"])
        if account is None:
            return self._fail(f"id: '{name}': no such user", 1)
        self.console.say(f"{account.uid}\n")
        return 0

    async def passwd(self, arguments: Sequence[str]) -> int:
        name, account = self._named([each for each in arguments if each != "-S"])
        if account is None:
            return self._fail(f"passwd: user '{name}' does not exist", 1)
        if not self.root and account is not self.user:
            return self._fail(f"passwd: You may not view or modify password information for {name}.", 1)
        if "-S" in arguments:
            self.console.say(f"{name} {'L' if account.locked else 'P'} 2026-01-01 0 99999 7 -1\n")
            return 0
        return await self._new_password(account)

    async def _new_password(self, account: Account) -> int:
        """passwd(1) over pam_unix(8), word for word."""
        ask = self.console.ask
        if not self.root:
            self.console.say(f"Changing password for {account.name}.\n")
            if not account.has(await ask("Current password: ")):
                return self._unchanged("Authentication token manipulation error")
        for _ in range(PASSWD_TRIES):
            new = await ask("New password: ")
            if new != await ask("Retype new password: "):
                self.console.say("Sorry, passwords do not match.\n")
                return self._unchanged("Authentication token manipulation error")
            fault = None if self.root else _fault(account, new)
            if fault is None:
                await self.accounts.change(account, new, self.console.say)
                self.console.say("passwd: password updated successfully\n")
                return 0
            self.console.say(fault + "\n")
        return self._unchanged("Have exhausted maximum number of retries for service")

    def _unchanged(self, why: str) -> int:
        return self._fail(f"passwd: {why}\npasswd: password unchanged", PAM_FAILED)

    async def chpasswd(self, _: Sequence[str]) -> int:
        if not self.root:
            return self._fail("chpasswd: Permission denied.\nchpasswd: cannot lock /etc/passwd", 1)
        for number, line in enumerate(await self.console.rest(), start=1):
            name, _colon, password = line.partition(":")
            account = self.accounts.find(name)
            if account is None or not password:
                self.console.say(f"chpasswd: (user {name}) pam_chauthtok() failed, error:\n")
                self.console.say("User not known to the underlying authentication module\n")
                return self._fail(f"chpasswd: (line {number}, user {name}) password not changed", 1)
            await self.accounts.change(account, password, self.console.say)
        return 0

    async def usermod(self, arguments: Sequence[str]) -> int:
        if not self.root:
            return self._fail("usermod: Permission denied.\nusermod: cannot lock /etc/passwd", 1)
        account = self.accounts.find(arguments[-1]) if arguments else None
        if account is None:
            return self._fail(f"usermod: user '{arguments[-1] if arguments else ''}' does not exist", 6)
        if {"-L", "-U"} & set(arguments):
            account.locked = "-L" in arguments
        return 0

    async def sudo(self, arguments: Sequence[str]) -> int:
        """`sudo -S [-k] [-p PROMPT] COMMAND`: it remembers nobody, so -k says nothing new."""
        words, prompt = list(arguments), f"[sudo] password for {self.user.name}: "
        while words and words[0].startswith("-"):
            option = words.pop(0)
            if option == "-p" and words:
                prompt = words.pop(0)
        if self.root or await self._known_to_sudo(prompt):
            return await replace(self, root=True)._start(words)
        return 1

    async def _known_to_sudo(self, prompt: str) -> bool:
        for left in reversed(range(SUDO_TRIES)):
            if self.user.has(await self.console.ask(prompt)):
                if not self.user.sudoer:
                    self.console.say(f"{self.user.name} is not in the sudoers file.\n")
                return self.user.sudoer
            self.console.say("Sorry, try again.\n" if left else "sudo: 3 incorrect password attempts\n")
        return False


def _fault(account: Account, new: str) -> str | None:
    if account.has(new):
        return "The password has not been changed."
    return "You must choose a longer password." if len(new) < MIN_LENGTH else None


def _sudo_that_asks(script: str) -> list[str]:
    """The one script that the shipped templates send: `if sudo asks for no password …; else COMMAND; fi`.

    Here sudo always asks.
    """
    otherwise = script.partition("; else ")[2].removesuffix("; fi")
    return shlex.split(otherwise) or ["sh"]


COMMANDS: Final[dict[str, Callable[[Shell, Sequence[str]], Awaitable[int]]]] = {
    "true": Shell.true,
    "id": Shell.id,
    "passwd": Shell.passwd,
    "chpasswd": Shell.chpasswd,
    "usermod": Shell.usermod,
    "sudo": Shell.sudo,
}
