"""Solaris 11: passwd(1).

Known: the prompts, `Please try again`, the refusals of pam_authtok_check(7) for length and kinds of
characters, `Permission denied` at the end. Guessed: the message for the same password.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from executors.emulated.account import Refusal, Rules
from executors.emulated.device import LoginWords, Platform
from executors.emulated.platforms.unix import TERMINAL, PasswdWords, Run, Unix

AGAIN: Final = "\nPlease try again\n"
WORDS: Final = PasswdWords(
    changing="passwd: Changing password for {user}\n",
    old="Enter existing login password: ",
    new="New Password: ",
    again="Re-enter new Password: ",
    done="passwd: password successfully changed for {user}\n",
    wrong_old="passwd: Sorry, wrong passwd\nPermission denied\n",
    differ="passwd: They don't match.\n" + AGAIN,
    given_up="passwd: Too many failures - try later.\nPermission denied\n",
    forbidden="passwd: Permission denied\nPermission denied\n",
    missing="passwd: User unknown: {user}\nPermission denied\n",
    refused={
        Refusal.TOO_SHORT: "passwd: Password too short - must be at least 6 characters.\n" + AGAIN,
        Refusal.TOO_SIMPLE: (
            "passwd: The password must contain at least 1 numeric or special character(s).\n" + AGAIN
        ),
        Refusal.SAME: "passwd: Passwords must differ by at least 3 positions\n" + AGAIN,
        Refusal.USED_BEFORE: "passwd: Password in history list.\n" + AGAIN,
        Refusal.TOO_SOON: "passwd: Sorry: less than 1 days since the last change.\n" + AGAIN,
    },
    expired="Warning: Your password has expired, please choose a new one.\n",
)


class Solaris(Unix):
    words = WORDS
    prompts = ("{user}@{host}:~$ ", "{user}@{host}:~# ")
    states = ("PS", "LK")
    expiry_ends = False
    commands: ClassVar[Mapping[str, Run]] = {**Unix.shared, "usermod": Unix.usermod}


PLATFORMS: Final = (
    Platform(
        "solaris", "Oracle Solaris 11", Solaris,
        LoginWords("{host} console login: ", "Password: ", "Login incorrect\n"),
        TERMINAL, Rules(min_length=6, kinds=2, remembers=4), "solaris", page=23,
    ),
)  # fmt: skip
