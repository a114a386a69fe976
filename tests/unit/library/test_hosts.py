"""The library for Unix hosts and appliances against their emulations: every end typed, no success claimed for
what did not happen, no value altered."""

from __future__ import annotations

import string
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.templating.header import Tier
from executors.contract import Outcome, Report, Section
from executors.emulated.account import Account, Lies, Rules
from executors.emulated.catalogue import PLATFORMS
from executors.emulated.cli import Cli
from executors.emulated.trouble import Delay, Drop, Noise, Point, Silence
from tests.native_rig import Rig, library

OLD, NEW, OTHER = "Old-pass1", "New-pass2", "Else-pass3"
SOMEBODY, OPERATOR = "svc", 1
STRICT: Final = Rules(min_length=8, kinds=2, remembers=3)
LAX: Final = Rules(min_length=1)


@dataclass(frozen=True)
class Host:
    """`bound`: the target's rules bind whoever sets the password so. `carries`: what of hostile passwords."""

    template: str
    platform: str
    user: str = SOMEBODY
    bound: bool = True
    carries: str = "all"
    is_cli: bool = True

    @property
    def is_own(self) -> bool:
        return library()[self.template].login == "self"

    @property
    def administrator(self) -> str:
        """Who is to have the rights."""
        return self.user if self.is_own else "root" if library()[self.template].login == "root" else "admin"


UNIX: Final = (
    Host("alpine-own-password", "alpine", is_cli=False),
    Host("alpine-by-root", "alpine", is_cli=False, bound=False),
    Host("aix-own-password", "aix", is_cli=False),
    Host("aix-by-root", "aix", is_cli=False, bound=False),
    Host("aix-by-pwdadm", "aix", is_cli=False),
    Host("solaris-own-password", "solaris", is_cli=False),
    Host("solaris-by-root", "solaris", is_cli=False, bound=False),
    Host("freebsd-own-password", "freebsd", is_cli=False),
    Host("freebsd-by-root", "freebsd", is_cli=False, bound=False),
    Host("openbsd-own-password", "openbsd", is_cli=False),
    Host("openbsd-by-root", "openbsd", is_cli=False),
)
LINUX: Final = tuple(
    Host(f"linux-{way}", platform, is_cli=False, bound=way == "own-password")
    for platform in ("debian", "rhel", "suse")
    for way in ("own-password", "by-root")
)
APPLIANCES: Final = (
    Host("f5-own-password", "f5"),
    Host("f5-by-administrator", "f5"),
    Host("fortios-own-password", "fortios"),
    Host("fortios-by-administrator", "fortios"),
    Host("panos-own-password", "panos"),
    Host("panos-by-administrator", "panos"),
    Host("gaia-own-password", "checkpoint"),
    Host("gaia-by-administrator", "checkpoint"),
    Host("gaia-expert-password", "checkpoint", user="expert"),
    Host("ilo-own-password", "ilo", carries="bare"),
    Host("ilo-by-administrator", "ilo", carries="bare"),
    Host("idrac-own-password", "idrac", carries="double-quoted"),
    Host("idrac-by-administrator", "idrac", carries="double-quoted"),
)
HOSTS: Final = (*UNIX, *LINUX, *APPLIANCES)
OURS: Final = (*UNIX, *APPLIANCES)


