"""HPE iLO 5: the SMASH CLP command line.

Known: the prompt, `status=`, `status_tag=`, `error_tag=`, `COMMAND COMPLETED`,
`COMMAND PROCESSING FAILED`, `set /map1/accounts1/NAME password=NEW`. Guessed: the error_tag of a refused
password, of missing rights and of a configuration that is held; that an expired password can be changed at
login (iLO has no such state).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from executors.emulated.account import ADMINISTRATOR, Refusal, Rules
from executors.emulated.cli import Cli, Mode, command, value
from executors.emulated.console import Keys, Talk
from executors.emulated.device import LoginWords, Platform

WHEN: Final = "Sun Nov 22 12:00:00 2026\n\n"
FAILED: Final = "status=2\nstatus_tag=COMMAND PROCESSING FAILED\nerror_tag={why}\n" + WHEN
DONE: Final = "status=0\nstatus_tag=COMMAND COMPLETED\n" + WHEN
NOT_TAKEN: Final = "COMMAND ERROR-UNSPECIFIED\n\nPassword is "


class Ilo(Cli):
    invalid = FAILED.format(why="COMMAND NOT RECOGNIZED")
    incomplete = FAILED.format(why="COMMAND SYNTAX ERROR")
    forbidden = FAILED.format(why="INSUFFICIENT PRIVILEGE")
    lock_held = FAILED.format(why="RESOURCE LOCKED BY {holder}")
    expired = "The password must be changed.\n"
    new_prompts = ("New password: ", "Confirm password: ")
    differ = "The passwords do not match.\n"
    refused: ClassVar[Mapping[Refusal, str]] = {
        Refusal.TOO_SHORT: FAILED.format(why=NOT_TAKEN + "too short.\n"),
        Refusal.TOO_SIMPLE: FAILED.format(why=NOT_TAKEN + "not complex enough.\n"),
        Refusal.SAME: FAILED.format(why=NOT_TAKEN + "the same.\n"),
        Refusal.USED_BEFORE: FAILED.format(why=NOT_TAKEN + "used before.\n"),
        Refusal.TOO_SOON: FAILED.format(why=NOT_TAKEN + "too new.\n"),
        Refusal.MISSING: FAILED.format(why="INVALID TARGET"),
    }
    place = "/"

    def cd(self, match: re.Match[str]) -> None:
        self.place = match["path"]
        self.say(DONE + f"{self.place}\n\n")

    def set_at(self, match: re.Match[str]) -> None:
        self._set(match["path"], match["new"])

    def set_here(self, match: re.Match[str]) -> None:
        self._set(self.place, match["new"])

    def _set(self, path: str, new: str) -> None:
        folder, _, name = path.rpartition("/")
        if self.is_held():
            return
        missing = folder not in ("/map1/accounts1", "map1/accounts1")
        refusal = Refusal.MISSING if missing else self.change(name, value(new))
        if self.answered(refusal):
            self.say(DONE)

    def show_account(self, match: re.Match[str]) -> None:
        folder, _, name = match["path"].rpartition("/")
        if folder != "/map1/accounts1" or self.device.find(name) is None:
            self.answered(Refusal.MISSING)
        else:
            self.say(f"{DONE}{match['path']}\n  Targets\n  Properties\n    username={name}\n")

    def show_accounts(self, _: re.Match[str]) -> Talk[None]:
        names = "".join(f"    {account.name}\n" for account in self.device.accounts())
        yield from self.show(f"{DONE}/map1/accounts1\n  Targets\n{names}" + "    spare\n" * 30)

    modes: ClassVar[Mapping[str, Mode]] = {
        "exec": Mode(
            "</>hpiLO-> ",
            (
                command("set <path> password=<new*>", set_at, ADMINISTRATOR),
                command("set password=<new*>", set_here, ADMINISTRATOR),
                command("cd <path>", cd),
                command("show /map1/accounts1", show_accounts),
                command("show <path>", show_account),
                command("exit", Cli.leave),
            ),
        ),
    }


PLATFORMS: Final = (
    Platform(
        "ilo", "HPE iLO 5", Ilo, LoginWords("login: ", "Password: ", "Login incorrect\n"), Keys(),
        Rules(min_length=8), "ilo",
        banner="User:admin logged-in to ILO.example (192.0.2.1)\niLO Standard 2.72 at Sep 04 2022\n\n",
    ),
)  # fmt: skip
