"""Arista EOS, with configuration sessions and their commit timer.

Known: prompts, `% Invalid input`, `(privileged mode required)`, `Copy completed successfully.`, sessions and
`commit timer`. Guessed: the refusals of a password policy, the words about a lock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar, Final

from executors.emulated.account import ADMINISTRATOR, Refusal, Rules
from executors.emulated.cli import Mode, command
from executors.emulated.console import Keys
from executors.emulated.device import LoginWords, Platform
from executors.emulated.platforms.candidate import Candidate
from executors.emulated.platforms.routers import ENABLE, Router, common, config_mode

TIMER: Final = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})")


class Eos(Candidate, Router):
    invalid = "% Invalid input\n"
    incomplete = "% Incomplete command\n"
    forbidden = "% Invalid input (privileged mode required)\n"
    comment = "!"
    more = " --More-- "
    enable_given_up = "% Bad secret\n"
    lock_held = "% Configuration is locked by another session (user {holder})\n"
    saved = "Copy completed successfully.\n"
    unsaved = "System configuration has been modified. Save? [yes/no/cancel/diff]:"
    starts_enabled = False
    expired = "Your password has expired.\n"
    new_prompts = ("New password: ", "Retype new password: ")
    differ = "Sorry, passwords do not match.\n"
    refused: ClassVar[Mapping[Refusal, str]] = {
        Refusal.TOO_SHORT: "% Password must be at least 8 characters long\n",
        Refusal.TOO_SIMPLE: "% Password does not meet the complexity requirements of the policy\n",
        Refusal.SAME: "% Password is the same as the current one\n",
        Refusal.USED_BEFORE: "% Password was used before\n",
        Refusal.TOO_SOON: "% Password was changed too recently\n",
    }

    def open_session(self, match: re.Match[str]) -> None:
        self.configure(match)
        if self.mode == "config":
            self.enter("session", match["name"][:6])

    def stage_user(self, match: re.Match[str]) -> None:
        self.stage(match["name"], match["new"])

    def commit(self, match: re.Match[str]) -> None:
        timer = TIMER.fullmatch(match.groupdict().get("timer") or "")
        hours, minutes, seconds = map(int, timer.groups()) if timer else (0, 0, 0)
        armed = timedelta(hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        self.answered(self.commit_staged(armed or None))
        self.enter("exec")

    def confirm(self, _: re.Match[str]) -> None:
        if not self.device.disarm():
            self.say("% Cannot commit session: no such pending session\n")

    def abort(self, _: re.Match[str]) -> None:
        self.staged.clear()
        self.enter("exec")

    modes: ClassVar[Mapping[str, Mode]] = {
        "exec": Mode(
            "{host}{sign}",
            (
                *common(),
                command("sh|ow run|ning-config \\| grep -c <pattern*>", Router.count_lines, ADMINISTRATOR),
                command("copy run|ning-config start|up-config", Router.write, ADMINISTRATOR),
                command("conf|igure session <name> commit", confirm, ADMINISTRATOR),
                command("conf|igure session <name>", open_session, ADMINISTRATOR),
            ),
        ),
        "config": config_mode(
            "{host}(config)#",
            command("user|name <name> [priv|ilege <level>] sec|ret [0] <new*>", Router.set_user),
            command("enable sec|ret [0] <new*>", Router.set_enable),
            command("wr|ite [mem|ory]", Router.write),
        ),
        "session": Mode(
            "{host}(config-s-{where})#",
            (
                command("user|name <name> [priv|ilege <level>] sec|ret [0] <new*>", stage_user),
                command("commit", commit),
                command("commit timer <timer>", commit),
                command("abort", abort),
                command("end", Router.to_exec),
            ),
        ),
    }


PLATFORMS: Final = (
    Platform(
        "eos", "Arista EOS", Eos, LoginWords("{host} login: ", "Password: ", "\nLogin incorrect\n"),
        Keys(help_key="% Unrecognized command", leave_line="end"), Rules(min_length=8, kinds=2), "localhost",
        page=24, saves=True, services=(ENABLE,),
    ),
)  # fmt: skip
