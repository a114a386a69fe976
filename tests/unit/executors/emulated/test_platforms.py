"""Every platform at its console: the change that works, and each way in which it does not."""

from __future__ import annotations

import pytest

from executors.emulated.account import Access, Account, Lies, Refusal, Rules
from executors.emulated.catalogue import PLATFORMS
from executors.emulated.console import Piece
from executors.emulated.device import Device
from executors.emulated.trouble import Delay, Drop, Noise, Point, Silence
from tests.unit.executors.emulated.cases import CASES
from tests.unit.executors.emulated.talking import NEW, OLD, Seat, device

each = pytest.mark.parametrize("name", CASES)
STRICT = Rules(min_length=8, kinds=2, remembers=3)
BROKEN = {Refusal.TOO_SHORT: "Sh0rt", Refusal.TOO_SIMPLE: "onlylowercase", Refusal.SAME: OLD}


def changed(target: Device, name: str, new: str = NEW) -> str:
    """What is shown while somebody changes the password in the usual way."""
    return Seat(target, CASES[name].user).lines(CASES[name].change, new)


def opens(target: Device, name: str) -> list[str]:
    user = CASES[name].user
    return [text for text in (OLD, NEW) if target.opens(user, text)]


def test_every_platform_has_a_case() -> None:
    assert set(CASES) == set(PLATFORMS)


@each
def test_a_change_opens_with_the_new_password_alone(name: str) -> None:
    target = device(name)
    assert CASES[name].says in changed(target, name)
    assert opens(target, name) == [NEW]


@each
def test_the_device_records_the_lines_that_arrived(name: str) -> None:
    target = device(name)
    changed(target, name)
    expected = [line.replace("NEW", NEW).replace("OLD", OLD) for line in CASES[name].change]
    assert target.received == expected


@each
def test_passwords_asked_for_are_not_shown(name: str) -> None:
    shown = changed(device(name), name)
    in_commands = any("NEW" in line and line != "NEW" for line in CASES[name].change)
    assert (NEW in shown) == in_commands


@each
def test_a_console_ends_lines_by_any_custom(name: str) -> None:
    for ending in ("\r", "\n"):
        target = device(name)
        seat = Seat(target, CASES[name].user)
        for line in CASES[name].change:
            seat.type(line.replace("NEW", NEW).replace("OLD", OLD) + ending)
        assert opens(target, name) == [NEW]


@each
@pytest.mark.parametrize("refusal", BROKEN)
def test_a_password_that_breaks_a_rule_is_refused_in_the_devices_words(name: str, refusal: Refusal) -> None:
    target = device(name, rules=STRICT)
    assert CASES[name].words[refusal] in changed(target, name, BROKEN[refusal])
    assert opens(target, name) == [OLD]


@each
def test_a_password_used_before_is_refused_in_the_devices_words(name: str) -> None:
    target = device(name, rules=STRICT)
    target.change(CASES[name].user, "Older-pass3", by_rules=False)
    target.change(CASES[name].user, OLD, by_rules=False)
    assert CASES[name].words[Refusal.USED_BEFORE] in changed(target, name, "Older-pass3")
    assert opens(target, name) == [OLD]


@each
def test_a_password_that_was_changed_too_recently_stays(name: str) -> None:
    target = device(name, rules=Rules(min_age=86_400.0))
    target.change(CASES[name].user, OLD, by_rules=False)
    changed(target, name)
    assert opens(target, name) == [OLD]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.own])
def test_a_wrong_old_password_changes_nothing(name: str) -> None:
    case, target = CASES[name], device(name)
    assert case.wrong_old in Seat(target, case.user).lines(case.own, old="not-it")
    assert opens(target, name) == [OLD]
    Seat(target, case.user).lines(case.own)
    assert opens(target, name) == [NEW]


@each
def test_a_locked_account_is_let_in_by_nobody(name: str) -> None:
    target = device(name, rules=Rules(tries=2))
    tries = [target.authenticate("admin", text) for text in ("a", "b", OLD)]
    assert tries == [Access.REFUSED, Access.REFUSED, Access.LOCKED]
    seat = Seat(target, None)
    seat.lines(("admin", "OLD"))
    words = PLATFORMS[name].login
    assert (words.locked or words.refused).replace("\r", "") in seat.text
    assert not target.opens("admin", OLD)


@each
def test_the_device_asks_for_a_login_itself(name: str) -> None:
    target = device(name)
    seat = Seat(target, None)
    asked = PLATFORMS[name].login.name.format(host=PLATFORMS[name].hostname)
    assert seat.text.endswith(asked)
    assert PLATFORMS[name].login.refused in seat.lines(("admin", "not-it"))
    seat.lines(("admin", "OLD"))
    assert not seat.console.over
    assert seat.text.count(asked) == 2


@each
def test_a_device_closes_after_too_many_wrong_logins(name: str) -> None:
    seat = Seat(device(name), None)
    seat.lines(("admin", "not-it") * PLATFORMS[name].login.tries)
    assert seat.console.over


@each
def test_an_expired_password_is_changed_at_login(name: str) -> None:
    case, target = CASES[name], device(name)
    account = target.find(case.user)
    assert account is not None
    account.must_change = True
    seat = Seat(target, case.user)
    seat.lines(["OLD"] if case.expired_asks_old else [])
    assert case.expired[0] in seat.text
    assert case.expired[1] in seat.text
    assert case.expired[2] in seat.say(NEW)
    seat.say(NEW)
    assert opens(target, name) == [NEW]
    assert not account.must_change


@each
def test_an_unknown_command_is_refused_in_the_devices_words(name: str) -> None:
    assert CASES[name].invalid in Seat(device(name), CASES[name].user).say("frobnicate")


