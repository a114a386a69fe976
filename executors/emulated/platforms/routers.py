"""What the command lines in Cisco's manner share: user and privileged mode, configuration, enable, saving.

Each product's module gives the words; this one the behaviour.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

from executors.emulated.account import ADMINISTRATOR, Access, Refusal
from executors.emulated.cli import Cli, Command, Mode, command, value
from executors.emulated.console import Talk
from executors.emulated.trouble import Point

ENABLE: Final = "enable"
"""The name under which a device keeps its enable secret: `device.opens(ENABLE, secret)`."""
RUNNING: Final = "".join(f"interface Ethernet1/{number}\n no shutdown\n!\n" for number in range(1, 25))


class Router(Cli):
    """Privileged commands do not exist for users below the enable level."""

    enable_tries: ClassVar[int] = 3
    enable_wrong: ClassVar[str] = ""  # after each wrong secret
    enable_given_up: ClassVar[str]
    configuring: ClassVar[str] = ""
    saved: ClassVar[str]
    unsaved: ClassVar[str] = ""  # the question before a restart
    counted: ClassVar[str] = "{}\n"  # lines that match
    really: ClassVar[str] = "Proceed with reload? [confirm]"
    starts_enabled = True  # whether an administrator begins in privileged mode

    def starting_level(self) -> int:
        return self.user.privilege if self.starts_enabled else min(1, self.user.privilege)

    @property
    def prompt(self) -> str:
        form = self.modes[self.mode].prompt
        sign = "#" if self.level >= ADMINISTRATOR else ">"
        return form.format(
            host=self.device.platform.hostname, where=self.where, sign=sign, user=self.user.name
        )

    def enable(self, _: re.Match[str]) -> Talk[None]:
        secret = self.device.find(ENABLE)
        if secret is None:
            self.say(self.enable_given_up)
            return
        for _try in range(self.enable_tries):
            given = yield from self.hidden("Password: ", Point.OLD)
            if self.device.tried(secret, given) is Access.OPENS:
                self.level = ADMINISTRATOR
                return
            self.say(self.enable_wrong)
        self.say(self.enable_given_up)

    def disable(self, _: re.Match[str]) -> None:
        self.level = 1

    def configure(self, _: re.Match[str]) -> None:
        if not self.is_held():
            self.say(self.configuring)
            self.enter("config")

    def to_exec(self, _: re.Match[str]) -> None:
        self.enter("exec")

    def to_config(self, _: re.Match[str]) -> None:
        self.enter("config")

    def set_user(self, match: re.Match[str]) -> None:
        """`username NAME [privilege N] secret NEW`, which also makes the account."""
        self.answered(self.set_for(match["name"], self.secret_in(match), match.groupdict().get("level")))

    def set_enable(self, match: re.Match[str]) -> None:
        self.answered(self.set_for(ENABLE, self.secret_in(match), None))

    def secret_in(self, match: re.Match[str]) -> str:
        return match["new"]

    def set_for(self, name: str, new: str, level: str | None) -> Refusal | None:
        made = self.made([name], service=name == ENABLE)
        refusal = self.change(name, new)
        account = self.device.find(name)
        if refusal:
            self.unmade(made)
        elif account is not None and level and level.isdecimal():
            account.privilege = min(int(level[:3]), ADMINISTRATOR)
        return refusal

    def remove_user(self, match: re.Match[str]) -> None:
        self.device.remove(match["name"])

    def write(self, _: re.Match[str]) -> None:
        self.save()
        self.say(self.saved)

    def show_running(self, _: re.Match[str]) -> Talk[None]:
        yield from self.show(self.running)

    @property
    def running(self) -> str:
        users = "".join(f"username {account.name} privilege {account.privilege} secret <removed>\n"
                        for account in self.device.accounts())  # fmt: skip
        return f"hostname {self.device.platform.hostname}\n!\n{users}!\n{RUNNING}end\n"

    def count_lines(self, match: re.Match[str]) -> None:
        """How many lines of the configuration begin with words; `_` is a blank in IOS's expressions."""
        begins = value(match["pattern"]).removeprefix("^").replace("_", " ")
        self.say(self.counted.format(sum(line.startswith(begins) for line in self.running.splitlines())))

    def show_version(self, _: re.Match[str]) -> None:
        self.say(f"{self.device.platform.title}, emulated\n")

    def reload(self, _: re.Match[str]) -> Talk[None]:
        if not self.device.is_saved and self.unsaved:
            answer = yield from self.ask(self.unsaved)
            if answer.lower().startswith("y"):
                self.write(_)
        yield from self.ask(self.really)
        self.device.reload()
        self.leave()


def common() -> tuple[Command, ...]:
    """Commands of the first mode that every product has."""
    return (
        command("en|able", Router.enable),
        command("dis|able", Router.disable),
        command("ex|it", Router.leave),
        command("logo|ut", Router.leave),
        command("quit", Router.leave),
        command("sh|ow ver|sion", Router.show_version),
        command("sh|ow run|ning-config", Router.show_running, ADMINISTRATOR),
        command("ter|minal len|gth 0", Router.unpaged),
        command("conf|igure t|erminal", Router.configure, ADMINISTRATOR),
        command("wr|ite [mem|ory]", Router.write, ADMINISTRATOR),
        command("reload", Router.reload, ADMINISTRATOR),
    )


def config_mode(prompt: str, *commands: Command) -> Mode:
    return Mode(
        prompt,
        (
            *commands,
            command("end", Router.to_exec),
            command("ex|it", Router.to_exec),
            command("hostname <name>", Router.quiet),
            command("no username <name>", Router.remove_user),
        ),
    )
