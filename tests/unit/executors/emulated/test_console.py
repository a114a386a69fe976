"""The console: what a terminal does with keys, and that nothing that arrives can break it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.emulated.catalogue import PLATFORMS
from executors.emulated.cli import Cli, command, value
from executors.emulated.console import LONGEST_LINE
from tests.unit.executors.emulated.cases import CASES
from tests.unit.executors.emulated.talking import NEW, OLD, Seat, device


def test_a_command_line_is_echoed_and_a_password_is_not() -> None:
    seat = Seat(device("debian"), "op")
    assert seat.type("passwd") == "passwd"
    seat.say("")
    assert seat.type("secret-word") == ""


def test_backspace_takes_back_what_was_typed() -> None:
    target = device("debian")
    Seat(target, "op").type("whoamu\x7fi\r")
    assert target.received == ["whoami"]


def test_control_u_takes_back_the_line() -> None:
    target = device("ios")
    Seat(target).type("reload\x15disable\r")
    assert target.received == ["disable"]


def test_control_c_leaves_passwd() -> None:
    target = device("debian")
    seat = Seat(target, "op")
    seat.say("passwd")
    assert seat.type("\x03").endswith("op@debian:~$ ")
    assert target.opens("op", OLD)


def test_control_c_leaves_a_question_of_a_router() -> None:
    seat = Seat(device("nxos"))
    seat.say("change-password")
    assert seat.type("\x03").endswith("switch# ")


def test_control_d_logs_out() -> None:
    seat = Seat(device("debian"))
    seat.type("\x04")
    assert seat.console.over


def test_control_z_leaves_the_configuration() -> None:
    seat = Seat(device("ios"))
    seat.say("configure terminal")
    assert seat.type("\x1a").endswith("Router#")


def test_cr_lf_is_one_line_end_for_a_router_and_two_for_a_unix() -> None:
    router, unix = device("ios"), device("debian")
    Seat(router).type("disable\r\n")
    Seat(unix).type("whoami\r\n")
    assert router.received == ["disable"]
    assert unix.received == ["whoami", ""]


def test_a_question_mark_on_a_routers_command_line_asks_for_help() -> None:
    target = device("ios")
    seat = Seat(target)
    seat.say("configure terminal")
    assert "% Unrecognized command" in seat.type("username admin secret What?ever1\r")
    assert target.opens("admin", "Whatever1")


def test_control_v_takes_a_question_mark_as_it_is() -> None:
    target = device("ios")
    Seat(target).type("configure terminal\rusername admin secret What\x16?ever1\r")
    assert target.opens("admin", "What?ever1")


def test_a_question_mark_in_an_answer_is_a_character() -> None:
    target = device("nxos")
    Seat(target).lines(("change-password", "OLD", "NEW", "NEW"), new="What?Ever-1")
    assert target.opens("admin", "What?Ever-1")


def test_mikrotik_shows_stars_for_a_password() -> None:
    seat = Seat(device("mikrotik"))
    seat.say("/password")
    assert seat.type("abc") == "***"


def test_a_line_that_is_too_long_rings_the_bell() -> None:
    target = device("ios")
    seat = Seat(target)
    assert seat.type("x" * (LONGEST_LINE + 3)).endswith("x\a\a\a")
    seat.say("")
    assert target.received == ["x" * LONGEST_LINE]


def test_bytes_that_are_not_utf_8_come_back_as_they_were() -> None:
    console = device("ios").open("admin")
    console.feed(b"")
    assert console.feed(b"\xff\xc3\xa9") == b"\xff\xc3\xa9"


def test_a_character_may_arrive_in_halves() -> None:
    target = device("ios")
    console = target.open("admin")
    for byte in "é\r".encode():
        console.feed(bytes([byte]))
    assert target.received == ["é"]


def test_without_a_terminal_nothing_is_echoed_and_lines_end_as_in_unix() -> None:
    target = device("debian")
    console = target.open("root", "chpasswd", terminal=False)
    assert console.feed(f"op:{NEW}\n".encode()) == b""
    assert not console.over
    assert console.end_of_input() == []
    assert console.over
    assert console.status == 0
    assert target.opens("op", NEW)


def test_a_last_line_without_an_end_counts() -> None:
    target = device("debian")
    console = target.open("root", "chpasswd", terminal=False)
    console.feed(f"op:{NEW}".encode())
    console.end_of_input()
    assert target.opens("op", NEW)


def test_a_command_ends_its_session_with_its_status() -> None:
    target = device("debian")
    console = target.open("op", "passwd admin")
    assert b"You may not view" in console.feed(b"")
    assert console.over
    assert console.status == 1


def test_words_may_be_abbreviated_as_far_as_a_syntax_says() -> None:
    pattern = command("conf|igure t|erminal", Cli.quiet).pattern
    accepted = ["conf t", "configure terminal", "config  term "]
    assert all(pattern.fullmatch(line) for line in accepted)
    assert not any(pattern.fullmatch(line) for line in ["con t", "conf", "configuret", "conf x"])


def test_a_value_may_stand_in_quotes() -> None:
    assert value('"a \\"b\\" \\\\"') == 'a "b" \\'
    assert value("plain") == "plain"


@pytest.mark.parametrize("name", CASES)
def test_a_session_inside_a_session_has_an_end(name: str) -> None:
    seat = Seat(device(name), "root" if name in ("debian", "rhel", "suse") else "admin")
    seat.lines(["sudo " * 800, *["su root", "enable", "OLD"] * 25])
    assert len(seat.text) < 1_000_000


TYPED = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [line.replace("NEW", NEW).replace("OLD", OLD).encode() + b"\r" for case in CASES.values()
         for line in (*case.change, *case.own, *case.long, *case.save, *case.restart)]
    ),
    st.sampled_from([bytes([key]) for key in b"?\x16\x03\x04\x1a\x7f\x15\r\n\0 q"]),
)  # fmt: skip


@settings(max_examples=500)
@given(st.sampled_from(sorted(PLATFORMS)), st.booleans(), st.booleans(), st.lists(TYPED, max_size=30))
def test_whatever_is_typed_breaks_no_device(
    name: str, terminal: bool, logged_in: bool, typed: list[bytes]
) -> None:
    target = device(name)
    console = target.open("admin" if logged_in else None, terminal=terminal)
    for data in typed:
        assert len(console.feed(data)) <= 5_000 + 5_000 * len(data)
    console.end_of_input()
    assert console.feed(b"more\r") == b"" or not console.over


def test_what_a_device_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executors.emulated.device.LINES_KEPT", 100)
    monkeypatch.setattr("executors.emulated.device.MOST_ACCOUNTS", 20)
    target = device("ios")
    seat = Seat(target)
    seat.say("configure terminal")
    seat.type("".join(f"username u{number} secret Some-pass{number}\r" for number in range(200)))
    assert len(target.received) == 100
    assert len(target.accounts()) < 20


def test_two_consoles_see_one_device() -> None:
    target = device("ios")
    Seat(target).lines(("configure terminal", "username other privilege 15 secret NEW", "end"))
    assert target.opens("other", NEW)
    assert Seat(target, "other").text == "Router#"


def test_a_new_account_begins_without_rights() -> None:
    target = device("ios")
    Seat(target).lines(("configure terminal", "username other secret NEW"))
    account = target.find("other")
    assert account is not None
    assert account.privilege == 1
