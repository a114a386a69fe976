"""What single platforms do that others do not."""

from __future__ import annotations

import pytest

from executors.emulated.account import Access, Lies, Rules
from executors.emulated.device import Device
from executors.emulated.platforms.gaia import EXPERT
from executors.emulated.platforms.routers import ENABLE
from executors.emulated.trouble import Drop, Point, Silence
from tests.unit.executors.emulated.talking import NEW, OLD, Seat, device


class Time:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize("platform", ["ios", "asa", "eos"])
def test_an_enable_secret_opens_privileged_mode_and_no_login(platform: str) -> None:
    target = device(platform)
    assert target.authenticate(ENABLE, OLD) is Access.REFUSED
    seat = Seat(target, "op")
    assert seat.text.rstrip().endswith(">")
    seat.lines(("enable", "OLD"))
    assert seat.text.rstrip().endswith("#")


@pytest.mark.parametrize(
    ("platform", "words"), [("ios", "% Bad secrets"), ("asa", "Invalid password"), ("eos", "% Bad secret")]
)
def test_a_wrong_enable_secret_is_asked_for_three_times(platform: str, words: str) -> None:
    seat = Seat(device(platform), "op")
    shown = seat.lines(("enable", "a", "b", "c"))
    assert shown.count("Password: ") == 3
    assert words in shown
    assert seat.text.rstrip().endswith(">")


@pytest.mark.parametrize(
    ("platform", "line"),
    [("ios", "enable secret NEW"), ("asa", "enable password NEW"), ("eos", "enable secret NEW")],
)
def test_the_enable_secret_is_changed_in_the_configuration(platform: str, line: str) -> None:
    target = device(platform)
    seat = Seat(target)
    seat.lines(([] if platform == "ios" else ["enable", "OLD"]) + ["configure terminal", line])
    assert target.opens(ENABLE, NEW)
    assert not target.opens(ENABLE, OLD)


def test_an_incomplete_command_is_named() -> None:
    seat = Seat(device("ios"))
    seat.say("configure terminal")
    assert "% Incomplete command." in seat.say("username admin secret")


def test_a_password_on_an_ios_line_keeps_its_blanks() -> None:
    target = device("ios")
    Seat(target).lines(("configure terminal", "username admin secret NEW"), new="two words ")
    assert target.opens("admin", "two words ")


@pytest.mark.parametrize(
    ("platform", "lines"),
    [
        (
            "junos",
            ("configure", "set system login user admin authentication plain-text-password", "NEW", "NEW"),
        ),
        ("iosxr", ("configure terminal", "username admin", "secret NEW")),
        ("panos", ("configure", "set mgt-config users admin password", "NEW", "NEW")),
        ("fortios", ("config system admin", "edit admin", "set password NEW OLD")),
        ("eos", ("enable", "OLD", "configure session s1", "username admin secret NEW")),
    ],
)
def test_what_was_not_committed_is_not_in_force(platform: str, lines: tuple[str, ...]) -> None:
    target = device(platform)
    Seat(target).lines(lines)
    assert target.opens("admin", OLD)


