"""Dell iDRAC 9: racadm at its own prompt. The first account sits in slot 2, as root does.

Known: `racadm>>`, `Object value modified successfully`, `set iDRAC.Users.N.Password`, the older
`config -g cfgUserAdmin`, `ERROR: Invalid subcommand specified.`, RAC905. Guessed: the refusals of a password,
of missing rights and of a configuration that is held (a running job); the dialogue of a forced change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from executors.emulated.account import ADMINISTRATOR, Refusal, Rules
from executors.emulated.cli import Cli, Mode, command, value
from executors.emulated.console import Keys, Talk
from executors.emulated.device import LoginWords, Platform

OLD_SYNTAX: Final = "config -g cfgUserAdmin -o cfgUserAdminPassword -i <slot> <new*>"
FIRST_SLOT: Final = 2
SLOTS: Final = 16


class Idrac(Cli):
    invalid = "ERROR: Invalid subcommand specified.\n"
    incomplete = "ERROR: Invalid syntax.\n"
    forbidden = "ERROR: You do not have sufficient privileges to perform this operation.\n"
    lock_held = "ERROR: LC068 : A job of {holder} is running; wait until it is complete.\n"
    expired = "The password must be changed before you go on.\n"
    new_prompts = ("New password: ", "Confirm password: ")
    differ = "ERROR: The passwords do not match.\n"
    refused: ClassVar[Mapping[Refusal, str]] = {
        Refusal.TOO_SHORT: "ERROR: RAC1118 : The password is shorter than the policy allows.\n",
        Refusal.TOO_SIMPLE: "ERROR: RAC1118 : The password does not meet the minimum score of the policy.\n",
        Refusal.SAME: "ERROR: RAC1118 : The password is the same as the current one.\n",
        Refusal.USED_BEFORE: "ERROR: RAC1118 : The password was used before.\n",
        Refusal.TOO_SOON: "ERROR: RAC1118 : The password was changed too recently.\n",
        Refusal.MISSING: "ERROR: RAC905 : The object or its index is not valid.\n",
    }

    def obey(self, line: str) -> Talk[None]:
        yield from super().obey(line.lstrip().removeprefix("racadm "))

    def _name_in(self, slot: str) -> str | None:
        names = [account.name for account in self.device.accounts()]
        place = int(slot) - FIRST_SLOT if slot.isdecimal() and len(slot) <= len(str(SLOTS)) else -1
        return names[place] if 0 <= place < len(names) else None

    def set_slot(self, match: re.Match[str]) -> None:
        name = self._name_in(match["slot"])
        if self.is_held():
            return
        if self.answered(Refusal.MISSING if name is None else self.change(name, value(match["new"]))):
            self.say(f"[Key=iDRAC.Embedded.1#Users.{match['slot']}]\nObject value modified successfully\n")

    def set_old(self, match: re.Match[str]) -> None:
        name = self._name_in(match["slot"])
        if self.is_held():
            return
        if self.answered(Refusal.MISSING if name is None else self.change(name, value(match["new"]))):
            self.say("Object value modified successfully\n")

    def get_name(self, match: re.Match[str]) -> None:
        name = self._name_in(match["slot"])
        slot = match["slot"]
        shown = f"[Key=iDRAC.Embedded.1#Users.{slot}]\nUserName={name}\n"
        self.say(self.refused[Refusal.MISSING] if name is None else shown)

    modes: ClassVar[Mapping[str, Mode]] = {
        "exec": Mode(
            "racadm>>",
            (
                command("set iDRAC.Users.<slot>.Password <new*>", set_slot, ADMINISTRATOR),
                command("get iDRAC.Users.<slot>.UserName", get_name),
                command(OLD_SYNTAX, set_old, ADMINISTRATOR),
                command("exit", Cli.leave),
                command("quit", Cli.leave),
            ),
        ),
    }


PLATFORMS: Final = (
    Platform(
        "idrac", "Dell iDRAC 9", Idrac, LoginWords("login: ", "Password: ", "Login incorrect\n"), Keys(),
        Rules(min_length=8), "idrac",
    ),
)  # fmt: skip
