"""Palo Alto Networks PAN-OS: a candidate configuration and `commit`.

Known: prompts, `Enter password   : ` and `Confirm password : `, `Unknown command:`, `Invalid syntax.`, the
words of `commit`, `set password` in operational mode. Guessed: the refusals by minimum complexity, the words
about locks, two passwords that differ, a wrong old one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from executors.emulated.account import ADMINISTRATOR, Access, Refusal, Rules
from executors.emulated.cli import Mode, command, value
from executors.emulated.console import Keys, Talk
from executors.emulated.device import LoginWords, Platform
from executors.emulated.platforms.candidate import Candidate
from executors.emulated.trouble import Point

SHOWN: Final = "".join(f"ethernet1/{number}    down\n" for number in range(1, 61))


class PanOs(Candidate):
    invalid = "Unknown command: {word}\n"
    incomplete = "Invalid syntax.\n"
    forbidden = "Invalid syntax.\n"
    more = "lines 1-24 "
    lock_held = "Server error : Config for scope shared is currently locked by {holder}\n"
    expired = "Your password has expired. You must change it now.\n"
    new_prompts = ("Enter new password : ", "Confirm password   : ")
    differ = "Passwords do not match\n"
    refused: ClassVar[Mapping[Refusal, str]] = {
        Refusal.TOO_SHORT: "Server error : Password must be at least 8 characters long\n",
        Refusal.TOO_SIMPLE: "Server error : Password does not meet the minimum complexity\n",
        Refusal.SAME: "Server error : New password must differ from the old password\n",
        Refusal.USED_BEFORE: "Server error : Password was used before\n",
        Refusal.TOO_SOON: "Server error : Password was changed too recently\n",
    }

    def configure(self, _: re.Match[str]) -> None:
        self.say("Entering configuration mode\n")
        self.staged.clear()
        self.enter("config")

    def set_user(self, match: re.Match[str]) -> Talk[None]:
        if self.is_held():
            return
        name = value(match["name"])
        new = yield from self.twice("Enter password   : ", "Confirm password : ")
        if new is None:
            self.say(self.differ)
        else:
            self.stage(name, new)

    def show_user(self, match: re.Match[str]) -> None:
        account = self.device.find(value(match["name"]))
        role = "superuser" if account and account.may_administer else "superreader"
        shown = f"permissions {{\n  role-based {{\n    {role} yes;\n  }}\n}}\n"
        self.say(shown if account else "Server error : show failed\n")

    def pending(self, _: re.Match[str]) -> None:
        self.say("yes\n" if self.staged or self.device.lock_holder else "no\n")

    def commit(self, _: re.Match[str]) -> None:
        if self.is_held():
            return
        self.say("Commit job 5 is in progress. Use Ctrl+C to return to command prompt\n")
        if self.answered(self.commit_staged()):
            self.say("....55%98%......100%\nConfiguration committed successfully\n\n")

    def change_own(self, _: re.Match[str]) -> Talk[None]:
        old = yield from self.hidden("Enter old password : ", Point.OLD)
        new = yield from self.twice(*self.new_prompts)
        if self.device.tried(self.user, old) is not Access.OPENS:
            self.say("Server error : The old password is incorrect\n")
        elif new is None:
            self.say(self.differ)
        elif self.answered(self.change(self.user.name, new)):
            self.say("\nPassword changed\n")

    def to_operation(self, _: re.Match[str]) -> None:
        self.say("Exiting configuration mode\n")
        self.enter("exec")

    def show_all(self, _: re.Match[str]) -> Talk[None]:
        yield from self.show(SHOWN)

    modes: ClassVar[Mapping[str, Mode]] = {
        "exec": Mode(
            "{user}@{host}> ",
            (
                command("configure", configure, ADMINISTRATOR),
                command("set password", change_own),
                command("set cli pager off", Candidate.unpaged),
                command("set cli scripting-mode on", Candidate.unpaged),
                command("show interface all", show_all),
                command("exit", Candidate.leave),
                command("quit", Candidate.leave),
            ),
        ),
        "config": Mode(
            "[edit]\n{user}@{host}# ",
            (
                command("set mgt-config users <name> password", set_user),
                command("show mgt-config users <name> permissions", show_user),
                command("check pending-changes", pending),
                command("commit", commit),
                command("exit", to_operation),
                command("quit", to_operation),
            ),
        ),
    }


PLATFORMS: Final = (
    Platform(
        "panos", "Palo Alto Networks PAN-OS", PanOs,
        LoginWords("{host} login: ", "Password: ", "Login incorrect\n"), Keys(help_key="Invalid syntax."),
        Rules(min_length=8, kinds=2), "PA-220", page=24,
    ),
)  # fmt: skip
