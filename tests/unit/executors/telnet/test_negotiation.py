"""Telnet's commands are answered and taken out, however they are cut; text goes through unharmed."""

from __future__ import annotations

import pytest

from executors.telnet.wire import LONGEST_COMMAND, MOST_ANSWERS, OUR_SIZE, Negotiation, escaped

WILL, WONT, DO, DONT = b"\xff\xfb", b"\xff\xfc", b"\xff\xfd", b"\xff\xfe"
ECHO, SUPPRESS_GO_AHEAD, TERMINAL_TYPE, NAWS = b"\x01", b"\x03", b"\x18", b"\x1f"

chunks = pytest.mark.parametrize("chunk", [65536, 3, 1])


def taken(data: bytes, chunk: int = 65536) -> tuple[bytes, bytes]:
    negotiation = Negotiation()
    pairs = [negotiation.taken(data[at : at + chunk]) for at in range(0, len(data), chunk)]
    return b"".join(text for text, _ in pairs), b"".join(answers for _, answers in pairs)


@chunks
@pytest.mark.parametrize(
    ("arrives", "answer"),
    [
        (WILL + ECHO, DO + ECHO),
        (WILL + SUPPRESS_GO_AHEAD, DO + SUPPRESS_GO_AHEAD),
        (WILL + TERMINAL_TYPE, DONT + TERMINAL_TYPE),
        (DO + SUPPRESS_GO_AHEAD, WILL + SUPPRESS_GO_AHEAD),
        (DO + ECHO, WONT + ECHO),
        (DO + TERMINAL_TYPE, WONT + TERMINAL_TYPE),
        (DO + NAWS, WILL + NAWS + OUR_SIZE),
        (DONT + ECHO, b""),
        (WONT + ECHO, b""),
        (WILL + ECHO + WONT + ECHO, DO + ECHO + DONT + ECHO),
    ],
)
def test_an_option_is_answered_between_the_text(arrives: bytes, answer: bytes, chunk: int) -> None:
    assert taken(b"log" + arrives + b"in: ", chunk) == (b"login: ", answer)


def test_an_option_repeated_is_not_answered_again() -> None:
    assert taken((DO + TERMINAL_TYPE) * 5) == (b"", WONT + TERMINAL_TYPE)


def test_a_far_end_that_negotiates_for_ever_is_left_without_an_answer() -> None:
    _, answers = taken((WILL + ECHO + WONT + ECHO) * 10_000)
    assert len(answers) == 3 * MOST_ANSWERS


@chunks
def test_other_commands_and_subnegotiations_are_taken_out(chunk: int) -> None:
    inside = b"\xff\xfa\x18\x01any\xff\xffthing\xff\xf0"
    assert taken(b"a\xff\xf1b" + inside + b"c", chunk) == (b"abc", b"")


@chunks
def test_a_doubled_255_is_one(chunk: int) -> None:
    assert taken(b"a\xff\xffb", chunk) == (b"a\xffb", b"")


def test_a_subnegotiation_without_end_is_an_error_not_a_heap() -> None:
    negotiation = Negotiation()
    negotiation.taken(b"\xff\xfa\x18")
    with pytest.raises(ValueError, match="does not end"):
        negotiation.taken(b"x" * LONGEST_COMMAND)


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        (b"a\n", b"a\r\n"),
        (b"a\r\n", b"a\r\n"),
        (b"a\r", b"a\r\0"),
        (b"\r\r\n", b"\r\0\r\n"),
        (b"\xff\n", b"\xff\xff\r\n"),
        ("pässwörd\n".encode(), "pässwörd\r\n".encode()),
    ],
)
def test_what_is_typed_is_sent_by_telnets_rules(typed: bytes, sent: bytes) -> None:
    assert escaped(typed) == sent
