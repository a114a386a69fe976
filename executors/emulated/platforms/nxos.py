"""Cisco NX-OS.

Known: prompts, `% Invalid command at '^' marker.`, the words about classes of characters, saving, and
`change-password`. Guessed: the words for the same password, for one used before, for a held lock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from executors.emulated.account import ADMINISTRATOR, Access, Refusal, Rules
from executors.emulated.cli import Mode, command
from executors.emulated.console import Keys, Talk
from executors.emulated.device import LoginWords, Platform
from executors.emulated.platforms.routers import Router, common, config_mode
from executors.emulated.trouble import Point

WEAK: Final = "password is weak\n"


class NxOs(Router):
    invalid = "{caret}\n% Invalid command at '^' marker.\n"
    incomplete = "{caret}\n% Incomplete command at '^' marker.\n"
    forbidden = "% Permission denied for the role\n"
    comment = "!"
    enable_given_up = "Access denied\n"
    configuring = "Enter configuration commands, one per line. End with CNTL/Z.\n"
    lock_held = "Configuration database is locked by user {holder}\n"
    saved = (
        "[########################################] 100%\n"
        "Copy complete, now saving to disk (please wait)...\nCopy complete.\n"
    )
    really = "This command will reboot the system. (y/n)?  [n] "
    expired = "Your password has expired; enter a new one now\n"
    new_prompts = ("Enter new password: ", "Confirm new password: ")
    differ = "Passwords do not match\n"
    refused: ClassVar[Mapping[Refusal, str]] = {
        Refusal.TOO_SHORT: WEAK + "Password should be at least 8 characters long\n",
        Refusal.TOO_SIMPLE: WEAK
        + (
            "Password should contain characters from at least three of the following classes: "
            "lower case letters, upper case letters, digits and special characters.\n"
        ),
        Refusal.SAME: "New password must be different from the old one\n",
        Refusal.USED_BEFORE: "Password has been used before\n",
        Refusal.TOO_SOON: "Password was changed too recently\n",
    }

    def change_own(self, _: re.Match[str]) -> Talk[None]:
        old = yield from self.hidden("Enter old password: ", Point.OLD)
        new = yield from self.twice("Enter new password: ", "Confirm new password: ")
        if self.device.tried(self.user, old) is not Access.OPENS:
            self.say("Incorrect old password\n")
        elif new is None:
            self.say(self.differ)
        else:
            self.answered(self.change(self.user.name, new))

    modes: ClassVar[Mapping[str, Mode]] = {
        "exec": Mode(
            "{host}# ",
            (
                *common(),
                command("sh|ow run|ning-config \\| grep count <pattern*>", Router.count_lines, ADMINISTRATOR),
                command("copy run|ning-config start|up-config", Router.write, ADMINISTRATOR),
                command("change-password", change_own),
            ),
        ),
        "config": config_mode(
            "{host}(config)# ",
            command("username <name> password [0] <new>", Router.set_user),
            command("username <name> password [0] <new> role <role>", Router.set_user),
            command("copy run|ning-config start|up-config", Router.write),
        ),
    }


PLATFORMS: Final = (
    Platform(
        "nxos", "Cisco Nexus Operating System (NX-OS) Software", NxOs,
        LoginWords("{host} login: ", "Password: ", "\nLogin incorrect\n"),
        Keys(help_key="% Invalid command", leave_line="end"), Rules(min_length=8, kinds=3), "switch",
        page=24, saves=True,
    ),
)  # fmt: skip
