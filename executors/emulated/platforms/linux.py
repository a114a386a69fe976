"""Linux: passwd(1) as Debian 12, RHEL 9, SUSE Linux Enterprise 15 and Alpine 3 (BusyBox) say it.

Known: Debian (shadow's passwd over pam_unix) and RHEL (its own passwd over pam_pwquality and pam_unix).
Guessed: SUSE's words for a password used before, and that its pam_cracklib asks three times.
Of BusyBox, known: the prompts, `Incorrect password`, `Bad password:`, `changed by`. It keeps no history and
no minimum age, so the words for those are made up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final

from executors.emulated.account import Refusal, Rules
from executors.emulated.console import HungUp, Talk
from executors.emulated.device import LoginWords, Platform
from executors.emulated.platforms.unix import TERMINAL, PasswdWords, Run, Unix

UNCHANGED: Final = "passwd: {why}\npasswd: password unchanged\n"
WRONG: Final = UNCHANGED.format(why="Authentication token manipulation error")

DEBIAN: Final = PasswdWords(
    changing="Changing password for {user}.\n",
    old="Current password: ",
    new="New password: ",
    again="Retype new password: ",
    done="passwd: password updated successfully\n",
    wrong_old=WRONG,
    differ="Sorry, passwords do not match.\n" + WRONG,
    differ_ends=True,
    given_up=UNCHANGED.format(why="Have exhausted maximum number of retries for service"),
    forbidden="passwd: You may not view or modify password information for {user}.\n",
    missing="passwd: user '{user}' does not exist\n",
    refused={
        Refusal.TOO_SHORT: "You must choose a longer password.\n",
        Refusal.TOO_SIMPLE: "Bad: new password is too simple\n",
        Refusal.SAME: "The password has not been changed.\n",
        Refusal.USED_BEFORE: "Password has been already used. Choose another.\n",
        Refusal.TOO_SOON: "You must wait longer to change your password.\n",
    },
    expired=("WARNING: Your password has expired.\nYou must change your password now and login again!\n"),
    failed=10,  # E_PAM_ERR of shadow
)
RHEL: Final = replace(
    DEBIAN,
    changing="Changing password for user {user}.\n",
    done="passwd: all authentication tokens updated successfully.\n",
    wrong_old="passwd: Authentication token manipulation error\n",
    differ="Sorry, passwords do not match.\n",
    differ_ends=False,
    given_up="passwd: Have exhausted maximum number of retries for service\n",
    forbidden="passwd: Only root can specify a user name.\n",
    missing="passwd: Unknown user name '{user}'.\n",
    refused={
        Refusal.TOO_SHORT: "BAD PASSWORD: The password is shorter than 8 characters\n",
        Refusal.TOO_SIMPLE: "BAD PASSWORD: The password contains less than 3 character classes\n",
        Refusal.SAME: "BAD PASSWORD: The password is the same as the old one\n",
        Refusal.USED_BEFORE: "Password has been already used. Choose another.\n",
        Refusal.TOO_SOON: "You must wait longer to change your password.\n",
    },
    checks_first=True,
    warns_root=True,
    failed=1,
)
SUSE: Final = replace(
    DEBIAN,
    differ="Sorry, passwords do not match.\n",
    differ_ends=False,
    refused={
        Refusal.TOO_SHORT: "BAD PASSWORD: it is too short\n",
        Refusal.TOO_SIMPLE: "BAD PASSWORD: it is too simplistic/systematic\n",
        Refusal.SAME: "Password unchanged.\n",
        Refusal.USED_BEFORE: "Password has been already used.\n",
        Refusal.TOO_SOON: "You must wait longer to change your password.\n",
    },
    checks_first=True,
    warns_root=True,
)


ALPINE: Final = replace(
    DEBIAN,
    changing="Changing password for {user}\n",
    old="Old password: ",
    again="Retype password: ",
    done="passwd: password for {user} changed by {user}\n",
    wrong_old="Incorrect password\npasswd: password for {user} is unchanged\n",
    differ="Passwords don't match\npasswd: password for {user} is unchanged\n",
    given_up="passwd: password for {user} is unchanged\n",
    forbidden="passwd: you can't change password for {user}\n",
    missing="passwd: unknown user {user}\n",
    refused={
        Refusal.TOO_SHORT: "Bad password: too short\n",
        Refusal.TOO_SIMPLE: "Bad password: too weak\n",
        Refusal.SAME: "Bad password: similar to old password\n",
        Refusal.USED_BEFORE: "Bad password: used before\n",
        Refusal.TOO_SOON: "Bad password: changed too recently\n",
    },
    tries=1,
    checks_first=True,
    warns_root=True,
    failed=1,
)


class Debian(Unix):
    words = DEBIAN
    prompts = ("{user}@{host}:~$ ", "{user}@{host}:~# ")
    commands: ClassVar[Mapping[str, Run]] = {
        **Unix.shared,
        "sudo": Unix.sudo,
        "chpasswd": Unix.chpasswd,
        "usermod": Unix.usermod,
        "chage": Unix.chage,
    }


class Rhel(Debian):
    words = RHEL
    prompts = ("[{user}@{host} ~]$ ", "[{user}@{host} ~]# ")


class Suse(Debian):
    words = SUSE
    prompts = ("{user}@{host}:~> ", "{host}:~ # ")


class Alpine(Unix):
    words = ALPINE
    prompts = ("{host}:~$ ", "{host}:~# ")
    not_found = "-ash: {word}: not found\n"

    def chpasswd(self, _: Sequence[str]) -> Talk[int]:
        if not self.is_root:
            return self.fail("chpasswd: permission denied (are you root?)\n")
        try:
            while True:
                name, _colon, new = (yield from self.ask("")).partition(":")
                if self.device.find(name) is None:
                    return self.fail(f"chpasswd: unknown user {name}\n")
                self.change(name, new, by_rules=False)
                self.say(f"chpasswd: password for '{name}' changed\n")
        except HungUp:
            return 0

    commands: ClassVar[Mapping[str, Run]] = {**Unix.shared, "chpasswd": chpasswd, "awk": Unix.awk}


LOGIN: Final = LoginWords(name="{host} login: ", word="Password: ", refused="\nLogin incorrect\n")

PLATFORMS: Final = (
    Platform(
        "debian", "Debian 12", Debian, LOGIN, TERMINAL,
        Rules(min_length=6), "debian", page=23,
    ),
    Platform(
        "rhel", "Red Hat Enterprise Linux 9", Rhel, LOGIN, TERMINAL,
        Rules(min_length=8, kinds=3, remembers=5), "rhel", page=23,
    ),
    Platform(
        "suse", "SUSE Linux Enterprise 15", Suse, LOGIN, TERMINAL,
        Rules(min_length=6, kinds=2, remembers=5), "suse", page=23,
    ),
    Platform(
        "alpine", "Alpine Linux 3", Alpine, LOGIN, TERMINAL,
        Rules(min_length=6), "alpine", page=23,
    ),
)  # fmt: skip
