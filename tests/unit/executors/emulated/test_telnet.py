"""Telnet's negotiation, without a socket."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from executors.emulated.telnet import Negotiation


def test_commands_are_taken_out_however_they_are_cut() -> None:
    sent = b"us\xff\xfd\x18er\xff\xfa\x18\x00xterm\xff\xff\xff\xf0\xff\xff\r\n"
    whole = Negotiation().taken(sent)
    cut = Negotiation()
    pieces = [cut.taken(bytes([byte])) for byte in sent]
    assert whole == (b"user\xff\r\n", b"\xff\xfc\x18")
    assert (b"".join(typed for typed, _ in pieces), b"".join(said for _, said in pieces)) == whole


def test_what_was_offered_is_not_answered_again() -> None:
    assert Negotiation().taken(b"\xff\xfd\x01\xff\xfd\x03") == (b"", b"")


def test_everything_else_is_refused_once() -> None:
    assert Negotiation().taken(b"\xff\xfb\x1f\xff\xfd\x18") == (b"", b"\xff\xfe\x1f\xff\xfc\x18")
    assert Negotiation().taken(b"\xff\xfc\x1f\xff\xfe\x18") == (b"", b"")


def test_interrupt_process_is_control_c() -> None:
    assert Negotiation().taken(b"\xff\xf4") == (b"\x03", b"")


@given(st.binary(max_size=300))
def test_no_bytes_break_the_negotiation(data: bytes) -> None:
    typed, answers = Negotiation().taken(data)
    assert len(typed) <= len(data)
    assert len(answers) <= len(data)
