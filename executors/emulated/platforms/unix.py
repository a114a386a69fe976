"""A Unix shell and passwd(1): what Linux distributions, FreeBSD, AIX and Solaris share.

What differs between them is data, `PasswdWords`, and a few commands of their own.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from executors.emulated.account import Access, Account, Refusal
from executors.emulated.console import HungUp, Interrupted, Keys, Talk
from executors.emulated.session import Session
from executors.emulated.trouble import Point

TERMINAL: Final = Keys(cr_lf_is_one=False)
SUDO_TRIES: Final = 3  # `passwd_tries`, sudoers(5)
NOT_FOUND: Final = 127  # of a shell
NO_LOCK: Final = "{command}: cannot lock /etc/passwd; try again later.\n"
NOT_SUDOER: Final = "{user} is not in the sudoers file.  This incident will be reported.\n"
NO_TERMINAL: Final = "WARNING: Your password has expired.\nPassword change required but no TTY available.\n"
MOST_DEEP: Final = 20  # su inside su

Run = Callable[[Any, Sequence[str]], "Talk[int]"]


@dataclass(frozen=True)
class PasswdWords:
    """One passwd(1), word for word; {user} is whose password it is.

    `checks_first`: a new password is judged before it is asked for again. `bound_root`: root is refused too;
    otherwise `warns_root` says whether root is told of the rule that was broken.
    """

    changing: str
    old: str
    new: str
    again: str
    done: str
    wrong_old: str
    differ: str
    given_up: str
    forbidden: str
    missing: str
    refused: Mapping[Refusal, str]
    expired: str
    tries: int = 3
    checks_first: bool = False
    differ_ends: bool = False
    bound_root: bool = False
    warns_root: bool = False
    failed: int = 1  # exit status


class Unix(Session):
    """A login shell. `root` follows su and sudo."""

    words: ClassVar[PasswdWords]
    prompts: ClassVar[tuple[str, str]] = ("$ ", "# ")
    not_found: ClassVar[str] = "-bash: {word}: command not found\n"
    states: ClassVar[tuple[str, str]] = ("P", "L")  # what `passwd -S` calls usable and locked
    shadow: ClassVar[str] = "/etc/shadow"
    expiry_ends: ClassVar[bool] = True  # after a forced change one logs in again
    commands: ClassVar[Mapping[str, Run]]

    depth = 0

    @property
    def is_root(self) -> bool:
        return self.user.may_administer

    def work(self) -> Talk[None]:
        while True:
            try:
                self.at(Point.PROMPT)
                line = yield from self.ask(self.prompt)
                if line.strip() in ("exit", "logout"):
                    return
                yield from self.obey(line)
            except Interrupted:
                self.status = 130

    @property
    def prompt(self) -> str:
        form = self.prompts[self.is_root]
        return form.format(user=self.user.name, host=self.device.platform.hostname)

    def run_one(self, command: str) -> Talk[None]:
        """sshd runs passwd(1) instead of the command when the password has expired, and then hangs up."""
        if not self.user.must_change:
            yield from self.obey(command)
        elif self.console.has_terminal:
            yield from self.forced_change()
        else:
            self.status = self.fail(NO_TERMINAL)

    def forced_change(self) -> Talk[bool]:
        self.say(self.words.expired.format(user=self.user.name))
        self.status = yield from self._passwd_of(self.user, as_root=False)
        return self.status == 0 and not self.expiry_ends

    def obey(self, line: str) -> Talk[None]:
        try:
            words = shlex.split(line.replace("$?", str(self.status)))
        except ValueError:
            self.say("-bash: unexpected EOF while looking for matching quote\n")
            self.status = 2
            return
        if words:
            self.status = yield from self.start(words)

    def start(self, words: Sequence[str]) -> Talk[int]:
        while words and (words[0] == "env" or "=" in words[0]):
            words = words[1:]
        run = self.commands.get(words[0].rpartition("/")[2]) if words else None
        if run is None:
            self.say(self.not_found.format(word=words[0]) if words else "")
            return NOT_FOUND if words else 0
        return (yield from run(self, words[1:]))

    def fail(self, sentence: str, status: int = 1) -> int:
        self.say(sentence)
        return status

    def passwd(self, arguments: Sequence[str]) -> Talk[int]:
        flags = {word for word in arguments if word.startswith("-")}
        names = [word for word in arguments if not word.startswith("-") and word != "files"]
        name = names[0] if names else self.user.name
        account = self.device.find(name)
        if not self.is_root and name != self.user.name:
            return self.fail(self.words.forbidden.format(user=name))
        if account is None:
            return self.fail(self.words.missing.format(user=name))
        if flags & {"-S", "-s"}:
            self.say(f"{name} {self.states[account.locked]} 2026-01-01 0 99999 7 -1\n")
            return 0
        if flags & {"-l", "-u", "-e"}:
            return self._marked(account, flags)
        return (yield from self._passwd_of(account, as_root=self.is_root))

    def _marked(self, account: Account, flags: set[str]) -> int:
        if not self.is_root:
            return self.fail(self.words.forbidden.format(user=account.name))
        account.must_change |= "-e" in flags
        if flags & {"-l", "-u"}:
            account.locked = "-l" in flags
        return 0

    def _passwd_of(self, account: Account, *, as_root: bool) -> Talk[int]:
        words, name = self.words, account.name
        self.say(words.changing.format(user=name))
        if not as_root:
            old = yield from self.hidden(words.old.format(user=name), Point.OLD)
            if self.device.tried(account, old) is not Access.OPENS:
                return self.fail(words.wrong_old.format(user=name), words.failed)
        for _ in range(words.tries):
            changed = yield from self._tried(account, as_root=as_root)
            if changed:
                self.say(words.done.format(user=name))
                return 0
            if changed is None:
                return words.failed
        return self.fail(words.given_up.format(user=name), words.failed)

    def _tried(self, account: Account, *, as_root: bool) -> Talk[bool | None]:
        """One round: True if the password was changed, None if there is no other try."""
        words, name = self.words, account.name
        binding = words.bound_root or not as_root
        new = yield from self.hidden(words.new.format(user=name), Point.NEW)
        if words.checks_first and (refusal := self.device.judge(name, new)):
            if binding or words.warns_root:
                self.say(words.refused.get(refusal, words.missing.format(user=name)))
            if binding:
                return False
        again = yield from self.hidden(words.again.format(user=name), Point.AGAIN)
        if new != again:
            self.say(words.differ.format(user=name))
            return None if words.differ_ends else False
        answer = self.change(name, new, by_rules=binding)
        self.say(words.refused.get(answer, words.missing.format(user=name)) if answer else "")
        return answer is None

    def chpasswd(self, _: Sequence[str]) -> Talk[int]:
        """Lines of `name:password` until the end of the input."""
        if not self.is_root:
            return self.fail(
                "chpasswd: Permission denied.\nchpasswd: cannot lock /etc/passwd; try again later.\n"
            )
        try:
            while True:
                name, _colon, new = (yield from self.ask("")).partition(":")
                if self.device.find(name) is None:
                    self.say(f"chpasswd: (user {name}) pam_chauthtok() failed, error:\n")
                    return self.fail("User not known to the underlying authentication module\n")
                refusal = self.change(name, new, by_rules=False)
                if refusal:
                    self.say(f"chpasswd: (user {name}) pam_chauthtok() failed, error:\n")
                    return self.fail("Authentication token manipulation error\n")
        except HungUp:
            return 0

    def sudo(self, arguments: Sequence[str]) -> Talk[int]:
        words, prompt = list(arguments), f"[sudo] password for {self.user.name}: "
        while words and words[0].startswith("-"):
            if words.pop(0) == "-p" and words:
                prompt = words.pop(0)
        if self.is_root:
            return (yield from self._become(self.user, words))
        for left in reversed(range(SUDO_TRIES)):
            if self.device.tried(self.user, (yield from self.hidden(prompt, Point.OLD))) is Access.OPENS:
                return (yield from self._as_root(words))
            self.say("Sorry, try again.\n" if left else "sudo: 3 incorrect password attempts\n")
        return 1

    def _as_root(self, words: Sequence[str]) -> Talk[int]:
        root = self.device.find("root")
        if root is None or self.user.privilege <= 1:
            return self.fail(
                f"{self.user.name} is not in the sudoers file.  This incident will be reported.\n"
            )
        return (yield from self._become(root, words))

    def su(self, arguments: Sequence[str]) -> Talk[int]:
        names = [word for word in arguments if not word.startswith("-")]
        account = self.device.find(names[0] if names else "root")
        if account is None:
            return self.fail(f"su: user {names[0] if names else 'root'} does not exist\n")
        if not self.is_root:
            given = yield from self.hidden("Password: ", Point.OLD)
            if self.device.tried(account, given) is not Access.OPENS:
                return self.fail("su: Authentication failure\n")
        return (yield from self._become(account, ()))

    def _become(self, account: Account, words: Sequence[str]) -> Talk[int]:
        if self.depth >= MOST_DEEP:
            return self.fail("su: cannot fork: Resource temporarily unavailable\n")
        inner = type(self)(self.device, self.console, account)
        inner.depth = self.depth + 1
        if words and words not in (["-s"], ["-i"], ["su"], ["su", "-"], ["bash"]):
            return (yield from inner.start(words))
        yield from inner.work()
        return inner.status

    def usermod(self, arguments: Sequence[str]) -> Talk[int]:
        yield from ()
        account = self.device.find(arguments[-1]) if arguments else None
        if not self.is_root:
            return self.fail(
                "usermod: Permission denied.\nusermod: cannot lock /etc/passwd; try again later.\n"
            )
        if account is None:
            return self.fail(f"usermod: user '{arguments[-1] if arguments else ''}' does not exist\n", 6)
        if {"-L", "-U"} & set(arguments):
            account.locked = "-L" in arguments
        return 0

    def chage(self, arguments: Sequence[str]) -> Talk[int]:
        yield from ()
        account = self.device.find(arguments[-1]) if arguments else None
        if not self.is_root or account is None:
            return self.fail("chage: Permission denied.\n")
        account.must_change |= any(word in ("-d0", "-d1") for word in arguments) or "-d" in arguments
        return 0

    def identify(self, arguments: Sequence[str]) -> Talk[int]:
        yield from ()
        names = [word for word in arguments if not word.startswith("-")]
        name = names[0] if names else self.user.name
        found = [number for number, each in enumerate(self.device.accounts(), 1000) if each.name == name]
        if not found:
            return self.fail(f"id: '{name}': no such user\n")
        uid = 0 if name == "root" else found[0]
        self.say(
            f"{uid}\n" if "-u" in arguments else f"uid={uid}({name}) gid={uid}({name}) groups={uid}({name})\n"
        )
        return 0

    def echo(self, arguments: Sequence[str]) -> Talk[int]:
        yield from ()
        self.say(" ".join(arguments) + "\n")
        return 0

    def whoami(self, _: Sequence[str]) -> Talk[int]:
        yield from ()
        self.say(self.user.name + "\n")
        return 0

    def man(self, _: Sequence[str]) -> Talk[int]:
        """Something long, for the pager."""
        yield from self.show("".join(f"     line {number} of the manual page\n" for number in range(1, 61)))
        return 0

    def awk(self, arguments: Sequence[str]) -> Talk[int]:
        """The one program that says `state` and the state: `awk -F: -v user=NAME … FILE`."""
        yield from ()
        file = arguments[-1] if arguments else ""
        if not self.is_root or file != self.shadow:
            return self.fail(f"awk: can't open file {file}\n", 2)
        name = next((word[5:] for word in arguments if word.startswith("user=")), "")
        account = self.device.find(name)
        if account is not None:
            self.say(f"state {'locked' if account.locked else 'usable'}\n")
        return 0

    def true(self, _: Sequence[str]) -> Talk[int]:
        yield from ()
        return 0

    shared: ClassVar[Mapping[str, Run]] = {
        "passwd": passwd, "su": su, "id": identify, "echo": echo, "whoami": whoami, "man": man,
        "true": true, "stty": true, "export": true, "unset": true, "cd": true,
    }  # fmt: skip
