"""Check Point Gaia: clish, and expert mode behind it.

Known: CLINFR0329, CLINFR0349, CLINFR0519, CLINFR0771, `lock database override`, `set user NAME newpass WORD`,
`set user NAME password` that asks, `save config`, the words of expert mode. Guessed: the refusals of a
password, the questions of `set selfpasswd`, the words about missing rights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from executors.emulated.account import ADMINISTRATOR, Access, Refusal, Rules
from executors.emulated.cli import Cli, Mode, command, value
from executors.emulated.console import Keys, Talk
from executors.emulated.device import LoginWords, Platform
from executors.emulated.trouble import Point

EXPERT: Final = "expert"
"""The name under which the expert password is kept."""
SHOWN: Final = "".join(f"set interface eth{number} state on\n" for number in range(60))


class Gaia(Cli):
    invalid = "CLINFR0329  Invalid command:'{line}'.\n"
    incomplete = "CLINFR0349  Incomplete command.\n"
    forbidden = "CLINFR0409  User is not authorised to run this command.\n"
    more = "-- More --"
    lock_held = (
        "CLINFR0519  Configuration lock present. Can not execute this command. To acquire the lock use the "
        "command 'lock database override'.\n"
    )
    expired = "Your password has expired.\nYou must change your password now.\n"
    new_prompts = ("New password: ", "Verify new password: ")
    differ = "Passwords do not match.\n"
    refused: ClassVar[Mapping[Refusal, str]] = {
        Refusal.TOO_SHORT: "NMSUSR0012  Password is too short: at least 6 characters are needed.\n",
        Refusal.TOO_SIMPLE: "NMSUSR0013  Password is not complex enough.\n",
        Refusal.SAME: "NMSUSR0014  The new password is the same as the old one.\n",
        Refusal.USED_BEFORE: "NMSUSR0015  The password was used before.\n",
        Refusal.TOO_SOON: "NMSUSR0016  The password was changed too recently.\n",
        Refusal.MISSING: "NMSUSR0004  No such user.\n",
    }

    def work(self) -> Talk[None]:
        if self.device.lock_holder is not None:
            self.say(
                f"CLINFR0771  Config lock is owned by {self.device.lock_holder}. "
                "Use the command 'lock database override' to acquire the lock.\n"
            )
        yield from super().work()

    def override(self, _: re.Match[str]) -> None:
        self.device.lock_holder = None

    def set_user(self, match: re.Match[str]) -> None:
        if not self.is_held():
            self.answered(self.change(value(match["name"]), value(match["new"])))

    def set_asked(self, match: re.Match[str]) -> Talk[None]:
        name = value(match["name"])
        if self.is_held():
            return
        if self.device.find(name) is None:
            self.answered(Refusal.MISSING)
        else:
            yield from self.new_for(name)

    def change_own(self, match: re.Match[str]) -> None:
        if self.device.tried(self.user, value(match["old"])) is not Access.OPENS:
            self.say("NMSUSR0010  The old password is wrong.\n")
        else:
            self.answered(self.change(self.user.name, value(match["new"])))

    def set_expert(self, _: re.Match[str]) -> Talk[None]:
        if self.is_held():
            return
        expert = self.device.find(EXPERT)
        if expert is not None:
            old = yield from self.hidden("Enter current expert password:", Point.OLD)
            if self.device.tried(expert, old) is not Access.OPENS:
                self.say("Wrong password.\n")
                return
        new = yield from self.twice("Enter new expert password:", "Enter new expert password (again):")
        if new is None:
            self.say(self.differ)
            return
        made = self.made([EXPERT], service=True)
        if not self.answered(self.change(EXPERT, new)):
            self.unmade(made)

    def expert(self, _: re.Match[str]) -> Talk[None]:
        account = self.device.find(EXPERT)
        if account is None:
            self.say("Expert password has not been defined. Use the command 'set expert-password'.\n")
            return
        given = yield from self.hidden("Enter expert password:", Point.OLD)
        if self.device.tried(account, given) is not Access.OPENS:
            self.say("Wrong password.\n")
            return
        self.say("\n\nWarning! All configurations should be done through clish\n")
        self.say("You are in expert mode now.\n\n")
        self.enter("expert")

    def clish(self, _: re.Match[str]) -> None:
        self.enter("exec")

    def write(self, _: re.Match[str]) -> None:
        if not self.is_held():
            self.save()

    def reboot(self, _: re.Match[str]) -> Talk[None]:
        if (yield from self.ask("Are you sure you want to reboot?(Y/N)[N]")).lower().startswith("y"):
            self.device.reload()
            self.leave()

    def configuration(self, _: re.Match[str]) -> Talk[None]:
        yield from self.show(SHOWN)

    modes: ClassVar[Mapping[str, Mode]] = {
        "exec": Mode(
            "{host}> ",
            (
                command("set user <name> newpass <new>", set_user, ADMINISTRATOR),
                command("set user <name> password", set_asked, ADMINISTRATOR),
                command("set selfpasswd oldpass <old> passwd <new>", change_own),
                command("set expert-password", set_expert, ADMINISTRATOR),
                command("set clienv rows 0", Cli.unpaged),
                command("lock database override", override, ADMINISTRATOR),
                command("save config", write, ADMINISTRATOR),
                command("show configuration", configuration),
                command("expert", expert, ADMINISTRATOR),
                command("reboot", reboot, ADMINISTRATOR),
                command("exit", Cli.leave),
                command("quit", Cli.leave),
            ),
        ),
        "expert": Mode(
            "[Expert@{host}:0]# ",
            (command("exit", clish), command("clish", clish)),
        ),
    }


PLATFORMS: Final = (
    Platform(
        "checkpoint", "Check Point Gaia", Gaia,
        LoginWords(
            "login: ", "Password: ", "Login incorrect\n",
            greeting="This system is for authorized use only.\n",
        ),
        Keys(), Rules(min_length=6, kinds=2), "gw", page=24, saves=True, services=(EXPERT,),
    ),
)  # fmt: skip
