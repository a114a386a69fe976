"""FreeBSD 14: passwd(1) over pam_unix and pam_passwdqc. OpenBSD 7: its own passwd(1) over login.conf(5).

Known: the prompts, `sorry`, `Mismatch; try again, EOF to quit.`, the silence after a change. Guessed: the
order in which pam_passwdqc judges and asks again, and the words for a password used before.
Of OpenBSD, known: the prompts, `Mismatch`, `Please enter a longer password.` Guessed: the words for a wrong
old password (errno's), and those of a `passwordcheck` program in login.conf(5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final

from executors.emulated.account import Refusal, Rules
from executors.emulated.console import Talk
from executors.emulated.device import LoginWords, Platform
from executors.emulated.platforms.unix import TERMINAL, PasswdWords, Run, Unix

WORDS: Final = PasswdWords(
    changing="Changing local password for {user}\n",
    old="Old Password:",
    new="New Password:",
    again="Retype New Password:",
    done="",
    wrong_old="passwd: sorry\n",
    differ="Mismatch; try again, EOF to quit.\n",
    given_up="passwd: sorry\n",
    forbidden="passwd: Permission denied\n",
    missing="passwd: {user}: no such user\n",
    refused={
        Refusal.TOO_SHORT: "Weak password: too short.\nTry again.\n",
        Refusal.TOO_SIMPLE: (
            "Weak password: not enough different characters or classes for this length.\nTry again.\n"
        ),
        Refusal.SAME: "Weak password: is the same as the old one.\nTry again.\n",
        Refusal.USED_BEFORE: "Weak password: has been used before.\nTry again.\n",
        Refusal.TOO_SOON: "passwd: Permission denied\n",
    },
    expired="Password expired.\n",
    checks_first=True,
)


OPENBSD: Final = replace(
    WORDS,
    changing="Changing password for {user}.\n",
    old="Old password:",
    new="New password:",
    again="Retype new password:",
    wrong_old="passwd: Permission denied\npasswd: /etc/master.passwd: unchanged\n",
    given_up="passwd: /etc/master.passwd: unchanged\n",
    missing="passwd: unknown user {user}.\n",
    refused={
        Refusal.TOO_SHORT: "Please enter a longer password.\n",
        Refusal.TOO_SIMPLE: (
            "Please don't use an all-lower case password.\n"
            "Unusual capitalization, control characters or digits are suggested.\n"
        ),
        Refusal.SAME: "Please use a different password.\n",
        Refusal.USED_BEFORE: "That password was used before.\n",
        Refusal.TOO_SOON: "Your password was changed too recently.\n",
    },
    expired="Your password has expired.\n",
    bound_root=True,
)


class FreeBsd(Unix):
    words = WORDS
    shadow = "/etc/master.passwd"
    prompts = ("{user}@{host}:~ $ ", "{user}@{host}:~ # ")
    not_found = "-sh: {word}: not found\n"
    expiry_ends = False

    def pw(self, arguments: Sequence[str]) -> Talk[int]:
        """`pw usermod NAME -h 0` reads the password from its input; `pw lock NAME`, `pw unlock NAME`."""
        action, name, *options = [*arguments, "", ""][: max(2, len(arguments))]
        account = self.device.find(name)
        if not self.is_root:
            return self.fail("pw: you must be root to run this program\n", 77)
        if account is None:
            return self.fail(f"pw: no such user `{name}'\n", 67)
        if action in ("lock", "unlock"):
            account.locked = action == "lock"
        elif action == "usermod" and options == ["-h", "0"]:
            self.change(name, (yield from self.ask(f"new password for user {name}:")), by_rules=False)
        return 0

    commands: ClassVar[Mapping[str, Run]] = {**Unix.shared, "pw": pw, "awk": Unix.awk}


class OpenBsd(Unix):
    words = OPENBSD
    shadow = "/etc/master.passwd"
    prompts = ("{host}$ ", "{host}# ")
    not_found = "ksh: {word}: not found\n"
    expiry_ends = False
    commands: ClassVar[Mapping[str, Run]] = {**Unix.shared, "awk": Unix.awk}


PLATFORMS: Final = (
    Platform(
        "freebsd", "FreeBSD 14", FreeBsd, LoginWords("login: ", "Password:", "Login incorrect\n"), TERMINAL,
        Rules(min_length=8, kinds=2), "freebsd", page=23,
    ),
    Platform(
        "openbsd", "OpenBSD 7", OpenBsd, LoginWords("login: ", "Password:", "Login incorrect\n"), TERMINAL,
        Rules(min_length=6, kinds=2), "openbsd", page=23,
    ),
)  # fmt: skip
