"""What is typed at each platform and what it must answer, written by hand from the vendors' manuals."""

from __future__ import annotations

from dataclasses import dataclass

from executors.emulated.account import Refusal

SHORT, SIMPLE, SAME, USED = Refusal.TOO_SHORT, Refusal.TOO_SIMPLE, Refusal.SAME, Refusal.USED_BEFORE


@dataclass(frozen=True)
class Case:
    """`change`: an administrator's lines, with NEW and OLD; `says`: in the answer of a change that worked.

    `own`: lines of somebody who changes their own password with OLD, and `wrong_old` what is answered if it
    is wrong. `words`: in the answer of a change that is refused. `held`: the lines typed while somebody else
    has the configuration lock, and a word of the answer. `restart`: the lines that restart without saving.
    """

    change: tuple[str, ...]
    words: dict[Refusal, str]
    invalid: str
    expired: tuple[str, str, str]  # the words before, the prompts
    user: str = "admin"
    says: str = ""
    own: tuple[str, ...] = ()
    wrong_old: str = ""
    forbidden: tuple[tuple[str, ...], str] = ((), "")
    held: tuple[tuple[str, ...], str] = ((), "")
    long: tuple[str, ...] = ()
    more: str = ""
    save: tuple[str, ...] = ()
    saved: str = ""
    restart: tuple[str, ...] = ()
    expired_asks_old: bool = False
    refuses: str = ""  # in the answer of a change that was made and is denied; else `words` of too simple


PASSWD = ("passwd", "OLD", "NEW", "NEW")
LINUX_WRONG = "Authentication token manipulation error"

