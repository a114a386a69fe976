"""Juniper Junos.

Known: prompts with `[edit]`, the questions of `plain-text-password`, the three refusals for length, kinds of
characters and two that differ, `commit complete`, `commit confirmed` with its rollback, the words about an
exclusive lock and about uncommitted changes, the pager. Guessed: the words for a password used before or the
same (Junos has no such rule by default) and the dialogue for an expired password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from executors.emulated.account import ADMINISTRATOR, Refusal, Rules
from executors.emulated.cli import Mode, command, value
from executors.emulated.console import Keys, Talk
from executors.emulated.device import LoginWords, Platform
from executors.emulated.platforms.candidate import Candidate

COMMIT_FAILED: Final = "error: commit failed: (statements constraint check failed)\n"
DEFAULT_MINUTES: Final = 10  # of `commit confirmed`
SHOWN: Final = "".join(f"    ge-0/0/{number} {{\n        unit 0;\n    }}\n" for number in range(24))


class Junos(Candidate):
    invalid = "{caret}\nunknown command.\n"
    more = "---(more)---"
    comment = "#"
    lock_held = (
        "error: configuration database locked by:\n"
        "  {holder} terminal p0 (pid 4711) on since 2026-01-01 10:00:00 UTC\n      exclusive [edit]\n"
    )
    expired = "Your password has expired; choose a new one.\n"
    new_prompts = ("New password:", "Retype new password:")
    differ = "error: Passwords are not equal; aborting\n"
    refused: ClassVar[Mapping[Refusal, str]] = {
        Refusal.TOO_SHORT: "error: minimum password length is 6\n",
        Refusal.TOO_SIMPLE: "error: require change of case, digits or punctuation\n",
        Refusal.SAME: "error: new password must differ from the old one\n",
        Refusal.USED_BEFORE: "error: password was used before\n",
        Refusal.TOO_SOON: "error: password was changed too recently\n",
    }

    def configure(self, _: re.Match[str]) -> None:
        if not self.is_held():
            self.say("Entering configuration mode\n\n")
            self.staged.clear()
            self.enter("config")

    def set_plain(self, match: re.Match[str]) -> Talk[None]:
        name = value(match["name"]) if "name" in match.groupdict() else "root"
        new = yield from self.twice("New password:", "Retype new password:")
        if new is None:
            self.say(self.differ)
        elif self.answered(self._judged(name, new)):
            self.stage(name, new)

    def _judged(self, name: str, new: str) -> Refusal | None:
        made = self.made([name])
        refusal = self.device.judge(name, new)
        self.unmade(made)
        return refusal

    def commit(self, _: re.Match[str]) -> None:
        self.say(COMMIT_FAILED if self.commit_staged() else "commit complete\n")

    def commit_and_quit(self, match: re.Match[str]) -> None:
        self.commit(match)
        if not self.failure:
            self.finish()

    def commit_confirmed(self, match: re.Match[str]) -> None:
        said = match.groupdict().get("minutes") or ""
        minutes = int(said) if said.isdecimal() and len(said) < len("10000") else DEFAULT_MINUTES
        if self.commit_staged(armed=minutes * 60):
            self.say(COMMIT_FAILED)
            return
        self.say(
            f"commit confirmed will be automatically rolled back in {minutes} minutes unless confirmed\n"
        )
        self.say("commit complete\n\n")

    def check(self, _: re.Match[str]) -> None:
        self.say("configuration check succeeds\n")

    def rollback(self, _: re.Match[str]) -> None:
        self.staged.clear()
        self.say("load complete\n")

    def exit_asking(self, _: re.Match[str]) -> Talk[None]:
        if self.staged:
            self.say("The configuration has been changed but not committed\n")
            answer = yield from self.ask("Exit with uncommitted changes? [yes,no] (yes) ")
            if answer.lower().startswith("n"):
                return
        self.finish()

    def finish(self) -> None:
        self.say("Exiting configuration mode\n\n")
        self.staged.clear()
        self.enter("exec")

    def screen(self, match: re.Match[str]) -> None:
        self.pages = match["lines"] != "0"
        self.say(f"Screen length set to {match['lines'][:4]}\n")

    def show_configuration(self, _: re.Match[str]) -> Talk[None]:
        yield from self.show(f"interfaces {{\n{SHOWN}}}\n")

    def count_user(self, match: re.Match[str]) -> None:
        self.say(f"Count: {0 if self.device.find(value(match['name'])) is None else 5} lines\n")

    modes: ClassVar[Mapping[str, Mode]] = {
        "exec": Mode(
            "{user}@{host}> ",
            (
                command("configure [private]", configure, ADMINISTRATOR),
                command("configure exclusive", configure, ADMINISTRATOR),
                command("edit", configure, ADMINISTRATOR),
                command("set cli screen-length <lines>", screen),
                command("show configuration", show_configuration),
                command("show configuration system login user <name> \\| count", count_user),
                command("exit", Candidate.leave),
                command("quit", Candidate.leave),
            ),
        ),
        "config": Mode(
            "[edit]\n{user}@{host}# ",
            (
                command(
                    "set system login user <name> [class <group>] authentication plain-text-password",
                    set_plain,
                ),
                command("set system login user <name> class <group>", Candidate.quiet),
                command("set system root-authentication plain-text-password", set_plain),
                command("commit", commit),
                command("commit and-quit", commit_and_quit),
                command("commit check", check),
                command("commit confirmed [<minutes>]", commit_confirmed),
                command("rollback [0]", rollback),
                command("exit [configuration-mode]", exit_asking),
                command("quit", exit_asking),
            ),
        ),
    }


PLATFORMS: Final = (
    Platform(
        "junos", "Juniper Networks Junos OS", Junos,
        LoginWords("{host} (ttyp0)\n\nlogin: ", "Password:", "Login incorrect\n"), Keys(),
        Rules(min_length=6, kinds=2, must_differ=False), "junos", page=24,
    ),
)  # fmt: skip
