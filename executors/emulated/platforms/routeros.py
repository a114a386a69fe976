r"""MikroTik RouterOS 7.

Known: the prompt, `bad command name`, `expected end of command`, `no such item`,
`not enough permissions (9)`, the stars of `/password`, `new password>` at a first login, that nothing is
said after a change and nothing needs to be saved, that `$NAME` inside quotes is a variable unless written
`\$`, and the escape sequences before a prompt. Guessed: the refusals by minimum length and kinds, and a wrong
old password. There is no configuration lock (safe mode is per session): a lock holder changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from executors.emulated.account import ADMINISTRATOR, Access, Refusal, Rules
from executors.emulated.cli import WORD, Cli, Mode, command, value
from executors.emulated.console import Echo, Keys, Talk
from executors.emulated.device import LoginWords, Platform
from executors.emulated.trouble import Point

VARIABLE: Final = re.compile(r"(?<!\\)\$\w+")
FIELD: Final = re.compile(rf"(\w+)=({WORD})(?:\s+|$)", re.DOTALL)
SHOWN: Final = "".join(f" {number}  R  ether{number}  ether  1500\n" for number in range(1, 61))


class RouterOs(Cli):
    invalid = "bad command name {word} (line 1 column 1)\n"
    incomplete = "expected end of command (line 1 column 12)\n"
    forbidden = "not enough permissions (9)\n"
    more = "-- [Q quit|D dump|down]"
    comment = "#"
    expired = "Change your password\n\n"
    new_prompts = ("new password> ", "repeat new password> ")
    differ = "passwords do not match\n"
    refused: ClassVar[Mapping[Refusal, str]] = {
        Refusal.TOO_SHORT: "failure: password is shorter than minimum-password-length\n",
        Refusal.TOO_SIMPLE: "failure: password has less than minimum-categories\n",
        Refusal.SAME: "failure: new password must differ\n",
        Refusal.USED_BEFORE: "failure: password was used before\n",
        Refusal.TOO_SOON: "failure: password was changed too recently\n",
        Refusal.MISSING: "no such item\n",
    }

    def obey(self, line: str) -> Talk[None]:
        yield from super().obey(line.lstrip().removeprefix("/"))

    def set_user(self, match: re.Match[str]) -> None:
        name, rest = value(match["name"]), match["fields"]
        found = FIELD.search(rest + " ")
        if found is None or found[1] != "password":
            self.say(self.incomplete)
        else:
            self.answered(self.change(name, value(VARIABLE.sub("", found[2]))))

    def change_own(self, _: re.Match[str]) -> Talk[None]:
        old = yield from self.hidden("old-password: ", Point.OLD, Echo.STARS)
        new = yield from self.twice("new-password: ", "confirm-new-password: ", Echo.STARS)
        if self.device.tried(self.user, old) is not Access.OPENS:
            self.say("failure: old password is wrong\n")
        elif new is None:
            self.say(self.differ)
        else:
            self.answered(self.change(self.user.name, new))

    def count_users(self, match: re.Match[str]) -> None:
        self.say(f"{int(self.device.find(value(match['name'])) is not None)}\n")

    def listing(self, _: re.Match[str]) -> Talk[None]:
        yield from self.show("Flags: R - RUNNING\n" + SHOWN)

    modes: ClassVar[Mapping[str, Mode]] = {
        "exec": Mode(
            "\r\x1b[K[{user}@{host}] > ",
            (
                command(r"user set \[find name=<name>\] <fields*>", set_user, ADMINISTRATOR),
                command("user set <name> <fields*>", set_user, ADMINISTRATOR),
                command("user print count-only where name=<name>", count_users),
                command("password", change_own),
                command("interface print", listing),
                command("interface print without-paging", Cli.unpaged),
                command("quit", Cli.leave),
            ),
        ),
    }


PLATFORMS: Final = (
    Platform(
        "mikrotik", "MikroTik RouterOS 7", RouterOs,
        LoginWords("Login: ", "Password: ", "Login failed, incorrect username or password\n"),
        Keys(help_key="expected command name"), Rules(min_length=8, kinds=2, must_differ=False), "MikroTik",
        page=24,
    ),
)  # fmt: skip
