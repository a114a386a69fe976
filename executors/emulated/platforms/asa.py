"""Cisco ASA.

Known: prompts, the pager, `Invalid password` and `Access denied.` of enable, `ERROR: % Invalid input`, saving
with its checksum, the restart's questions. Everybody begins in user mode. Guessed: the refusals by
`password-policy`, the lock's words, and the questions when a password has expired.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from executors.emulated.account import ADMINISTRATOR, Access, Refusal, Rules
from executors.emulated.cli import Mode, command
from executors.emulated.console import Keys
from executors.emulated.device import LoginWords, Platform
from executors.emulated.platforms.routers import ENABLE, Router, common, config_mode


class Asa(Router):
    invalid = "{caret}\nERROR: % Invalid input detected at '^' marker.\n"
    incomplete = "ERROR: % Incomplete command\n"
    comment = "!"
    more = "<--- More --->"
    enable_wrong = "Invalid password\n"
    enable_given_up = "Access denied.\n"
    lock_held = "ERROR: Configuration is locked by another session ({holder})\n"
    saved = (
        "Building configuration...\nCryptochecksum: 3c1bf3f4 8f2bb6b3 5d1a08e1 99b17e0c \n\n"
        "4571 bytes copied in 0.90 secs\n[OK]\n"
    )
    unsaved = "System config has been modified. Save? [Y]es/[N]o: "
    really = "Proceed with reload? [confirm] "
    starts_enabled = False
    expired = "Your password has expired. Enter a new password\n"
    new_prompts = ("New password: ", "Confirm password: ")
    differ = "ERROR: Passwords do not match\n"
    refused: ClassVar[Mapping[Refusal, str]] = {
        Refusal.TOO_SHORT: "ERROR: Password must be at least 8 characters long\n",
        Refusal.TOO_SIMPLE: "ERROR: Password must contain at least 1 upper-case and 1 numeric characters\n",
        Refusal.SAME: "ERROR: The new password is the same as the old one\n",
        Refusal.USED_BEFORE: "ERROR: The new password was used before\n",
        Refusal.TOO_SOON: "ERROR: The minimum lifetime of the password has not passed\n",
    }

    def show_user(self, match: re.Match[str]) -> None:
        account = self.device.find(match["name"])
        if account is None:
            self.say(f"ERROR: user {match['name']} does not exist\n")
        else:
            self.say(f"username {account.name} password ***** pbkdf2 privilege {account.privilege}\n")

    def change_own(self, match: re.Match[str]) -> None:
        if self.device.tried(self.user, match["old"]) is not Access.OPENS:
            self.say("ERROR: Old password is incorrect\n")
        else:
            self.answered(self.change(self.user.name, match["new"]))

    modes: ClassVar[Mapping[str, Mode]] = {
        "exec": Mode(
            "{host}{sign} ",
            (
                *common(),
                command("sh|ow run|ning-config username <name>", show_user, ADMINISTRATOR),
                command("terminal pager 0", Router.unpaged),
                command("change-password old-password <old> new-password <new>", change_own),
                command("copy run|ning-config start|up-config", Router.write, ADMINISTRATOR),
            ),
        ),
        "config": config_mode(
            "{host}(config)# ",
            command("username <name> password <new>", Router.set_user),
            command("username <name> password <new> privilege <level>", Router.set_user),
            command("enable password <new>", Router.set_enable),
            command("wr|ite [mem|ory]", Router.write),
        ),
    }


PLATFORMS: Final = (
    Platform(
        "asa", "Cisco Adaptive Security Appliance Software", Asa,
        LoginWords(
            "Username: ", "Password: ", "Login incorrect\n",
            greeting="\nUser Access Verification\n\n",
        ),
        Keys(help_key="ERROR: % Unrecognized command", leave_line="end"), Rules(min_length=8, kinds=2),
        "ciscoasa", page=24, saves=True, services=(ENABLE,),
    ),
)  # fmt: skip