@each
def test_who_has_no_right_is_told_so_and_changes_nothing(name: str) -> None:
    lines, words = CASES[name].forbidden
    target = device(name)
    assert words in Seat(target, "op").lines(lines)
    assert target.opens("admin", OLD)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.held[0]])
def test_a_configuration_held_by_another_stays(name: str) -> None:
    lines, words = CASES[name].held
    target = device(name, lock_holder="other")
    assert words in Seat(target).lines(lines)
    assert opens(target, name) == [OLD]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.long])
def test_long_output_waits_for_a_key(name: str) -> None:
    case = CASES[name]
    seat = Seat(device(name))
    assert seat.lines(case.long).endswith(case.more)
    assert case.more in seat.type(" ")
    assert not seat.type("q").endswith(case.more)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.save])
def test_a_restart_loses_what_was_not_saved(name: str) -> None:
    case, target = CASES[name], device(name)
    seat = Seat(target)
    seat.lines(case.change)
    seat.lines(case.restart)
    assert opens(target, name) == [OLD]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.save])
def test_a_restart_keeps_what_was_saved(name: str) -> None:
    case, target = CASES[name], device(name)
    seat = Seat(target)
    seat.lines(case.change)
    assert case.saved in seat.lines(case.save)
    target.reload()
    assert opens(target, name) == [NEW]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.save])
def test_a_device_may_say_that_it_saved_and_forget(name: str) -> None:
    case, target = CASES[name], device(name, lies=Lies(forgets=True))
    seat = Seat(target)
    seat.lines(case.change)
    assert case.saved in seat.lines(case.save)
    target.reload()
    assert opens(target, name) == [OLD]


@each
def test_a_banner_may_look_like_a_prompt(name: str) -> None:
    banner = "Welcome. Never type your password:\nRouter# \n"
    target = device(name, banner=banner)
    seat = Seat(target, CASES[name].user)
    assert seat.text.startswith(banner)
    seat.lines(CASES[name].change)
    assert opens(target, name) == [NEW]


@each
def test_a_connection_lost_before_the_change_leaves_the_old_password(name: str) -> None:
    target = device(name, troubles={Point.BEFORE_CHANGE: [Drop()]})
    seat = Seat(target, CASES[name].user)
    seat.lines(CASES[name].change)
    assert seat.console.dropped
    assert opens(target, name) == [OLD]


@each
def test_a_connection_lost_after_the_change_leaves_the_new_password(name: str) -> None:
    target = device(name, troubles={Point.AFTER_CHANGE: [Drop()]})
    seat = Seat(target, CASES[name].user)
    seat.lines(CASES[name].change)
    assert seat.console.dropped
    assert seat.console.over
    assert opens(target, name) == [NEW]


@each
def test_a_device_may_fall_silent_after_the_change(name: str) -> None:
    target = device(name, troubles={Point.AFTER_CHANGE: [Silence()]})
    seat = Seat(target, CASES[name].user)
    seat.lines(CASES[name].change)
    assert not seat.console.over
    assert seat.say("anything") == ""
    assert opens(target, name) == [NEW]


@each
def test_a_device_may_be_slow(name: str) -> None:
    target = device(name, troubles={Point.AFTER_CHANGE: [Delay(30.0)]})
    console = target.open(CASES[name].user)
    pieces = [Piece(0.0, console.feed(b""))]
    for line in CASES[name].change:
        pieces += console.play((line.replace("NEW", NEW).replace("OLD", OLD) + "\r").encode())
    assert [piece.after for piece in pieces if piece.after] == [30.0]
    assert opens(target, name) == [NEW]


@each
def test_a_device_may_send_noise_before_its_prompt(name: str) -> None:
    noise = b"\xff\xfe\x1b[2J\x1b]0;title\x07"
    target = device(name, troubles={Point.PROMPT: [Noise(noise)]})
    console = target.open(CASES[name].user)
    assert noise in console.feed(b"")


@each
def test_a_device_may_store_the_beginning_of_a_password_only(name: str) -> None:
    target = device(name, lies=Lies(cut_at=4))
    changed(target, name)
    assert opens(target, name) == []
    assert target.opens(CASES[name].user, NEW[:4])


@each
def test_a_device_may_compare_the_beginning_of_a_password_only(name: str) -> None:
    target = device(name, lies=Lies(significant=4))
    changed(target, name)
    assert target.opens(CASES[name].user, NEW)
    assert target.opens(CASES[name].user, NEW[:4] + "whatever")


@each
def test_a_device_may_fold_case(name: str) -> None:
    target = device(name, lies=Lies(folds_case=True))
    changed(target, name)
    assert target.opens(CASES[name].user, NEW.upper())


@each
def test_a_device_may_change_the_password_and_refuse_it(name: str) -> None:
    target = device(name, lies=Lies(says_no_but_does=True))
    case = CASES[name]
    assert (case.refuses or case.words[Refusal.TOO_SIMPLE]) in changed(target, name)
    assert target.opens(CASES[name].user, NEW)


@each
def test_a_device_may_confirm_a_change_and_not_make_it(name: str) -> None:
    target = device(name, lies=Lies(says_yes_but_does_not=True))
    assert CASES[name].says in changed(target, name)
    assert opens(target, name) == [OLD]


@each
def test_a_device_may_apply_a_change_late(name: str) -> None:
    time = 0.0
    target = device(name, lies=Lies(late=60.0), clock=lambda: time)
    assert CASES[name].says in changed(target, name)
    assert opens(target, name) == [OLD]
    time = 61.0
    assert opens(target, name) == [NEW]


@each
def test_no_account_shows_its_password(name: str) -> None:
    target = device(name)
    assert OLD not in repr(target)
    assert all(OLD not in repr(account) for account in target.accounts())
    assert OLD not in repr(Account("somebody", OLD, before=[OLD]))