def of(hosts: tuple[Host, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("host", hosts, ids=lambda host: f"{host.template}@{host.platform}")


def asks_old(host: Host) -> bool:
    return "CURRENT_PASSWORD" in (library()[host.template].tags or {})


OWN: Final = tuple(host for host in HOSTS if host.is_own)
BOUND: Final = tuple(host for host in HOSTS if host.bound)
BY_OTHERS: Final = tuple(host for host in HOSTS if not host.is_own and host.user == SOMEBODY)


def rig(host: Host, *more: Account, rights: bool = True, **settings: Any) -> Rig:
    """Root, an administrator and somebody, all with OLD. Whoever changes has the rights, if `rights`."""
    needs = host.administrator if host.is_cli or not host.is_own else ""
    names = ["root", "admin", SOMEBODY]
    privileges = {name: 15 if rights or name != needs else OPERATOR for name in names}
    if not host.is_cli:
        privileges[SOMEBODY] = OPERATOR  # root's own passwd asks for no old password
    services = [Account(name, OLD, service=True) for name in PLATFORMS[host.platform].services]
    accounts = [Account(name, OLD, privilege=privileges[name]) for name in names]
    return Rig(host.platform, *accounts, *services, *more, **settings)


def values(host: Host, new: str = NEW, old: str = OLD) -> dict[str, str]:
    return {
        "USERNAME": host.user, "CURRENT_PASSWORD": old, "NEW_PASSWORD": new, "AUTH_PASSWORD": OLD,
    }  # fmt: skip


def change(host: Host, target: Rig, new: str = NEW, old: str = OLD) -> Report:
    return target.change(host.template, **values(host, new, old))


def opening(host: Host, target: Rig, *secrets: str) -> list[str]:
    return [text for text in secrets or (OLD, NEW) if target.opens(host.user, text)]


@of(OURS)
def test_the_header_says_that_only_an_emulation_was_tried(host: Host) -> None:
    assert library()[host.template].tier is Tier.EMULATED


def test_every_template_of_these_platforms_is_tried_here() -> None:
    platforms = {library()[host.template].platform for host in OURS}
    assert {name for name, file in library().items() if file.platform in platforms} == {
        host.template for host in OURS
    }


@of(HOSTS)
@pytest.mark.parametrize("chunk", [65536, 1], ids=["whole", "bytewise"])
def test_a_change_opens_with_the_new_password_alone(host: Host, chunk: int) -> None:
    target = rig(host, chunk=chunk)
    report = change(host, target)
    assert (report.outcome, report.message) == (Outcome.OK, "")
    assert opening(host, target) == [NEW]
    assert NEW not in target.transcript.text()
    assert OLD not in target.transcript.text()


@of(HOSTS)
def test_other_accounts_keep_their_passwords(host: Host) -> None:
    target = rig(host, Account("svc2", OLD), Account("sv", OLD))
    assert change(host, target).outcome is Outcome.OK
    others = {"root", "admin", SOMEBODY, "svc2", "sv"} - {host.user}
    assert [name for name in others if not target.opens(name, OLD)] == []


@of(tuple(host for host in HOSTS if not host.is_cli))
def test_the_status_before_says_who_it_is(host: Host) -> None:
    facts = change(host, rig(host)).facts
    assert facts["identity"].isdigit()
    assert facts.get("status", "usable") == "usable"


@of(tuple(host for host in (*UNIX, *LINUX) if not host.is_own))
def test_a_locked_account_is_seen_before_anything_is_changed(host: Host) -> None:
    target = rig(host)
    account = target.device.find(SOMEBODY)
    assert account is not None
    account.locked = True
    report = target.run(host.template, Section.STATUS, **values(host))
    assert (report.outcome, report.facts["status"]) == (Outcome.OK, "locked")


@of(OWN)
def test_a_locked_account_changes_nothing_of_its_own(host: Host) -> None:
    target = rig(host, rules=replace(STRICT, tries=2))
    for _ in range(2):
        target.device.authenticate(host.user, "not-it")
    assert change(host, target).outcome is Outcome.BAD_LOGIN
    account = target.device.find(host.user)
    assert account is not None
    assert account.password == OLD


HOSTILE: Final = {
    "bare": [
        "a#b$c%d&e", "$HOME;reboot|x", "-leading", "!bang*star~", "[#USERNAME#]", "(tmos)#<>{}[]", "a=b,c:d",
        "status_tag=9", "Verify", "Confirm", "UserName=svc", "%s%n%d",
    ],
    "double-quoted": [
        "it's $HOME", " led and trailed ", "a# b> racadm>>c", "what? why?", "pass-wörter-пароль", "`id`",
        "Enter new expert password", "confirm password:", "Command fail. Return code -37",
        "ERROR: RAC1118", "Object value modified successfully",
        "new password:", "(admin) # end", "hpiLO-> exit",
    ],
    "all": ['say "hi"', "back\\slash\\", '\\"', '"', "'\"'\"'", "\\\\", "end\\"],
}  # fmt: skip
CARRIED: Final = {
    "all": ("bare", "double-quoted", "all"),
    "double-quoted": ("bare", "double-quoted"),
    "bare": ("bare",),
}


@of(HOSTS)
@pytest.mark.parametrize("group", HOSTILE)
@pytest.mark.parametrize("chunk", [65536, 1], ids=["whole", "bytewise"])
def test_a_hostile_password_arrives_exactly_or_is_refused_before_anything_is_sent(
    host: Host, group: str, chunk: int
) -> None:
    for password in HOSTILE[group]:
        target = rig(host, rules=LAX, chunk=chunk)
        report = change(host, target, password)
        if group in CARRIED[host.carries]:
            assert (report.outcome, report.message, password) == (Outcome.OK, "", password)
            assert opening(host, target, OLD, password) == [password]
        else:
            assert (report.outcome, password) == (Outcome.BAD_TEMPLATE, password)
            assert target.device.received == []


@of(tuple(host for host in HOSTS if asks_old(host)))
def test_a_hostile_old_password_arrives_exactly(host: Host) -> None:
    for old in (text for group in HOSTILE.values() for text in group):
        target = rig(host, rules=LAX)
        target.device.change(host.user, old, by_rules=False)
        assert (change(host, target, old=old).outcome, old) == (Outcome.OK, old)
        assert opening(host, target, old, NEW) == [NEW]


TYPED: Final = st.text(
    st.characters(categories=("L", "N", "P", "S", "Zs")) | st.sampled_from(string.punctuation + " "),
    min_size=1,
    max_size=40,
)


@of(OURS)
@settings(max_examples=25)
@given(password=TYPED)
def test_no_password_is_altered_on_its_way(host: Host, password: str) -> None:
    target = rig(host, rules=replace(LAX, must_differ=False))
    report = change(host, target, password)
    account = target.device.find(host.user)
    assert account is not None
    expected = {Outcome.OK: password, Outcome.BAD_TEMPLATE: OLD}
    assert account.password == expected[report.outcome]


NAMES: Final = (
    "op password x", 'o"p', "op\\", "op;reboot", "op?", "a/b", "op|x", "$(id)", "o'p", "[op]", "#op",
)  # fmt: skip


@of(tuple(host for host in BY_OTHERS if host.is_cli))
def test_a_name_that_a_command_line_could_misread_is_refused_before_anything_is_sent(host: Host) -> None:
    for name in NAMES:
        target = rig(host)
        report = change(replace(host, user=name), target)
        if host.platform == "idrac":  # a name is only looked for there, never typed
            assert report.outcome is Outcome.ACCOUNT_MISSING
        else:
            assert (report.outcome, name) == (Outcome.BAD_TEMPLATE, name)
            assert target.device.received == []


@of(tuple(host for host in (*UNIX, *LINUX) if not host.is_own))
def test_a_hostile_name_is_one_word_of_a_shell(host: Host) -> None:
    for name in NAMES:
        target = rig(host, Account(name, OLD, privilege=OPERATOR))
        report = change(replace(host, user=name), target)
        # What a name with a blank looks like in the status is not known, so it goes no further.
        expected = (
            Outcome.SCRIPT_MISMATCH
            if " " in name and host.platform in ("aix", "solaris", "debian", "rhel", "suse")
            else Outcome.OK
        )
        assert (report.outcome, name) == (expected, name)
        assert target.opens(name, NEW if expected is Outcome.OK else OLD)
        assert target.opens(SOMEBODY, OLD)


@of(OWN)
def test_a_wrong_old_password_is_refused_at_the_login(host: Host) -> None:
    target = rig(host)
    assert change(host, target, old="not-it").outcome is Outcome.BAD_LOGIN
    assert opening(host, target) == [OLD]


@of(tuple(host for host in HOSTS if asks_old(host) and host.platform != "f5"))
def test_a_wrong_old_password_is_refused_where_it_is_asked_for(host: Host) -> None:
    target = rig(host)
    report = target.run(host.template, Section.CHANGE, **values(host, old="not-it-at-all"))
    assert report.outcome is Outcome.BAD_LOGIN
    assert "not-it" not in report.message
    assert opening(host, target) == [OLD]


def test_pwdadm_asks_for_the_password_of_whoever_runs_it() -> None:
    host = next(host for host in UNIX if host.template == "aix-by-pwdadm")
    target = rig(host)
    report = target.change(host.template, **{**values(host), "AUTH_PASSWORD": "not-it-at-all"})
    assert report.outcome is Outcome.BAD_LOGIN
    assert opening(host, target) == [OLD]


@pytest.mark.parametrize("template", ["aix-by-root", "aix-by-pwdadm"])
def test_a_password_set_on_aix_need_not_be_changed_at_the_next_login(template: str) -> None:
    host = next(host for host in UNIX if host.template == template)
    target = rig(host)
    account = target.device.find(SOMEBODY)
    assert account is not None
    account.must_change = True
    assert change(host, target).outcome is Outcome.OK
    assert not account.must_change


BROKEN: Final = {
    "Sh0rt": Outcome.REFUSED_BY_POLICY,
    "onlylowercase": Outcome.REFUSED_BY_POLICY,
    OLD: Outcome.TOO_SOON,
    OTHER: Outcome.TOO_SOON,
}


@of(BOUND)
@pytest.mark.parametrize("password", BROKEN, ids=["too-short", "too-simple", "the-same", "used-before"])
@pytest.mark.parametrize("chunk", [65536, 1], ids=["whole", "bytewise"])
def test_a_password_that_breaks_a_rule_is_refused_by_its_name(host: Host, password: str, chunk: int) -> None:
    target = rig(host, rules=STRICT, chunk=chunk)
    target.device.change(host.user, OTHER, by_rules=False)
    target.device.change(host.user, OLD, by_rules=False)
    report = change(host, target, password)
    assert report.outcome is BROKEN[password]
    assert report.message
    assert set(opening(host, target, OLD, *BROKEN)) == {OLD}


@of(BOUND)
def test_a_password_changed_a_moment_ago_is_too_new_to_be_changed(host: Host) -> None:
    target = rig(host, rules=Rules(min_age=86_400.0))
    target.device.change(host.user, OTHER, by_rules=False)
    target.device.change(host.user, OLD, by_rules=False)
    report = change(host, target)
    expected = Outcome.PERMISSION_DENIED if host.template == "freebsd-own-password" else Outcome.TOO_SOON
    assert report.outcome is expected  # FreeBSD's words say no more than that
    assert opening(host, target) == [OLD]


@of(BOUND)
def test_a_change_that_is_made_and_denied_is_no_success(host: Host) -> None:
    target = rig(host, lies=Lies(says_no_but_does=True))
    assert change(host, target).outcome is Outcome.REFUSED_BY_POLICY
    assert opening(host, target) == [NEW]


@of(tuple(host for host in (*UNIX, *LINUX) if host.is_own))
def test_an_expired_password_is_changed_by_its_account(host: Host) -> None:
    target = rig(host)
    account = target.device.find(host.user)
    assert account is not None
    account.must_change = True
    report = change(host, target)
    assert (report.outcome, report.facts["status"]) == (Outcome.OK, "expired")
    assert opening(host, target) == [NEW]


@of(tuple(host for host in OURS if host.is_cli or not host.is_own))
def test_whoever_must_change_their_password_first_is_told_so(host: Host) -> None:
    target = rig(host)
    account = target.device.find(host.administrator)
    assert account is not None
    account.must_change = True
    report = change(host, target)
    assert report.outcome is Outcome.ACCOUNT_DISABLED
    assert opening(host, target) == [OLD]


@of(HOSTS)
def test_a_slow_target_is_waited_for(host: Host) -> None:
    troubles = {point: [Delay(4.0)] for point in Point if point is not Point.BANNER}
    target = rig(host, troubles=troubles)
    assert change(host, target).outcome is Outcome.OK
    assert opening(host, target) == [NEW]


@of(HOSTS)
@pytest.mark.parametrize("trouble", [Silence(), Delay(100_000.0)], ids=["silent", "much-too-slow"])
@pytest.mark.parametrize("point", [Point.BEFORE_CHANGE, Point.AFTER_CHANGE])
def test_a_target_that_answers_no_more_is_no_success(host: Host, point: Point, trouble: Any) -> None:
    target = rig(host, troubles={point: [trouble]})
    assert change(host, target).outcome is Outcome.TIMEOUT


@of(HOSTS)
@pytest.mark.parametrize("point", list(Point))
def test_a_connection_that_is_lost_is_no_success(host: Host, point: Point) -> None:
    target = rig(host, troubles={point: [Drop()]})
    report = change(host, target)
    met = report.outcome is not Outcome.OK
    assert report.outcome is (Outcome.UNREACHABLE if met else Outcome.OK)
    assert met or opening(host, target) == [NEW]
    if point is Point.BEFORE_CHANGE:
        assert (met, opening(host, target)) == (True, [OLD])
    if point is Point.AFTER_CHANGE:
        assert (met, opening(host, target)) == (True, [NEW])


@of(APPLIANCES)
@pytest.mark.parametrize(
    "banner",
    [
        "Welcome. Never type your password:\nFGT # \nadmin@gw> \nracadm>>\n</>hpiLO-> \n(tmos)# \n",
        "#" * 72 + "\n# Authorised use only # \n" + "#" * 72 + "\n",
        "role-based\nno\nObject value modified successfully\nstatus_tag=COMMAND COMPLETED\n",
    ],
    ids=["prompts", "box", "good-news"],
)  # fmt: skip
def test_a_banner_is_no_prompt_and_no_answer(host: Host, banner: str) -> None:
    target = rig(host, banner=banner)
    assert change(host, target).outcome is Outcome.OK
    assert opening(host, target) == [NEW]


@of(tuple(host for host in APPLIANCES if host.platform != "idrac"))  # a slot is known by its whole line there
def test_noise_before_a_prompt_is_read_over(host: Host) -> None:
    target = rig(host, troubles={Point.PROMPT: [Noise(b"\xff\xfe\x1b[2J\x1b]0;title\x07")]})
    assert change(host, target).outcome is Outcome.OK
    assert opening(host, target) == [NEW]


@of(OURS)
def test_many_accounts_bring_no_pager(host: Host) -> None:
    target = rig(host, *(Account(f"user{number}", OLD) for number in range(13 if host.is_cli else 60)))
    assert change(host, target).outcome is Outcome.OK
    assert opening(host, target) == [NEW]


@of(BY_OTHERS)
def test_an_account_that_is_missing_is_named_so_and_not_made(host: Host) -> None:
    target = rig(host)
    report = change(replace(host, user="nobody9"), target)
    assert report.outcome is Outcome.ACCOUNT_MISSING
    assert target.device.find("nobody9") is None


NEEDS_RIGHTS: Final = tuple(
    host for host in OURS if not (host.is_own and not host.is_cli) and host.template != "panos-own-password"
)


@of(NEEDS_RIGHTS)
def test_whoever_has_no_right_changes_nothing(host: Host) -> None:
    target = rig(host, rights=False)
    assert change(host, target).outcome is Outcome.PERMISSION_DENIED
    assert opening(host, target) == [OLD]


HELD: Final = tuple(host for host in APPLIANCES if host.template not in ("panos-own-password",))


@of(HELD)
def test_a_configuration_that_another_holds_is_left_to_them(host: Host) -> None:
    target = rig(host, lock_holder="other")
    assert change(host, target).outcome is Outcome.UNKNOWN
    assert opening(host, target) == [OLD]
    assert target.device.lock_holder == "other"


@pytest.fixture
def bare_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every platform without a command of its own but leaving."""
    for name, platform in PLATFORMS.items():
        session: Any = platform.session
        if issubclass(session, Cli):
            modes = {key: replace(mode, commands=()) for key, mode in session.modes.items()}
            bare = type(session.__name__, (session,), {"modes": modes})
        else:
            bare = type(session.__name__, (session,), {"commands": {}})
        monkeypatch.setitem(PLATFORMS, name, replace(platform, session=bare))


@of(HOSTS)
@pytest.mark.usefixtures("bare_platforms")
def test_a_command_that_the_target_does_not_know_is_a_mismatch(host: Host) -> None:
    target = rig(host)
    report = change(host, target)
    assert report.outcome in (Outcome.SCRIPT_MISMATCH, Outcome.PERMISSION_DENIED)
    assert opening(host, target) == [OLD]


SAVING: Final = tuple(host for host in APPLIANCES if PLATFORMS[host.platform].saves)


def saved(host: Host, target: Rig) -> Outcome:
    return target.run(host.template, Section.PERSIST, **values(host)).outcome


@of(SAVING)
def test_a_change_is_permanent_only_once_it_was_saved(host: Host) -> None:
    unproven, proven = rig(host), rig(host)
    for target in (unproven, proven):
        assert change(host, target).outcome is Outcome.OK
    assert saved(host, proven) is Outcome.OK
    for target in (unproven, proven):
        target.device.reload()
    assert opening(host, unproven) == [OLD]
    assert opening(host, proven) == [NEW]


@of(SAVING)
def test_what_is_not_saved_is_said_so(host: Host) -> None:
    target = rig(host, troubles={Point.BEFORE_SAVE: [Drop()]})
    assert change(host, target).outcome is Outcome.OK
    assert saved(host, target) is Outcome.UNREACHABLE
    target.device.reload()
    assert opening(host, target) == [OLD]


def test_the_configuration_of_gaia_is_not_saved_over_anothers_lock() -> None:
    host = next(host for host in SAVING if host.template == "gaia-by-administrator")
    target = rig(host)
    assert change(host, target).outcome is Outcome.OK
    target.device.lock_holder = "other"
    assert saved(host, target) is Outcome.UNKNOWN


def test_only_the_platforms_that_forget_have_something_to_save() -> None:
    for host in APPLIANCES:
        assert ("[persist]" in library()[host.template].body) == PLATFORMS[host.platform].saves


def test_the_first_expert_password_is_set_without_an_old_one() -> None:
    target = Rig("checkpoint", Account("admin", OLD))
    report = target.change("gaia-expert-password", CURRENT_PASSWORD="none", NEW_PASSWORD=NEW)
    assert report.outcome is Outcome.OK
    assert target.opens("expert", NEW)


def test_an_account_of_an_idrac_is_found_in_whichever_slot_it_sits() -> None:
    for slot in range(14):
        others = [Account("admin", OLD), *(Account(f"svc{number}", OLD) for number in range(13))]
        accounts = [*others[: slot + 1], Account(SOMEBODY, OLD), *others[slot + 1 :]]
        target = Rig("idrac", *accounts)
        assert change(APPLIANCES[-1], target).outcome is Outcome.OK
        assert [each.name for each in target.device.accounts() if each.password == NEW] == [SOMEBODY]


def test_a_sudoer_sees_the_status_on_every_distribution() -> None:
    for platform in ("debian", "rhel", "suse"):
        target = rig(Host("linux-by-sudoer", platform, is_cli=False))
        report = target.run(
            "linux-by-sudoer", Section.STATUS, USERNAME=SOMEBODY, NEW_PASSWORD=NEW, AUTH_PASSWORD=OLD
        )
        assert (report.outcome, report.facts["status"]) == (Outcome.OK, "usable")
