"""Cisco IOS-XR: a target configuration that `commit` brings into force.

Known: prompts, the submode of a user, `commit` that says nothing, the refusal of a commit, the question about
uncommitted changes, `commit confirmed`. Guessed: the words about a locked configuration and about rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from executors.emulated.account import ADMINISTRATOR, Refusal, Rules
from executors.emulated.cli import NO_ACCOUNT, Mode, command
from executors.emulated.console import Keys, Talk
from executors.emulated.device import LoginWords, Platform
from executors.emulated.platforms.candidate import Candidate
from executors.emulated.platforms.routers import Router, common

COMMIT_FAILED: Final = (
    "\n% Failed to commit one or more configuration items during a pseudo-atomic operation. All changes "
    "made have been reverted. Please issue 'show configuration failed [inheritance]' from this session to "
    "view the errors\n"
)


class IosXr(Candidate, Router):
    invalid = "{caret}\n% Invalid input detected at '^' marker.\n"
    incomplete = "% Incomplete command.\n"
    forbidden = "% This command is not authorized\n"
    comment = "!"
    more = " --More-- "
    more_gone = "\b" * 9 + " " * 8 + "\b" * 9
    enable_given_up = "% Bad secrets\n"
    lock_held = "% Configuration is locked by another session (user {holder}).\n"
    expired = "Your password has expired.\n"
    new_prompts = ("Enter new password: ", "Confirm new password: ")
    differ = "% Passwords do not match\n"
    refused: ClassVar[Mapping[Refusal, str]] = {
        Refusal.TOO_SHORT: "!!% Password is shorter than the minimum length of 8\n",
        Refusal.TOO_SIMPLE: "!!% Password has too few kinds of characters\n",
        Refusal.SAME: "!!% Password is the same as the current one\n",
        Refusal.USED_BEFORE: "!!% Password was used before\n",
        Refusal.TOO_SOON: "!!% Password was changed too recently\n",
    }

    def edit_user(self, match: re.Match[str]) -> None:
        self.enter("user", match["name"])

    def set_secret(self, match: re.Match[str]) -> None:
        self.stage(self.where, match["new"])

    def set_whole(self, match: re.Match[str]) -> None:
        self.edit_user(match)
        self.stage(match["name"], match["new"])
        self.enter("config")

    def commit(self, match: re.Match[str]) -> None:
        minutes = match.groupdict().get("minutes")
        refusal = self.commit_staged(armed=float(minutes) * 60 if minutes and minutes.isdecimal() else None)
        self.say(COMMIT_FAILED if refusal else "")

    def show_pending(self, _: re.Match[str]) -> None:
        self.say("".join(f"username {name}\n" for name in self.staged))

    def show_failed(self, _: re.Match[str]) -> None:
        self.say(self.refused.get(self.failure, NO_ACCOUNT) if self.failure else "")

    def show_user(self, match: re.Match[str]) -> None:
        known = self.device.find(match["name"]) is not None
        shown = f"username {match['name']}\n group root-lr\n secret 10 <removed>\n!\n\n"
        self.say(shown if known else "% No such configuration item(s)\n\n")

    def finish(self, _: re.Match[str]) -> Talk[None]:
        if self.staged:
            answer = yield from self.ask(
                "Uncommitted changes found, commit them before exiting(yes/no/cancel)? [cancel]:"
            )
            if answer.lower() not in ("yes", "no"):
                return
            if answer.lower() == "yes" and self.commit_staged():
                self.say(COMMIT_FAILED)
                return
            self.staged.clear()
        self.enter("exec")

    _commits = (
        command("commit", commit),
        command("commit confirmed [minutes] <minutes>", commit),
        command("sh|ow conf|iguration failed", show_failed),
        command("sh|ow conf|iguration \\| i|nclude \\^username", show_pending),
        command("end", finish),
    )
    modes: ClassVar[Mapping[str, Mode]] = {
        "exec": Mode(
            "RP/0/RP0/CPU0:{host}#",
            (*common(), command("sh|ow run|ning-config username <name>", show_user, ADMINISTRATOR)),
        ),
        "config": Mode(
            "RP/0/RP0/CPU0:{host}(config)#",
            (
                command("username <name>", edit_user, ADMINISTRATOR),
                command("username <name> secret [0] <new*>", set_whole, ADMINISTRATOR),
                command("username <name> password [0] <new*>", set_whole, ADMINISTRATOR),
                *_commits,
                command("ex|it", finish),
            ),
        ),
        "user": Mode(
            "RP/0/RP0/CPU0:{host}(config-un)#",
            (
                command("secret [0] <new*>", set_secret),
                command("password [0] <new*>", set_secret),
                command("group <name>", Router.quiet),
                *_commits,
                command("ex|it", Router.to_config),
            ),
        ),
    }


PLATFORMS: Final = (
    Platform(
        "iosxr", "Cisco IOS XR Software", IosXr,
        LoginWords(
            "Username: ", "Password: ", "% User Authentication failed\n\n",
            greeting="\nUser Access Verification\n\n",
        ),
        Keys(help_key="% Unrecognized command", leave_line="end"), Rules(min_length=8), "ios", page=24,
    ),
)  # fmt: skip
