"""Fortinet FortiOS: what is set inside `edit` counts from `next` or `end`.

Known: prompts, `new entry '…' added`, that refusals come at `next` or `end` as `object check operator error`
and `Command fail. Return code`, -61 for an unknown command, the forced change's words, `set password NEW OLD`
for one's own. Guessed: the codes of a refused password, of a wrong old one (-49) and of missing rights (-37),
the words about a held lock, and that a later command follows a refused `next` in the same table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from executors.emulated.account import ADMINISTRATOR, Access, Refusal, Rules
from executors.emulated.cli import WORD, Cli, Mode, command, value
from executors.emulated.console import Keys, Talk
from executors.emulated.device import LoginWords, Platform

DISCARDED: Final = "object check operator error, -49, discard the setting\nCommand fail. Return code -49\n"
PAIR: Final = re.compile(rf"({WORD})(?:\s+({WORD}))?\s*", re.DOTALL)
POLICY: Final = "New password must conform to the password policy enforced on this device:\n"
SHOWN: Final = "".join(f'    edit "port{number}"\n    next\n' for number in range(1, 25))


class FortiOs(Cli):
    invalid = "command parse error before '{word}'\nCommand fail. Return code -61\n"
    forbidden = "Command fail. Return code -37\n"
    more = "--More-- "
    comment = "#"
    lock_held = "The configuration is locked by administrator {holder}.\nCommand fail. Return code -36\n"
    expired = "You are forced to change your password. Please input a new password.\n"
    new_prompts = ("New Password: ", "Confirm Password: ")
    differ = "The passwords do not match.\n"
    refused: ClassVar[Mapping[Refusal, str]] = {
        Refusal.TOO_SHORT: POLICY + "minimum-length=8;\n" + DISCARDED,
        Refusal.TOO_SIMPLE: POLICY + "must contain at least 1 upper case letter(s);\n" + DISCARDED,
        Refusal.SAME: "New password must not be the same as the old one.\n" + DISCARDED,
        Refusal.USED_BEFORE: "This password has been used before.\n" + DISCARDED,
        Refusal.TOO_SOON: "This password was changed too recently.\n" + DISCARDED,
    }

    coming: str | None = None  # the password that `next` or `end` sets
    is_new = False  # the entry that is being edited comes into being when it is kept

    def config(self, _: re.Match[str]) -> None:
        if not self.is_held():
            self.enter("table", "admin")

    def edit(self, match: re.Match[str]) -> None:
        name = value(match["name"])
        self.is_new = self.device.find(name) is None
        self.say(f"new entry '{name}' added\n" if self.is_new else "")
        self.coming = None
        self.enter("entry", name)

    def set_new(self, match: re.Match[str]) -> None:
        pair = PAIR.fullmatch(match["new"])
        if pair is None:
            self.say("incomplete command in the end\nCommand fail. Return code -160\n")
            return
        own = self.where == self.user.name
        if own and self.device.tried(self.user, value(pair[2] or "")) is not Access.OPENS:
            self.say("Incorrect old password.\n" + DISCARDED)
            return
        self.coming = value(pair[1])

    def next_entry(self, _: re.Match[str]) -> None:
        self._keep()
        self.enter("table", "admin")

    def end(self, _: re.Match[str]) -> None:
        self._keep()
        self.enter("exec")

    def abort(self, _: re.Match[str]) -> None:
        self.coming, self.is_new = None, False
        self.enter("exec")

    def _keep(self) -> None:
        made = self.made([self.where]) if self.is_new else []
        if self.coming is not None and not self.answered(self.change(self.where, self.coming)):
            self.unmade(made)
        self.coming, self.is_new = None, False

    def listing(self, _: re.Match[str]) -> Talk[None]:
        yield from self.show(f"config system interface\n{SHOWN}end\n")

    def cfg_save(self, _: re.Match[str]) -> None:
        self.save()
        self.say("config saved.\n")

    def reboot(self, _: re.Match[str]) -> Talk[None]:
        self.say("This operation will reboot the system !\n")
        if (yield from self.ask("Do you want to continue? (y/n)")).lower().startswith("y"):
            self.device.reload()
            self.leave()

    modes: ClassVar[Mapping[str, Mode]] = {
        "exec": Mode(
            "{host} # ",
            (
                command("config system admin", config, ADMINISTRATOR),
                command("config system console", Cli.quiet),
                command("show system interface", listing),
                command("execute cfg save", cfg_save, ADMINISTRATOR),
                command("execute reboot", reboot, ADMINISTRATOR),
                command("set output standard", Cli.unpaged),
                command("exit", Cli.leave),
            ),
        ),
        "table": Mode(
            "{host} ({where}) # ",
            (command("edit <name>", edit), command("end", end), command("abort", abort)),
        ),
        "entry": Mode(
            "{host} ({where}) # ",
            (
                command("set password <new*>", set_new),
                command("set accprofile <profile>", Cli.quiet),
                command("next", next_entry),
                command("end", end),
                command("abort", abort),
            ),
        ),
    }


PLATFORMS: Final = (
    Platform(
        "fortios", "Fortinet FortiOS", FortiOs,
        LoginWords(
            "{host} login: ", "Password: ", "\nLogin incorrect\n",
            locked="\nToo many login failures. Please try again in a few minutes...\n",
        ),
        Keys(help_key="Command fail. Return code -61"), Rules(min_length=8, kinds=2), "FortiGate", page=24,
    ),
)  # fmt: skip
