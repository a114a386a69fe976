"""What every session shares: the login that a device asks for, questions, trouble at named points."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from executors.emulated.account import Access, Account, Refusal
from executors.emulated.console import Ask, Console, Dropped, Echo, Silent, Talk
from executors.emulated.device import Device
from executors.emulated.trouble import Delay, Drop, Noise, Point, Silence


class Session:
    """One account at work on a device."""

    more: ClassVar[str] = "--More--"
    more_gone: ClassVar[str] = "\r{blanks}\r"  # what wipes the pager's line
    status = 0

    def __init__(self, device: Device, console: Console, user: Account) -> None:
        self.device = device
        self.console = console
        self.user = user
        self.pages = True

    @classmethod
    def entered(
        cls, device: Device, console: Console, username: str | None, command: str | None
    ) -> Talk[None]:
        """The whole session: login if it was not done by the transport, banner, forced change, work."""
        user = device.find(username) if username is not None else (yield from _login(device, console))
        if user is None:
            return
        session = cls(device, console, user)
        if command is not None:
            yield from session.run_one(command)
        else:
            yield from session.run()
        console.status = session.status

    def run(self) -> Talk[None]:
        self.say(self.device.banner)
        self.at(Point.BANNER)
        if not self.user.must_change or (yield from self.forced_change()):
            yield from self.work()

    def run_one(self, command: str) -> Talk[None]:
        if not self.user.must_change or (yield from self.forced_change()):
            yield from self.obey(command)

    def work(self) -> Talk[None]:
        raise NotImplementedError

    def obey(self, line: str) -> Talk[None]:
        raise NotImplementedError

    def forced_change(self) -> Talk[bool]:
        """A password that has expired, at login. True if the session goes on."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        self.console.say(text)

    def ask(self, prompt: str, echo: Echo = Echo.PLAIN, *, helps: bool = False) -> Talk[str]:
        return (yield Ask(prompt, echo, helps=helps))

    def hidden(self, prompt: str, point: Point, echo: Echo = Echo.NONE) -> Talk[str]:
        """A password."""
        self.at(point)
        return (yield from self.ask(prompt, echo))

    def twice(self, new: str, again: str, echo: Echo = Echo.NONE) -> Talk[str | None]:
        """A new password, None if the two differ."""
        first = yield from self.hidden(new, Point.NEW, echo)
        second = yield from self.hidden(again, Point.AGAIN, echo)
        return first if first == second else None

    def at(self, point: Point) -> None:
        """Meet the trouble of this point."""
        for trouble in self.device.troubles.get(point, ()):
            if isinstance(trouble, Drop):
                raise Dropped
            if isinstance(trouble, Silence):
                raise Silent
            if isinstance(trouble, Delay):
                self.console.pause(trouble.seconds)
            elif isinstance(trouble, Noise):
                self.console.noise(trouble.data)

    def change(self, name: str, new: str, *, by_rules: bool = True) -> Refusal | None:
        self.at(Point.BEFORE_CHANGE)
        refusal = self.device.change(name, new, by_rules=by_rules)
        self.at(Point.AFTER_CHANGE)
        return refusal

    def made(self, names: Iterable[str], *, service: bool = False) -> list[str]:
        """Make the accounts that are missing, without rights; which ones those were."""
        missing = [name for name in names if self.device.find(name) is None]
        for name in missing:
            self.device.add(Account(name, "", privilege=1, service=service))
        return missing

    def unmade(self, names: Iterable[str]) -> None:
        for name in names:
            self.device.remove(name)

    def save(self) -> None:
        self.at(Point.BEFORE_SAVE)
        self.device.save()
        self.at(Point.AFTER_SAVE)

    def show(self, text: str) -> Talk[None]:
        """Output, page by page. A blank goes on, a line end shows one line more, anything else stops."""
        lines = text.splitlines(keepends=True)
        room = self.device.platform.page if self.pages else None
        while room and len(lines) > room:
            self.say("".join(lines[:room]))
            lines = lines[room:]
            key = yield Ask(self.more, Echo.NONE, key=True)
            self.say(self.more_gone.format(blanks=" " * len(self.more)))
            if key not in " \n":
                return
            room = 1 if key == "\n" else self.device.platform.page
        self.say("".join(lines))


def _login(device: Device, console: Console) -> Talk[Account | None]:
    words = device.platform.login
    console.say(words.greeting)
    for _ in range(words.tries):
        name = yield Ask(words.name.format(host=device.platform.hostname))
        given = yield Ask(words.word.format(user=name), Echo.NONE)
        access = device.authenticate(name, given)
        if access is Access.OPENS:
            return device.find(name)
        console.say(words.locked if access is Access.LOCKED and words.locked else words.refused)
    return None
