"""Huawei VRP 5 (S and AR series).

Known: prompts, `Error: Unrecognized command found at '^' position.`, the Y/N question of `save` and its
answer, `undo`, the questions of `local-user change-password` and of an expired password, the pager's
sequence. Guessed: the refusals for length, kinds and reuse beyond their first words, what is said of a user
that does not exist, and the words about a lock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from executors.emulated.account import ADMINISTRATOR, Access, Refusal, Rules
from executors.emulated.cli import Cli, Mode, command
from executors.emulated.console import Keys, Talk
from executors.emulated.device import LoginWords, Platform
from executors.emulated.trouble import Point

SHOWN: Final = "".join(f"interface GigabitEthernet0/0/{number}\n#\n" for number in range(1, 25))
QUESTION: Final = "Are you sure to continue?[Y/N]"


class Vrp(Cli):
    invalid = "{caret}\nError: Unrecognized command found at '^' position.\n"
    incomplete = "{caret}\nError: Incomplete command found at '^' position.\n"
    more = "  ---- More ----"
    more_gone = "\x1b[42D" + " " * 42 + "\x1b[42D"
    comment = "#"
    lock_held = "Error: The configuration is locked by user {holder}.\n"
    expired = "Warning: The password has expired and must be changed.\n"
    new_prompts = ("Please enter new password:", "Please confirm new password:")
    differ = "Error: The two passwords are inconsistent.\n"
    refused: ClassVar[Mapping[Refusal, str]] = {
        Refusal.TOO_SHORT: "Error: The password is too short. It must contain at least 8 characters.\n",
        Refusal.TOO_SIMPLE: (
            "Error: The password must contain at least two types of the following characters: "
            "uppercase letters, lowercase letters, digits, and special characters.\n"
        ),
        Refusal.SAME: "Error: The new password cannot be the same as the old password.\n",
        Refusal.USED_BEFORE: "Error: The password has been used recently.\n",
        Refusal.TOO_SOON: "Error: The password was changed too recently.\n",
    }

    def system_view(self, _: re.Match[str]) -> None:
        if not self.is_held():
            self.say("Enter system view, return user view with Ctrl+Z.\n")
            self.enter("system")

    def aaa(self, _: re.Match[str]) -> None:
        self.enter("aaa")

    def back(self, _: re.Match[str]) -> None:
        self.enter("system" if self.mode == "aaa" else "exec")

    def to_user_view(self, _: re.Match[str]) -> None:
        self.enter("exec")

    def set_user(self, match: re.Match[str]) -> None:
        name = match["name"]
        made = self.made([name])
        if not self.answered(self.change(name, match["new"])):
            self.unmade(made)

    def remove_user(self, match: re.Match[str]) -> None:
        self.device.remove(match["name"])

    def set_level(self, match: re.Match[str]) -> None:
        account = self.device.find(match["name"])
        if account is not None and match["level"].isdecimal():
            account.privilege = min(int(match["level"][:3]), ADMINISTRATOR)

    def change_own(self, _: re.Match[str]) -> Talk[None]:
        self.say("Please configure the login password (8-128)\n")
        old = yield from self.hidden("Please enter old password:", Point.OLD)
        if self.device.tried(self.user, old) is not Access.OPENS:
            self.say("Error: The old password is not correct.\n")
        elif (yield from self.new_for(self.user.name)):
            self.say("Info: The password is changed successfully.\n")

    def write(self, _: re.Match[str]) -> Talk[None]:
        self.say("The current configuration will be written to the device.\n")
        answer = yield from self.ask(QUESTION)
        if answer.lower().startswith("y"):
            self.save()
            self.say("Now saving the current configuration to the slot 0..\n")
            self.say("Save the configuration successfully.\n")

    def reboot(self, _: re.Match[str]) -> Talk[None]:
        if not self.device.is_saved:
            self.say("Warning: All the configuration will be saved to the next startup configuration. ")
            if (yield from self.ask("Continue ?[Y/N]:")).lower().startswith("y"):
                self.save()
        if (yield from self.ask("System will reboot! Continue?[Y/N]:")).lower().startswith("y"):
            self.device.reload()
            self.leave()

    def unpaged(self, _: re.Match[str]) -> None:
        self.pages = False
        self.say("Info: The configuration takes effect on the current user terminal interface only.\n")

    def display_user(self, match: re.Match[str]) -> None:
        account = self.device.find(match["name"])
        if account is None:
            self.say("Error: The user does not exist.\n")
        else:
            state = "block" if account.locked else "active"
            self.say("  The contents of local user(s):\n  Password : ****************\n")
            self.say(f"  State    : {state}\n  Level    : {account.privilege}\n")

    def display(self, _: re.Match[str]) -> Talk[None]:
        yield from self.show(f"#\nsysname {self.device.platform.hostname}\n#\n{SHOWN}return\n")

    modes: ClassVar[Mapping[str, Mode]] = {
        "exec": Mode(
            "<{host}>",
            (
                command("sys|tem-view", system_view, 3),
                command("sa|ve", write, 3),
                command("reboot", reboot, 3),
                command("screen-length 0 temporary", unpaged),
                command("dis|play cur|rent-configuration", display, 3),
                command("dis|play local-user username <name>", display_user, 3),
                command("local-user change-password", change_own),
                command("quit", Cli.leave),
            ),
        ),
        "system": Mode(
            "[{host}]",
            (
                command("aaa", aaa),
                command("quit", back),
                command("return", to_user_view),
                command("dis|play cur|rent-configuration", display),
            ),
        ),
        "aaa": Mode(
            "[{host}-aaa]",
            (
                command("local-user <name> password irreversible-cipher <new>", set_user),
                command("local-user <name> password cipher <new>", set_user),
                command("local-user <name> privilege level <level>", set_level),
                command("local-user <name> service-type <kind*>", Cli.quiet),
                command("undo local-user <name>", remove_user),
                command("quit", back),
                command("return", to_user_view),
            ),
        ),
    }


PLATFORMS: Final = (
    Platform(
        "vrp", "Huawei Versatile Routing Platform", Vrp,
        LoginWords(
            "Username:", "Password:", "Error: Username or password error.\n",
            locked="Error: The user has been blocked.\n", greeting="\nLogin authentication\n\n",
        ),
        Keys(help_key="Error: Unrecognized command", leave_line="return"), Rules(min_length=8, kinds=2),
        "HUAWEI", page=24, saves=True,
    ),
)  # fmt: skip
