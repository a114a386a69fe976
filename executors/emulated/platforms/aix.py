"""AIX 7: passwd, pwdadm, chpasswd; messages with their numbers (catalogue 3004).

Known: prompts, 3004-007, -301, -303, -314, -602 to -604, -610, and that pwdadm and chpasswd make the account
change its password at the next login unless `-c` says otherwise. Guessed: the number of tries, 3004-609 for
two passwords that differ, and the layout of the list of rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from executors.emulated.account import Access, Refusal, Rules
from executors.emulated.console import HungUp, Talk
from executors.emulated.device import LoginWords, Platform
from executors.emulated.platforms.unix import TERMINAL, PasswdWords, Run, Unix
from executors.emulated.trouble import Point

WORDS: Final = PasswdWords(
    changing='Changing password for "{user}"\n',
    old="{user}'s Old password: ",
    new="{user}'s New password: ",
    again="Enter the new password again:",
    done="",
    wrong_old="3004-604 Your entry does not match the old password.\n",
    differ="3004-609 The entries do not match. Try again.\n",
    given_up="",
    forbidden='3004-697 You are not authorized to change "{user}\'s" password.\n',
    missing='3004-687 User "{user}" does not exist.\n',
    refused={
        Refusal.TOO_SHORT: "3004-603 Your password must have:\n\ta minimum of 8 characters in length.\n",
        Refusal.TOO_SIMPLE: (
            "3004-602 The required password characteristics are:\n"
            "\ta minimum of 1 alphabetic characters.\n\ta minimum of 1 non-alphabetic characters.\n"
        ),
        Refusal.SAME: "3004-314 Password was recently used and is not valid for reuse.\n",
        Refusal.USED_BEFORE: "3004-314 Password was recently used and is not valid for reuse.\n",
        Refusal.TOO_SOON: "3004-325 You must wait before changing your password again.\n",
    },
    expired="3004-610 You are required to change your password.\n\tPlease choose a new one.\n\n",
    checks_first=True,
    bound_root=True,
)


class Aix(Unix):
    words = WORDS
    not_found = "ksh: {word}:  not found.\n"
    expiry_ends = False

    def pwdadm(self, arguments: Sequence[str]) -> Talk[int]:
        names = [word for word in arguments if not word.startswith("-")]
        account = self.device.find(names[0]) if names else None
        if not self.is_root or account is None:
            name = names[0] if names else ""
            return self.fail((self.words.missing if self.is_root else self.words.forbidden).format(user=name))
        if "-c" in arguments:
            account.must_change = False
            return 0
        own = yield from self.hidden(f"{self.user.name}'s Password: ", Point.OLD)
        if self.device.tried(self.user, own) is not Access.OPENS:
            return self.fail("3004-604 Your entry does not match the old password.\n")
        status = yield from self._passwd_of(account, as_root=True)
        account.must_change = status == 0 or account.must_change
        return status

    def chpasswd(self, arguments: Sequence[str]) -> Talk[int]:
        if not self.is_root:
            return self.fail("chpasswd: 3004-697 You do not have the authority.\n")
        try:
            while True:
                name, _colon, new = (yield from self.ask("")).partition(":")
                account = self.device.find(name)
                if account is None:
                    return self.fail(self.words.missing.format(user=name))
                self.change(name, new, by_rules=False)
                account.must_change = "-c" not in arguments
        except HungUp:
            return 0

    def lsuser(self, arguments: Sequence[str]) -> Talk[int]:
        """`lsuser -a id account_locked NAME`"""
        yield from ()
        name = arguments[-1] if arguments else ""
        places = [place for place, each in enumerate(self.device.accounts(), 200) if each.name == name]
        account = self.device.find(name)
        if account is None or not places:
            return self.fail(self.words.missing.format(user=name), 2)
        number = 0 if name == "root" else places[0]
        self.say(f"{name} id={number} account_locked={str(account.locked).lower()}\n")
        return 0

    commands: ClassVar[Mapping[str, Run]] = {
        **Unix.shared, "pwdadm": pwdadm, "chpasswd": chpasswd, "lsuser": lsuser,
    }  # fmt: skip


PLATFORMS: Final = (
    Platform(
        "aix", "IBM AIX 7", Aix,
        LoginWords(
            "login: ", "{user}'s Password: ", "3004-007 You entered an invalid login name or password.\n",
            locked=(
                "3004-303 There have been too many unsuccessful login attempts; please see\n"
                "\tthe system administrator.\n"
            ),
            greeting="\nAIX Version 7\nCopyright IBM Corporation, 1982, 2022.\n",
        ),
        TERMINAL, Rules(min_length=8, kinds=2, remembers=4), "aix", page=23,
    ),
)  # fmt: skip