COMMIT_IN_TIME = [
    (
        "junos",
        ("configure", "set system login user admin authentication plain-text-password", "NEW", "NEW",
         "commit confirmed 5"),
        ("commit",),
    ),
    (
        "iosxr",
        ("configure terminal", "username admin", "secret NEW", "commit confirmed minutes 5"),
        ("commit",),
    ),
    (
        "eos",
        ("enable", "OLD", "configure session s1", "username admin secret NEW", "commit timer 00:05:00"),
        ("configure session s1 commit",),
    ),
    (
        "ios",
        ("configure terminal revert timer 5", "username admin secret NEW", "end"),
        ("configure confirm",),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("platform", "lines", "confirm"), COMMIT_IN_TIME)
def test_an_armed_undo_brings_the_old_password_back(
    platform: str, lines: tuple[str, ...], confirm: tuple[str, ...]
) -> None:
    time = Time()
    target = device(platform, clock=time)
    Seat(target).lines(lines)
    assert target.opens("admin", NEW)
    time.seconds = 301.0
    assert target.opens("admin", OLD)
    assert not target.opens("admin", NEW)


@pytest.mark.parametrize(("platform", "lines", "confirm"), COMMIT_IN_TIME)
def test_an_armed_undo_is_disarmed_by_confirming(
    platform: str, lines: tuple[str, ...], confirm: tuple[str, ...]
) -> None:
    time = Time()
    target = device(platform, clock=time)
    seat = Seat(target)
    seat.lines(lines)
    seat.lines(confirm)
    time.seconds = 301.0
    assert target.opens("admin", NEW)


def test_junos_tells_two_passwords_that_differ() -> None:
    seat = Seat(device("junos"))
    seat.lines(
        ("configure", "set system login user admin authentication plain-text-password", "NEW", "other")
    )
    assert "error: Passwords are not equal; aborting" in seat.text


def test_junos_asks_before_it_forgets_a_candidate() -> None:
    target = device("junos")
    seat = Seat(target)
    seat.lines(("configure", "set system login user admin authentication plain-text-password", "NEW", "NEW"))
    assert seat.say("exit").endswith("Exit with uncommitted changes? [yes,no] (yes) ")
    seat.say("yes")
    assert seat.text.endswith("admin@junos> ")
    assert target.opens("admin", OLD)


def test_ios_xr_asks_before_it_leaves_a_changed_configuration() -> None:
    target = device("iosxr")
    seat = Seat(target)
    seat.lines(("configure terminal", "username admin secret NEW"))
    assert seat.say("end").endswith("[cancel]:")
    seat.say("yes")
    assert target.opens("admin", NEW)


def test_ios_xr_says_why_a_commit_failed() -> None:
    seat = Seat(device("iosxr"))
    seat.lines(("configure terminal", "username admin secret NEW", "commit"), new="Sh0rt")
    assert "shorter than the minimum" in seat.say("show configuration failed")


def test_fortios_refuses_at_next_and_discards() -> None:
    target = device("fortios")
    seat = Seat(target)
    assert seat.lines(("config system admin", "edit op", "set password NEW"), new="Sh0rt").endswith("(op) # ")
    assert "object check operator error" in seat.say("next")
    assert target.opens("op", OLD)


def test_fortios_takes_back_a_new_entry_by_abort() -> None:
    target = device("fortios")
    seat = Seat(target)
    assert "new entry 'fresh' added" in seat.lines(("config system admin", "edit fresh"))
    seat.say("abort")
    assert target.find("fresh") is None


def test_fortios_takes_quotes_and_blanks() -> None:
    target = device("fortios")
    Seat(target).lines(("config system admin", 'edit "op"', 'set password "two \\"words\\""', "end"))
    assert target.opens("op", 'two "words"')


def test_check_point_lets_the_lock_be_taken_over() -> None:
    target = device("checkpoint", lock_holder="other")
    seat = Seat(target)
    assert "CLINFR0771  Config lock is owned by other." in seat.text
    seat.lines(("lock database override", "set user admin newpass NEW"))
    assert target.opens("admin", NEW)


def test_check_point_has_an_expert_password_of_its_own() -> None:
    target = device("checkpoint")
    seat = Seat(target)
    seat.lines(("set expert-password", "OLD", "NEW", "NEW"))
    assert target.opens(EXPERT, NEW)
    assert "Wrong password." in seat.lines(("expert", "OLD"))
    assert seat.lines(("expert", "NEW")).endswith("[Expert@gw:0]# ")


def test_mikrotik_reads_a_dollar_sign_as_a_variable() -> None:
    target = device("mikrotik")
    seat = Seat(target)
    seat.say('/user set admin password="Some$thing-word9"')
    assert target.opens("admin", "Some-word9")
    seat.say('/user set [find name=admin] password="Some\\$thing-word9"')
    assert target.opens("admin", "Some$thing-word9")


@pytest.mark.parametrize(
    ("platform", "line", "words"),
    [
        ("f5", "modify auth user nobody password Some-pass9", "The requested user (nobody) was not found."),
        ("ilo", "set /map1/accounts1/nobody password=Some-pass9", "error_tag=INVALID TARGET"),
        ("idrac", "racadm set iDRAC.Users.9.Password Some-pass9", "RAC905"),
        ("mikrotik", "/user set nobody password=Some-pass9", "no such item"),
        ("checkpoint", "set user nobody newpass Some-pass9", "No such user."),
    ],
)
def test_an_unknown_account_is_named(platform: str, line: str, words: str) -> None:
    assert words in Seat(device(platform)).say(line)


def test_idrac_names_who_sits_in_a_slot() -> None:
    assert "UserName=op" in Seat(device("idrac")).say("racadm get iDRAC.Users.3.UserName")


def test_an_older_racadm_syntax_works() -> None:
    target = device("idrac")
    Seat(target).say(f"racadm config -g cfgUserAdmin -o cfgUserAdminPassword -i 2 {NEW}")
    assert target.opens("admin", NEW)


def test_huawei_answers_no_to_saving() -> None:
    target = device("vrp")
    seat = Seat(target)
    seat.lines(
        ("system-view", "aaa", "local-user admin password irreversible-cipher NEW", "return", "save", "n")
    )
    target.reload()
    assert target.opens("admin", OLD)


def test_huawei_removes_an_account_by_undo() -> None:
    target = device("vrp")
    Seat(target).lines(("system-view", "aaa", "undo local-user op"))
    assert target.find("op") is None


def test_on_rhel_root_is_warned_and_obeyed() -> None:
    target = device("rhel")
    seat = Seat(target, "root")
    assert "BAD PASSWORD" in seat.lines(("passwd op", "NEW", "NEW"), new="Sh0rt")
    assert target.opens("op", "Sh0rt")


def test_debian_gives_up_after_three_refused_passwords() -> None:
    seat = Seat(device("debian"), "op")
    seat.lines(("passwd", "OLD", *["NEW"] * 6), new="Sh0rt")
    assert "passwd: Have exhausted maximum number of retries for service" in seat.text


def test_debian_ends_at_two_passwords_that_differ() -> None:
    seat = Seat(device("debian"), "op")
    shown = seat.lines(("passwd", "OLD", "NEW", "other"))
    assert "Sorry, passwords do not match." in shown
    assert shown.endswith("op@debian:~$ ")


def test_sudo_asks_for_ones_own_password() -> None:
    target = device("debian")
    seat = Seat(target)
    account = target.find("admin")
    assert account is not None
    account.privilege = 5  # a sudoer who is not root
    assert seat.say("sudo passwd op").endswith("[sudo] password for admin: ")
    assert "Sorry, try again." in seat.say("not-it")
    seat.lines(("OLD", "NEW", "NEW"))
    assert target.opens("op", NEW)


def test_who_is_no_sudoer_is_reported() -> None:
    assert "is not in the sudoers file" in Seat(device("debian"), "op").lines(("sudo passwd admin", "OLD"))


def test_su_needs_the_other_password() -> None:
    target = device("debian")
    seat = Seat(target, "op")
    assert "su: Authentication failure" in seat.lines(("su - root", "OLD"))
    assert seat.lines(("su - root", "Root-pass1")).endswith("root@debian:~# ")
    assert seat.say("exit").endswith("op@debian:~$ ")


def test_a_shell_tells_the_status_of_the_last_command() -> None:
    seat = Seat(device("debian"), "op")
    seat.say("passwd admin")
    assert "\n1\n" in seat.say("echo $?")


@pytest.mark.parametrize("platform", ["debian", "freebsd"])
def test_root_locks_and_unlocks_an_account(platform: str) -> None:
    lock, unlock = (
        ("usermod -L op", "usermod -U op") if platform == "debian" else ("pw lock op", "pw unlock op")
    )
    target = device(platform)
    seat = Seat(target, "root")
    seat.say(lock)
    assert target.authenticate("op", OLD) is Access.LOCKED
    seat.say(unlock)
    assert target.opens("op", OLD)


def test_freebsd_sets_a_password_handed_over_on_input() -> None:
    target = device("freebsd")
    console = target.open("root", "pw usermod op -h 0", terminal=False)
    console.feed(f"{NEW}\n".encode())
    assert target.opens("op", NEW)


def test_aix_pwdadm_makes_the_account_change_its_password_at_login() -> None:
    target = device("aix")
    seat = Seat(target, "root")
    seat.lines(("pwdadm op", "Root-pass1", "NEW", "NEW"))
    account = target.find("op")
    assert account is not None
    assert account.must_change
    seat.say("pwdadm -c op")
    assert not account.must_change


def test_debian_logs_out_after_an_expired_password_was_changed() -> None:
    target = device("debian")
    account = target.find("op")
    assert account is not None
    account.must_change = True
    seat = Seat(target, "op")
    seat.lines(("OLD", "NEW", "NEW"))
    assert seat.console.over


def test_a_save_may_be_cut_off() -> None:
    target = device("ios", troubles={Point.AFTER_SAVE: [Drop()]})
    seat = Seat(target)
    seat.lines(("configure terminal", "username admin secret NEW", "end", "write memory"))
    assert seat.console.dropped
    target.reload()
    assert target.opens("admin", NEW)


@pytest.mark.parametrize("point", [Point.OLD, Point.NEW, Point.AGAIN])
def test_a_connection_may_be_lost_at_a_question(point: Point) -> None:
    target = device("debian", troubles={point: [Drop()]})
    seat = Seat(target, "op")
    seat.lines(("passwd", "OLD", "NEW", "NEW"))
    assert seat.console.dropped
    assert target.opens("op", OLD)


def test_wrong_old_passwords_lock_the_account() -> None:
    target = device("debian", rules=Rules(tries=2))
    Seat(target, "op").lines(("passwd", "a", "passwd", "b"))
    assert target.authenticate("op", OLD) is Access.LOCKED


def test_a_late_change_is_forgotten_by_a_restart() -> None:
    time = Time()
    target: Device = device("ios", lies=Lies(late=60.0), clock=time)
    Seat(target).lines(("configure terminal", "username admin secret NEW", "end", "write memory"))
    target.reload()
    time.seconds = 61.0
    assert target.opens("admin", OLD)


@pytest.mark.parametrize("platform", ["debian", "alpine", "aix", "solaris", "freebsd", "openbsd"])
def test_sshd_runs_passwd_instead_of_a_command_when_the_password_has_expired(platform: str) -> None:
    target = device(platform)
    account = target.find("op")
    assert account is not None
    account.must_change = True
    console = target.open("op", "id -u")
    shown = console.feed(b"") + b"".join(console.feed(f"{line}\r".encode()) for line in (OLD, NEW, NEW))
    assert b"uid" not in shown
    assert (console.over, console.status) == (True, 0)
    assert target.opens("op", NEW)


@pytest.mark.parametrize("platform", ["debian", "alpine", "aix", "solaris", "freebsd", "openbsd"])
def test_without_a_terminal_an_expired_password_is_only_complained_about(platform: str) -> None:
    target = device(platform)
    account = target.find("op")
    assert account is not None
    account.must_change = True
    console = target.open("op", "id -u", terminal=False)
    assert b"Password change required but no TTY available." in console.feed(b"")
    assert (console.over, console.status) == (True, 1)


def test_a_silent_device_does_not_care_for_the_end_of_its_input() -> None:
    target = device("debian", troubles={Point.AFTER_CHANGE: [Silence()]})
    console = target.open("root", "chpasswd", terminal=False)
    console.feed(f"op:{NEW}\n".encode())
    assert console.end_of_input() == []
    assert not console.over
    assert target.opens("op", NEW)


@pytest.mark.parametrize("left", [("abort",), ("\x03",), ()])
def test_an_entry_of_fortios_that_is_not_kept_was_never_there(left: tuple[str, ...]) -> None:
    target = device("fortios")
    seat = Seat(target)
    assert "new entry 'ann' added" in seat.lines(("config system admin", "edit ann", "set password NEW"))
    seat.lines(left)
    seat.console.end_of_input()
    assert target.find("ann") is None


def test_aix_lists_an_account_and_whether_it_is_locked() -> None:
    target = device("aix")
    seat = Seat(target)
    assert "op id=202 account_locked=false" in seat.say("lsuser -a id account_locked op")
    account = target.find("op")
    assert account is not None
    account.locked = True
    assert "account_locked=true" in seat.say("lsuser -a id account_locked op")
    assert '3004-687 User "ann" does not exist.' in seat.say("lsuser -a id account_locked ann")


@pytest.mark.parametrize(
    ("platform", "file"),
    [("alpine", "/etc/shadow"), ("freebsd", "/etc/master.passwd"), ("openbsd", "/etc/master.passwd")],
)
def test_only_root_reads_the_file_with_the_hashes(platform: str, file: str) -> None:
    target = device(platform)
    line = f"awk -F: -v user=op '$1 == user' {file}"
    assert "state usable" in Seat(target, "root").say(line)
    assert f"can't open file {file}" in Seat(target, "op").say(line)
    assert "state" not in Seat(target, "root").say(line.replace("=op", "=ann")).replace(line, "")


def test_panos_says_whether_something_waits_for_a_commit() -> None:
    seat = Seat(device("panos"))
    assert "\nno\n" in seat.lines(("configure", "check pending-changes"))
    assert "\nyes\n" in seat.lines(
        ("set mgt-config users op password", "NEW", "NEW", "check pending-changes")
    )


@pytest.mark.parametrize(
    ("platform", "before", "line", "shown", "missing"),
    [
        ("f5", (), "list auth user {} description", "auth user op {", "01020036:3:"),
        ("panos", ("configure",), "show mgt-config users {} permissions", "role-based", "Server error"),
        ("ilo", (), "show /map1/accounts1/{}", "username=op", "INVALID TARGET"),
    ],
)
def test_a_device_shows_one_account(
    platform: str, before: tuple[str, ...], line: str, shown: str, missing: str
) -> None:
    seat = Seat(device(platform))
    seat.lines(before)
    assert shown in seat.say(line.format("op"))
    assert missing in seat.say(line.format("ann"))
