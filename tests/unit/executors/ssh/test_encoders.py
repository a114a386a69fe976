"""What an encoder writes is read back as the value, by the rules of its place; else the value is refused."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from executors.contract import COMMON_ENCODERS
from executors.emulated.account import Account, Rules
from executors.emulated.catalogue import PLATFORMS
from executors.emulated.device import Device
from executors.ssh import encoders

ANY = st.text(st.characters(codec="utf-8") | st.sampled_from(string.punctuation + " \t\n"), max_size=60)
HARMLESS = set(string.ascii_letters + string.digits + "_.@+-")
SYNTAX = set(" \t\"'`\\?")


def accepted(name: str, value: str) -> str | None:
    """What is written, None for a refusal."""
    try:
        return encoders.ENCODERS[name](value)
    except ValueError:
        return None


@given(ANY)
def test_a_word_is_written_as_it_is_or_not_at_all(value: str) -> None:
    written = accepted("word", value)
    fits = value != "" and set(value) <= HARMLESS and value[0] not in ".@+-"
    assert written == (value if fits else None)


@given(ANY)
def test_a_bare_argument_is_written_as_it_is_or_not_at_all(value: str) -> None:
    written = accepted("bare", value)
    fits = value != "" and all("!" <= char <= "~" for char in value) and SYNTAX.isdisjoint(value)
    assert written == (value if fits else None)


@given(ANY)
def test_double_quotes_hold_what_needs_no_escape_in_them(value: str) -> None:
    written = accepted("double-quoted", value)
    if written is None:
        assert set(value) & {'"', "\\"} or not value.isprintable()
    else:
        assert (written[0], written[1:-1], written[-1]) == ('"', value, '"')
        assert '"' not in value


def read_by_fortios(written: str) -> str:
    """Control-V takes the next key as it is; then one string in double quotes with backslashes."""
    line, keys = "", iter(written)
    for key in keys:
        assert key != "?", "this would ask for help"
        line += next(keys) if key == "\x16" else key
    assert re.fullmatch(r'"(?:[^"\\]|\\.)*"', line)
    return re.sub(r"\\(.)", r"\1", line[1:-1])


@given(ANY)
@example('"')
@example("\\")
@example('\\"?')
@example("\x16?")
def test_fortios_reads_the_value(value: str) -> None:
    written = accepted("fortios", value)
    if written is None:
        assert not value.isprintable()
    else:
        assert read_by_fortios(written) == value


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=40))
def test_the_emulated_fortios_stores_the_value(value: str) -> None:
    accounts = [Account("admin", "Old-pass1"), Account("svc", "Old-pass1")]
    device = Device(PLATFORMS["fortios"], accounts, rules=Rules(min_length=1))
    console = device.open("admin")
    for line in ("config system admin", "edit svc", f"set password {encoders.fortios(value)}", "end"):
        console.feed(line.encode() + b"\n")
    account = device.find("svc")
    assert account is not None
    assert account.password == value


@pytest.mark.parametrize("name", ["word", "bare", "double-quoted", "fortios", "field"])
def test_a_refusal_does_not_quote_the_value(name: str) -> None:
    with pytest.raises(ValueError, match=" ") as caught:
        encoders.ENCODERS[name]('se"cret\n:canary')
    assert "canary" not in str(caught.value)


def test_a_colon_ends_a_field() -> None:
    assert accepted("field", "op") == "op"
    assert accepted("field", "op:x") is None


@pytest.mark.parametrize("name", sorted(encoders.ENCODERS))
@pytest.mark.parametrize("value", ["two\nlines", "\x00", "\x1b[A", "\u2028"])
def test_no_encoder_but_raw_lets_a_line_end_or_a_control_character_through(name: str, value: str) -> None:
    assert (accepted(name, value) is not None) == (name == "raw")


def test_the_common_encoders_are_all_there() -> None:
    assert COMMON_ENCODERS.items() <= encoders.ENCODERS.items()
