"""F5 BIG-IP: tmsh.

Known: the prompt, `Syntax Error:`, 01070366 with PAM's words behind it, 01020036 for an unknown user, the
words of `save sys config`, the questions of an expired password. Guessed: the questions of
`modify auth password`, the code for missing rights (01070822) and the words about a lock.
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

BAD: Final = "01070366:3: Bad password ({user}): "
SHOWN: Final = "".join(f"ltm node node{number} {{ address 192.0.2.{number} }}\n" for number in range(1, 61))


class Tmsh(Cli):
    invalid = 'Syntax Error: unexpected argument "{word}"\n'
    forbidden = "01070822:3: Access Denied: User ({user}) may not run this command\n"
    more = "---(less 50%)---"
    lock_held = "01071abd:3: The configuration is locked by {holder}; try again later.\n"
    expired = "You are required to change your password immediately (password expired)\n"
    new_prompts = ("New BIG-IP password: ", "Retype new BIG-IP password: ")
    differ = "Sorry, passwords do not match.\n"
    refused: ClassVar[Mapping[Refusal, str]] = {
        Refusal.TOO_SHORT: BAD + "BAD PASSWORD: it is too short\n",
        Refusal.TOO_SIMPLE: BAD + "BAD PASSWORD: it is too simplistic/systematic\n",
        Refusal.SAME: BAD + "Password unchanged\n",
        Refusal.USED_BEFORE: BAD + "Password has been already used. Choose another.\n",
        Refusal.TOO_SOON: BAD + "You must wait longer to change your password\n",
        Refusal.MISSING: "01020036:3: The requested user ({user}) was not found.\n",
    }

    def forced_change(self) -> Talk[bool]:
        self.say(self.expired)
        old = yield from self.hidden("(current) BIG-IP password: ", Point.OLD)
        if self.device.tried(self.user, old) is not Access.OPENS:
            self.say("Authentication token manipulation error\n")
            return False
        return (yield from self.new_for(self.user.name))

    def answered(self, refusal: Refusal | None) -> bool:
        self.say(self.refused[refusal].format(user=self.whose) if refusal else "")
        return refusal is None

    whose = ""

    def set_user(self, match: re.Match[str]) -> None:
        self.whose = value(match["name"])
        if not self.is_held():
            self.answered(self.change(self.whose, value(match["new"])))

    def set_asked(self, match: re.Match[str]) -> Talk[None]:
        self.whose = value(match["name"])
        if self.device.find(self.whose) is None:
            self.answered(Refusal.MISSING)
        elif not self.is_held():
            self.say(f"changing password for {self.whose}\n")
            new = yield from self.twice("new password: ", "confirm password: ")
            if new is None:
                self.say(self.differ)
            else:
                self.answered(self.change(self.whose, new))

    def show_user(self, match: re.Match[str]) -> None:
        self.whose = value(match["name"])
        missing = self.device.find(self.whose) is None
        self.answered(Refusal.MISSING if missing else None)
        self.say("" if missing else f"auth user {self.whose} {{\n    description {self.whose}\n}}\n")

    def write(self, _: re.Match[str]) -> None:
        self.save()
        self.say("Saving running configuration...\n  /config/bigip.conf\n  /config/bigip_base.conf\n")
        self.say("  /config/bigip_user.conf\n")

    def reboot(self, _: re.Match[str]) -> None:
        self.device.reload()
        self.leave()

    def listing(self, _: re.Match[str]) -> Talk[None]:
        yield from self.show(SHOWN)

    modes: ClassVar[Mapping[str, Mode]] = {
        "exec": Mode(
            "{user}@({host})(cfg-sync Standalone)(Active)(/Common)(tmos)# ",
            (
                command("modify auth user <name> password <new>", set_user, ADMINISTRATOR),
                command("modify auth user <name> prompt-for-password", set_asked, ADMINISTRATOR),
                command("modify auth password <name>", set_asked, ADMINISTRATOR),
                command("save sys config", write, ADMINISTRATOR),
                command("save /sys config", write, ADMINISTRATOR),
                command("reboot", reboot, ADMINISTRATOR),
                command("modify cli preference pager disabled", Cli.unpaged),
                command("list ltm node", listing),
                command("list auth user <name> description", show_user),
                command("quit", Cli.leave),
                command("exit", Cli.leave),
            ),
        ),
    }


PLATFORMS: Final = (
    Platform(
        "f5", "F5 BIG-IP", Tmsh, LoginWords("{host} login: ", "Password: ", "Login incorrect\n"), Keys(),
        Rules(min_length=6, kinds=2, remembers=3), "bigip", page=24, saves=True,
    ),
)  # fmt: skip
