"""Cisco IOS and IOS-XE.

Known: prompts, `% Login invalid`, `% Bad secrets`, `% Invalid input detected at '^' marker.`, the words of
`security passwords min-length`, saving, the restart's questions, `configure terminal revert timer` with
`configure confirm`. A user without the level does not see privileged commands. Guessed: the refusals of
common-criteria policies (too simple, used before) and the words about a held configuration lock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from executors.emulated.account import ADMINISTRATOR, Refusal, Rules
from executors.emulated.cli import Mode, command
from executors.emulated.console import Keys, Talk
from executors.emulated.device import LoginWords, Platform
from executors.emulated.platforms.routers import ENABLE, Router, common, config_mode

CONFIRMABLE_MINUTES: Final = 120  # revert timer: 1 to 120


class Ios(Router):
    invalid = "{caret}\n% Invalid input detected at '^' marker.\n\n"
    incomplete = "% Incomplete command.\n\n"
    comment = "!"
    more = " --More-- "
    more_gone = "\b" * 9 + " " * 8 + "\b" * 9
    enable_given_up = "% Bad secrets\n\n"
    configuring = "Enter configuration commands, one per line.  End with CNTL/Z.\n"
    lock_held = (
        "Configuration mode is locked by process '130' user '{holder}' from terminal '2'. Please try later.\n"
    )
    counted = "Number of lines which match regexp = {}\n"
    saved = "Building configuration...\n[OK]\n"
    unsaved = "\nSystem configuration has been modified. Save? [yes/no]: "
    expired = "Your password has expired. Enter a new one now.\n"
    new_prompts = ("New Password: ", "Confirm Password: ")
    differ = "% Passwords do not match\n"
    refused: ClassVar[Mapping[Refusal, str]] = {
        Refusal.TOO_SHORT: (
            "% Password too short - must be at least 8 characters. Password configuration failed\n"
        ),
        Refusal.TOO_SIMPLE: "% Password must contain characters of at least two classes\n",
        Refusal.SAME: "% Password is the same as the current one\n",
        Refusal.USED_BEFORE: "% Password was used before\n",
        Refusal.TOO_SOON: "% Password was changed too recently\n",
    }

    def copy(self, _: re.Match[str]) -> Talk[None]:
        yield from self.ask("Destination filename [startup-config]? ")
        self.write(_)

    def configure_armed(self, match: re.Match[str]) -> None:
        minutes = min(int(match["minutes"]), CONFIRMABLE_MINUTES) if match["minutes"].isdecimal() else 1
        self.configure(match)
        if self.mode == "config":
            self.device.arm(minutes * 60)
            self.say(f"Rollback Confirmed Change: Rollback will begin in {minutes} minute.\n")
            self.say('Enter "configure confirm" if you wish to keep what you\'ve configured\n')

    def confirm(self, _: re.Match[str]) -> None:
        if not self.device.disarm():
            self.say("%No Rollback Confirmed Change pending\n")

    modes: ClassVar[Mapping[str, Mode]] = {
        "exec": Mode(
            "{host}{sign}",
            (
                *common(),
                command("sh|ow run|ning-config \\| count <pattern*>", Router.count_lines, ADMINISTRATOR),
                command("copy run|ning-config start|up-config", copy, ADMINISTRATOR),
                command("conf|igure t|erminal revert timer <minutes>", configure_armed, ADMINISTRATOR),
                command("conf|igure confirm", confirm, ADMINISTRATOR),
            ),
        ),
        "config": config_mode(
            "{host}(config)#",
            command("user|name <name> [priv|ilege <level>] sec|ret [0] <new*>", Router.set_user),
            command("user|name <name> [priv|ilege <level>] pass|word [0] <new*>", Router.set_user),
            command("enable sec|ret [0] <new*>", Router.set_enable),
            command("enable pass|word [0] <new*>", Router.set_enable),
        ),
    }


PLATFORMS: Final = (
    Platform(
        "ios", "Cisco IOS Software", Ios,
        LoginWords(
            "Username: ", "Password: ", "% Login invalid\n\n", greeting="\nUser Access Verification\n\n"
        ),
        Keys(help_key="% Unrecognized command", leave_line="end"),
        Rules(min_length=8, must_differ=False), "Router", page=24, saves=True, services=(ENABLE,),
    ),
)  # fmt: skip