CASES: dict[str, Case] = {
    "debian": Case(
        user="op",
        change=PASSWD,
        own=PASSWD,
        wrong_old="passwd: " + LINUX_WRONG + "\npasswd: password unchanged",
        says="passwd: password updated successfully",
        words={
            SHORT: "You must choose a longer password.",
            SIMPLE: "Bad: new password is too simple",
            SAME: "The password has not been changed.",
            USED: "Password has been already used. Choose another.",
        },
        invalid="-bash: frobnicate: command not found",
        forbidden=(("passwd admin",), "passwd: You may not view or modify password information for admin."),
        expired=("WARNING: Your password has expired.", "New password: ", "Retype new password: "),
        expired_asks_old=True,
        long=("man passwd",),
        more="--More--",
    ),
    "rhel": Case(
        user="op",
        change=PASSWD,
        own=PASSWD,
        wrong_old="passwd: " + LINUX_WRONG,
        says="passwd: all authentication tokens updated successfully.",
        words={
            SHORT: "BAD PASSWORD: The password is shorter than 8 characters",
            SIMPLE: "BAD PASSWORD: The password contains less than 3 character classes",
            SAME: "BAD PASSWORD: The password is the same as the old one",
            USED: "Password has been already used. Choose another.",
        },
        invalid="-bash: frobnicate: command not found",
        forbidden=(("passwd admin",), "passwd: Only root can specify a user name."),
        expired=("WARNING: Your password has expired.", "New password: ", "Retype new password: "),
        expired_asks_old=True,
        long=("man passwd",),
        more="--More--",
    ),
    "suse": Case(
        user="op",
        change=PASSWD,
        own=PASSWD,
        wrong_old=LINUX_WRONG,
        says="passwd: password updated successfully",
        words={
            SHORT: "BAD PASSWORD: it is too short",
            SIMPLE: "BAD PASSWORD: it is too simplistic/systematic",
            SAME: "Password unchanged.",
            USED: "Password has been already used.",
        },
        invalid="-bash: frobnicate: command not found",
        forbidden=(("passwd admin",), "passwd: You may not view or modify password information for admin."),
        expired=("WARNING: Your password has expired.", "New password: ", "Retype new password: "),
        expired_asks_old=True,
        long=("man passwd",),
        more="--More--",
    ),
    "freebsd": Case(
        user="op",
        change=PASSWD,
        own=PASSWD,
        wrong_old="passwd: sorry",
        says="Changing local password for op",
        words={
            SHORT: "Weak password: too short.",
            SIMPLE: "Weak password: not enough different characters",
            SAME: "Weak password: is the same as the old one.",
            USED: "Weak password: has been used before.",
        },
        invalid="-sh: frobnicate: not found",
        forbidden=(("passwd admin",), "passwd: Permission denied"),
        expired=("Password expired.", "New Password:", "Retype New Password:"),
        expired_asks_old=True,
        long=("man passwd",),
        more="--More--",
    ),
    "aix": Case(
        user="op",
        change=PASSWD,
        own=PASSWD,
        wrong_old="3004-604 Your entry does not match the old password.",
        says='Changing password for "op"',
        words={
            SHORT: "3004-603 Your password must have:",
            SIMPLE: "3004-602 The required password characteristics",
            SAME: "3004-314 Password was recently used",
            USED: "3004-314 Password was recently used",
        },
        invalid="ksh: frobnicate:  not found.",
        forbidden=(("passwd admin",), "3004-697 You are not authorized"),
        expired=(
            "3004-610 You are required to change your password.",
            "op's New password: ",
            "Enter the new password again:",
        ),
        expired_asks_old=True,
        long=("man passwd",),
        more="--More--",
    ),
    "solaris": Case(
        user="op",
        change=PASSWD,
        own=PASSWD,
        wrong_old="passwd: Sorry, wrong passwd\nPermission denied",
        says="passwd: password successfully changed for op",
        words={
            SHORT: "passwd: Password too short - must be at least 6 characters.",
            SIMPLE: "passwd: The password must contain at least 1 numeric or special character(s).",
            SAME: "passwd: Passwords must differ by at least 3 positions",
            USED: "passwd: Password in history list.",
        },
        invalid="-bash: frobnicate: command not found",
        forbidden=(("passwd admin",), "Permission denied"),
        expired=("Your password has expired", "New Password: ", "Re-enter new Password: "),
        expired_asks_old=True,
        long=("man passwd",),
        more="--More--",
    ),
    "ios": Case(
        change=("configure terminal", "username admin privilege 15 secret NEW", "end"),
        says="Router#",
        words={
            SHORT: "% Password too short - must be at least 8 characters. Password configuration failed",
            SIMPLE: "% Password must contain",
            SAME: "% Password is the same",
            USED: "% Password was used before",
        },
        invalid="       ^\n% Invalid input detected at '^' marker.",
        forbidden=(("configure terminal",), "% Invalid input detected at '^' marker."),
        held=(("configure terminal",), "Configuration mode is locked by process '130' user 'other'"),
        expired=("Your password has expired.", "New Password: ", "Confirm Password: "),
        long=("show running-config",),
        more=" --More-- ",
        save=("copy running-config startup-config", ""),
        saved="Building configuration...\n[OK]",
        restart=("reload", "no", ""),
    ),
    "iosxr": Case(
        change=("configure terminal", "username admin", "secret NEW", "commit", "end"),
        says="(config-un)#",
        words={
            SHORT: "% Failed to commit one or more configuration items",
            SIMPLE: "% Failed to commit one or more configuration items",
            SAME: "% Failed to commit one or more configuration items",
            USED: "% Failed to commit one or more configuration items",
        },
        invalid="% Invalid input detected at '^' marker.",
        forbidden=(("configure terminal",), "% This command is not authorized"),
        held=(("configure terminal",), "% Configuration is locked"),
        expired=("Your password has expired.", "Enter new password: ", "Confirm new password: "),
        long=("show running-config",),
        more=" --More-- ",
    ),
    "nxos": Case(
        change=("configure terminal", "username admin password NEW", "end"),
        says="switch# ",
        own=("change-password", "OLD", "NEW", "NEW"),
        wrong_old="Incorrect old password",
        words={
            SHORT: "password is weak",
            SIMPLE: "Password should contain characters from at least three of the following classes",
            SAME: "New password must be different",
            USED: "Password has been used before",
        },
        invalid="% Invalid command at '^' marker.",
        forbidden=(("configure terminal",), "% Permission denied for the role"),
        held=(("configure terminal",), "locked by user other"),
        expired=("Your password has expired", "Enter new password: ", "Confirm new password: "),
        long=("show running-config",),
        more="--More--",
        save=("copy running-config startup-config",),
        saved="Copy complete.",
        restart=("reload", "y"),
    ),
    "asa": Case(
        change=("enable", "OLD", "configure terminal", "username admin password NEW privilege 15", "end"),
        says="ciscoasa# ",
        own=("change-password old-password OLD new-password NEW",),
        wrong_old="ERROR: Old password is incorrect",
        words={
            SHORT: "ERROR: Password must be at least 8",
            SIMPLE: "ERROR: Password must contain",
            SAME: "ERROR: The new password is the same",
            USED: "ERROR: The new password was used before",
        },
        invalid="ERROR: % Invalid input detected at '^' marker.",
        forbidden=(("configure terminal",), "ERROR: % Invalid input detected at '^' marker."),
        held=(("enable", "OLD", "configure terminal"), "ERROR: Configuration is locked by another session"),
        expired=("Your password has expired.", "New password: ", "Confirm password: "),
        long=("enable", "OLD", "show running-config"),
        more="<--- More --->",
        save=("write memory",),
        saved="Cryptochecksum: ",
        restart=("reload", "N", ""),
    ),
    "eos": Case(
        change=("enable", "OLD", "configure terminal", "username admin secret NEW", "end"),
        says="localhost#",
        words={
            SHORT: "% Password must be at least 8",
            SIMPLE: "% Password does not meet the complexity",
            SAME: "% Password is the same",
            USED: "% Password was used before",
        },
        invalid="% Invalid input",
        forbidden=(("configure terminal",), "% Invalid input (privileged mode required)"),
        held=(("enable", "OLD", "configure terminal"), "% Configuration is locked"),
        expired=("Your password has expired.", "New password: ", "Retype new password: "),
        long=("enable", "OLD", "show running-config"),
        more=" --More-- ",
        save=("write memory",),
        saved="Copy completed successfully.",
        restart=("reload", "no", ""),
    ),
    "junos": Case(
        change=(
            "configure",
            "set system login user admin authentication plain-text-password",
            "NEW",
            "NEW",
            "commit and-quit",
        ),
        says="commit complete",
        refuses="error: commit failed: (statements constraint check failed)",
        words={
            SHORT: "error: minimum password length is 6",
            SIMPLE: "error: require change of case, digits or punctuation",
            SAME: "error: new password must differ",
            USED: "error: password was used before",
        },
        invalid="^\nunknown command.",
        forbidden=(("configure",), "unknown command."),
        held=(("configure",), "error: configuration database locked by:\n  other terminal p0"),
        expired=("Your password has expired", "New password:", "Retype new password:"),
        long=("show configuration",),
        more="---(more)---",
    ),
    "vrp": Case(
        change=("system-view", "aaa", "local-user admin password irreversible-cipher NEW", "return"),
        says="<HUAWEI>",
        own=("local-user change-password", "OLD", "NEW", "NEW"),
        wrong_old="Error: The old password is not correct.",
        words={
            SHORT: "Error: The password is too short.",
            SIMPLE: "Error: The password must contain at least two types",
            SAME: "Error: The new password cannot be the same",
            USED: "Error: The password has been used",
        },
        invalid="Error: Unrecognized command found at '^' position.",
        forbidden=(("system-view",), "Error: Unrecognized command found at '^' position."),
        held=(("system-view",), "Error: The configuration is locked by user other."),
        expired=("The password has expired", "Please enter new password:", "Please confirm new password:"),
        long=("display current-configuration",),
        more="  ---- More ----",
        save=("save", "y"),
        saved="Save the configuration successfully.",
        restart=("reboot", "n", "y"),
    ),
    "f5": Case(
        change=("modify auth user admin password NEW",),
        says="(tmos)# ",
        words={
            SHORT: "01070366:3: Bad password (admin): BAD PASSWORD: it is too short",
            SIMPLE: "01070366:3: Bad password (admin): BAD PASSWORD: it is too simplistic",
            SAME: "Password unchanged",
            USED: "Password has been already used.",
        },
        invalid='Syntax Error: unexpected argument "frobnicate"',
        forbidden=(("modify auth user admin password Some-pass9",), "Access Denied"),
        held=(("modify auth user admin password NEW",), "The configuration is locked by other"),
        expired=(
            "You are required to change your password immediately",
            "New BIG-IP password: ",
            "Retype new",
        ),
        expired_asks_old=True,
        long=("list ltm node",),
        more="---(less 50%)---",
        save=("save sys config",),
        saved="Saving running configuration...",
        restart=("reboot",),
    ),
    "fortios": Case(
        change=("config system admin", "edit admin", "set password NEW OLD", "next", "end"),
        says="FortiGate # ",
        own=("config system admin", "edit admin", "set password NEW OLD", "end"),
        wrong_old="Incorrect old password.",
        words={
            SHORT: "object check operator error",
            SIMPLE: "object check operator error",
            SAME: "New password must not be the same",
            USED: "This password has been used before.",
        },
        invalid="command parse error before 'frobnicate'\nCommand fail. Return code -61",
        forbidden=(("config system admin",), "Command fail. Return code -37"),
        held=(("config system admin",), "locked by administrator other"),
        expired=("You are forced to change your password", "New Password: ", "Confirm Password: "),
        long=("show system interface",),
        more="--More-- ",
    ),
    "panos": Case(
        change=("configure", "set mgt-config users admin password", "NEW", "NEW", "commit", "exit"),
        says="Configuration committed successfully",
        own=("set password", "OLD", "NEW", "NEW"),
        wrong_old="Server error : The old password is incorrect",
        words={
            SHORT: "Server error : Password must be at least 8",
            SIMPLE: "Server error : Password does not meet",
            SAME: "Server error : New password must differ",
            USED: "Server error : Password was used before",
        },
        invalid="Unknown command: frobnicate",
        forbidden=(("configure",), "Invalid syntax."),
        held=(("configure", "set mgt-config users admin password"), "currently locked by other"),
        expired=("Your password has expired.", "Enter new password : ", "Confirm password   : "),
        long=("show interface all",),
        more="lines 1-24 ",
    ),
    "checkpoint": Case(
        change=("set user admin newpass NEW",),
        says="gw> ",
        own=("set selfpasswd oldpass OLD passwd NEW",),
        wrong_old="The old password is wrong.",
        words={
            SHORT: "Password is too short",
            SIMPLE: "Password is not complex enough",
            SAME: "same as the old one",
            USED: "The password was used before",
        },
        invalid="CLINFR0329  Invalid command:'frobnicate'.",
        forbidden=(("set user admin newpass Some-pass9",), "User is not authorised"),
        held=(("set user admin newpass NEW",), "CLINFR0519  Configuration lock present."),
        expired=("Your password has expired.", "New password: ", "Verify new password: "),
        long=("show configuration",),
        more="-- More --",
        save=("save config",),
        saved="gw> ",
        restart=("reboot", "y"),
    ),
    "mikrotik": Case(
        change=('/user set admin password="NEW"',),
        says="[admin@MikroTik] > ",
        own=("/password", "OLD", "NEW", "NEW"),
        wrong_old="failure: old password is wrong",
        words={
            SHORT: "failure: password is shorter",
            SIMPLE: "failure: password has less",
            SAME: "failure: new password must differ",
            USED: "failure: password was used before",
        },
        invalid="bad command name frobnicate (line 1 column 1)",
        forbidden=(("/user set admin password=Some-pass9",), "not enough permissions (9)"),
        expired=("Change your password", "new password> ", "repeat new password> "),
        long=("/interface print",),
        more="-- [Q quit|D dump|down]",
    ),
    "ilo": Case(
        change=("set /map1/accounts1/admin password=NEW",),
        says="status_tag=COMMAND COMPLETED",
        words={
            SHORT: "Password is too short.",
            SIMPLE: "Password is not complex enough.",
            SAME: "Password is the same.",
            USED: "Password is used before.",
        },
        invalid="error_tag=COMMAND NOT RECOGNIZED",
        forbidden=(("set /map1/accounts1/admin password=Some-pass9",), "INSUFFICIENT PRIVILEGE"),
        held=(("set /map1/accounts1/admin password=NEW",), "RESOURCE LOCKED BY other"),
        expired=("The password must be changed.", "New password: ", "Confirm password: "),
    ),
    "idrac": Case(
        change=("racadm set iDRAC.Users.2.Password NEW",),
        says="Object value modified successfully",
        words={
            SHORT: "ERROR: RAC1118 : The password is shorter",
            SIMPLE: "ERROR: RAC1118 : The password does not meet",
            SAME: "ERROR: RAC1118 : The password is the same",
            USED: "ERROR: RAC1118 : The password was used before",
        },
        invalid="ERROR: Invalid subcommand specified.",
        forbidden=(("racadm set iDRAC.Users.2.Password Some-pass9",), "ERROR: You do not have sufficient"),
        held=(("racadm set iDRAC.Users.2.Password NEW",), "A job of other is running"),
        expired=("The password must be changed", "New password: ", "Confirm password: "),
    ),
}
