"""Terminal output as plain text, however it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.terminal.ansi import LONGEST_UNFINISHED, PlainText

CASES = [
    (b"\x1b[?2004hPassword: ", "Password: "),
    (b"\x1b]0;user@host: ~\x07$ ", "$ "),
    (b"\x1b]0;title\x1b\\$ ", "$ "),
    (b"\x1b[1;31mred\x1b[0m\x1b(B\x1b=\x1bM", "red"),
    (b"a\r\nb\tc\x07\x08\x00", "a\nb\tc"),
    ("zażółć 🔐".encode(), "zażółć 🔐"),
    (b"bad \xff\xfe utf-8", "bad \ufffd\ufffd utf-8"),
]


@pytest.mark.parametrize(("data", "text"), CASES)
def test_escape_sequences_vanish(data: bytes, text: str) -> None:
    assert PlainText().feed(data) == text


@given(st.lists(st.sampled_from([data for data, _ in CASES])), st.integers(1, 7))
def test_cuts_make_no_difference(pieces: list[bytes], size: int) -> None:
    data = b"".join(pieces)
    plain = PlainText()
    cut = "".join(plain.feed(data[at : at + size]) for at in range(0, len(data), size))
    assert cut == PlainText().feed(data)


@given(st.binary())
def test_any_bytes_become_text_without_control_characters(data: bytes) -> None:
    assert not set(PlainText().feed(data)) & {"\x1b", "\x00", "\r", "\x7f", "\x9b"}


def test_a_sequence_that_never_ends_cannot_hide_the_rest() -> None:
    plain = PlainText()
    plain.feed(b"\x1b]0;" + b"x" * (LONGEST_UNFINISHED + 1))
    assert plain.feed(b"Password:") == "Password:"
