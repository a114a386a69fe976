"""Native templates run against emulated devices in process: the ssh executor's own dialogue, no socket.

    rig = Rig("ios", Account("admin", "Old-pass1"), Account("svc", "Old-pass2"))
    changed = rig.change("cisco-ios-by-administrator", USERNAME="svc", NEW_PASSWORD="New-pass3")
    assert changed.outcome is Outcome.OK
    assert rig.opens("svc", "New-pass3")

Who logs in is what the header says: `self` the account USERNAME with CURRENT_PASSWORD, `root` root, else
`admin`.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from engine.catalog.states import LoginAs
from engine.templating.header import TemplateFile
from engine.templating.library import load_and_check, shipped
from executors import registry
from executors.contract import (
    Failure,
    Outcome,
    Report,
    Secret,
    Section,
    TemplateError,
    Transcript,
    Value,
    ValueKind,
    Values,
)
from executors.emulated.account import Access, Account
from executors.emulated.catalogue import PLATFORMS
from executors.emulated.channel import WHOLE, ConsoleChannel, JumpingClock
from executors.emulated.device import Device
from executors.ssh.commands import Commands
from executors.ssh.connection import LOCALE
from executors.ssh.program import Script, SshProgram, Way

SILENCE: Final = 20.0  # seconds, of the device's clock
ADMIN: Final = "admin"


@cache
def library() -> dict[str, TemplateFile]:
    return {file.name: file for file in shipped()}


@cache
def program_of(name: str) -> SshProgram:
    file = library()[name]
    program = load_and_check(file, registry.load(file.executor))
    assert isinstance(program, SshProgram)
    return program


class ConsoleStream(ConsoleChannel):
    """A console as the dialogue's two ends of a command."""

    def end_input(self) -> None:
        self._pieces += self._console.end_of_input()

    def exit_status(self, seconds: float) -> int | None:
        if self._console.dropped:
            raise Failure(Outcome.UNREACHABLE, "the connection broke while a command was running")
        if not self._console.over:
            self.clock.sleep(seconds)
            raise TimeoutError
        return self._console.status

    def close(self) -> None:
        """The device keeps no connections."""


class Rig:
    """A device and one connection to it. `settings` are those of `Device`: rules, lies, troubles, banner,
    lock_holder. `chunk`: the most bytes that one read gives."""

    def __init__(self, platform: str, *accounts: Account, chunk: int = WHOLE, **settings: Any) -> None:
        self.clock = JumpingClock()
        self.device = Device(PLATFORMS[platform], accounts, clock=self.clock.now, **settings)
        self.transcript = Transcript()
        self._secrets: list[Secret] = []
        self._chunk = chunk
        self._user = ""
        self.hang_up()

    def opens(self, user: str, secret: str) -> bool:
        """The device's own record: whether this secret opens the account now."""
        return self.device.opens(user, secret)

    def change(self, template: str, **values: str) -> Report:
        """Log in, then [status] and [change] over one connection, as far as they end well."""
        file = library()[template]
        self.hang_up()
        if not self._logs_in(file, values):
            return Report(Outcome.BAD_LOGIN, "the server refuses the login")
        before = self.run(template, Section.STATUS, **values)
        if before.outcome is not Outcome.OK:
            return before
        after = self.run(template, Section.CHANGE, **values)
        return Report(after.outcome, after.message, {**before.facts, **after.facts}, after.steps)

    def run(self, template: str, section: Section, **values: str) -> Report:
        """One section, over the connection that is there; OK where the template has no such section."""
        file = library()[template]
        program = program_of(template)
        if not program.has(section):
            return Report(Outcome.OK)
        typed = self._typed(file, values)
        self._user = values["USERNAME"] if file.login is LoginAs.SELF else _login_of(file)
        try:
            program.describe(typed)
            return self._commands.run(program.render(section, typed))
        except TemplateError as error:
            return Report(Outcome.BAD_TEMPLATE, str(error))
        except Failure as failure:
            return Report(failure.outcome, failure.message)

    def hang_up(self) -> None:
        """What runs next does so over a new connection."""
        self._commands = Commands(self._opened, self.transcript, SILENCE)

    def _logs_in(self, file: TemplateFile, values: dict[str, str]) -> bool:
        if file.login is not LoginAs.SELF:
            return True
        return self.device.authenticate(values["USERNAME"], values["CURRENT_PASSWORD"]) is Access.OPENS

    def _typed(self, file: TemplateFile, values: dict[str, str]) -> Values:
        kinds = file.tags or {}
        secrets = {name: Secret(values[name]) for name, kind in kinds.items() if kind is ValueKind.SECRET}
        new = [secret for secret in secrets.values() if secret not in self._secrets]
        if new:
            self._secrets += new
            self.transcript.begin_anew(self._secrets)
        return {name: Value(kind, secrets.get(name, values[name])) for name, kind in kinds.items()}

    def _opened(self, script: Script, silence: float) -> ConsoleStream:  # noqa: ARG002 - the clock jumps
        way = script.command.way
        command = None if way is Way.SHELL else LOCALE + script.text.wire.reveal()
        console = self.device.open(self._user, command, terminal=way is not Way.RUN)
        return ConsoleStream(console, clock=self.clock, chunk=self._chunk)


def _login_of(file: TemplateFile) -> str:
    return "root" if file.login is LoginAs.ROOT else ADMIN
