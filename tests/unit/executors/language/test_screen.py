"""The screen: cuts make no difference, echoes go, everything else stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.terminal.screen import KEPT, Screen


def read(data: str, echoes: list[str], size: int, *, secret: bool = False, ends_line: bool = True) -> str:
    screen = Screen()
    for echo in echoes:
        screen.typed(echo, ends_line=ends_line, is_secret=secret)
    encoded = data.encode()
    for at in range(0, len(encoded), size):
        screen.feed(encoded[at : at + size])
    screen.rest()
    return screen.text


@given(
    st.text(alphabet="ab# \n", max_size=40),
    st.lists(st.text(alphabet="ab ", max_size=4), max_size=3),
    st.integers(1, 5),
)
def test_cuts_make_no_difference(data: str, echoes: list[str], size: int) -> None:
    assert read(data, echoes, size) == read(data, echoes, 1000)


@given(st.text(alphabet="ab#: \n", max_size=40))
def test_without_anything_typed_all_of_it_stays(data: str) -> None:
    assert read(data, [], 3) == data


def test_an_echo_is_taken_out_once() -> None:
    assert read("show\nshow\n# ", ["show"], 2) == "\nshow\n# "


def test_a_whole_echo_without_its_line_end_is_one_when_the_target_rests() -> None:
    assert read("# show", ["show"], 2) == "# "


@pytest.mark.parametrize("ends_line", [True, False])
def test_a_prompt_that_looks_like_the_secret_is_a_prompt(ends_line: bool) -> None:
    assert read("#", ["#"], 1, secret=True, ends_line=ends_line) == "#"
    assert read("#\nhost ", ["#"], 1, secret=True, ends_line=ends_line) == "\nhost "


def test_an_echo_right_where_it_was_typed_is_one_whatever_stood_before() -> None:
    screen = Screen()
    screen.feed(b"Password")
    screen.consume(len("Password"))
    screen.typed("Password9", ends_line=True)
    screen.feed(b"Pass")
    screen.feed(b"word9\r\nPassword")
    assert screen.text == "\nPassword"


def test_half_an_echo_is_text_when_the_target_rests() -> None:
    assert read("# sho", ["show"], 2) == "# sho"


def test_what_was_typed_hidden_is_text_wherever_it_stands_later() -> None:
    assert read(" \ngot: s3cret\n", ["s3cret"], 1) == " \ngot: s3cret\n"


def test_of_a_flood_the_newest_stays() -> None:
    assert len(read("x" * (KEPT + 5) + "end", [], 4096)) == KEPT
