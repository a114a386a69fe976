"""Values are checked for their kind, and no error quotes one."""

from __future__ import annotations

import ipaddress
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.catalog.names import BIDI_CONTROLS
from engine.templating.errors import BadValue
from engine.templating.values import check
from executors.contract import Secret, ValueKind

FORBIDDEN = [
    "\x00", "\t", "\n", "\r", "\x1b", "\x7f", "\x80", "\x85", "\x9b", "\u2028", "\u2029", "\ud800", "\udfff",
    *sorted(BIDI_CONTROLS),
]  # fmt: skip
TEXTUAL = [ValueKind.USERNAME, ValueKind.HOSTNAME, ValueKind.TEXT, ValueKind.SECRET]


def content_of(kind: ValueKind, text: str) -> str | Secret:
    return Secret(text) if kind is ValueKind.SECRET else text


@pytest.mark.parametrize("kind", TEXTUAL)
@pytest.mark.parametrize("char", FORBIDDEN, ids=lambda char: f"U+{ord(char):04X}")
@pytest.mark.parametrize("place", ["{}ab", "a{}b", "ab{}"])
def test_no_value_holds_control_separator_surrogate_or_bidi_characters(
    kind: ValueKind, char: str, place: str
) -> None:
    with pytest.raises(BadValue):
        check(kind, content_of(kind, place.format(char)))


@given(st.sampled_from(list(ValueKind)), st.text(max_size=80))
def test_any_text_is_a_value_kept_exactly_or_a_bad_value(kind: ValueKind, text: str) -> None:
    try:
        value = check(kind, content_of(kind, text))
    except BadValue:
        return
    assert value.kind is kind
    assert value.reveal() == text
    text.encode("utf-8")
    assert not any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in text)


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=60))
def test_a_secret_may_hold_every_printable_character(text: str) -> None:
    assert check(ValueKind.SECRET, Secret(text)).reveal() == text


@given(st.text(st.characters(categories=["L", "N"]), min_size=20, max_size=60), st.sampled_from(FORBIDDEN))
def test_an_error_never_quotes_a_secret(text: str, char: str) -> None:
    with pytest.raises(BadValue) as caught:
        check(ValueKind.SECRET, Secret(text + char), "NEW_PASSWORD")
    assert text not in str(caught.value)
    assert text not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_a_secret_that_is_not_composed_is_kept_and_a_user_name_is_refused() -> None:
    assert check(ValueKind.SECRET, Secret("e\u0301")).reveal() == "e\u0301"
    with pytest.raises(BadValue, match="NFC"):
        check(ValueKind.USERNAME, "e\u0301va")


@pytest.mark.parametrize(
    "name", ["root", "Ann.Lee", "ann@corp.example", r"CORP\ann", "o'brien", 'a"b', "a b", "#x", "é", "[#X#]"]
)
def test_real_user_names_pass(name: str) -> None:
    assert check(ValueKind.USERNAME, name).reveal() == name


@pytest.mark.parametrize(
    "name", ["", "-rf", "root:x", " root", "root ", "a\u200bb", "\ufeffroot", "a\u00adb", "x" * 256]
)
def test_user_names_that_mislead_commands_or_people_are_refused(name: str) -> None:
    with pytest.raises(BadValue):
        check(ValueKind.USERNAME, name)


@pytest.mark.parametrize(
    "host",
    ["web1", "web-1.corp.example", "web1.example.", "WIN_DC01", "xn--bcher-kva.example", "10.0.0.1", "::1",
     "2001:db8::7", "fe80::1%eth0", "1and1.example", "a" * 63, "4.example"],
)  # fmt: skip
def test_real_hosts_pass(host: str) -> None:
    assert check(ValueKind.HOSTNAME, host).reveal() == host


@pytest.mark.parametrize(
    "host",
    ["", ".", "a..b", "-web", "web-", "a b", "b\u00fccher.example", "web1/x", "web1:22", "web1;reboot",
     "$(id)", "10.0.0", "10.0.0.256", "010.0.0.1", "300.1.1.1", "12345", "::g", "fe80::1%", "fe80::1%a b",
     "fe80::1%$(id)", "10.0.0.1%eth0", "a" * 64, ".".join(["a" * 50] * 6), "web1..", "[::1]", "web1\n"],
)  # fmt: skip
def test_hosts_that_are_none_are_refused(host: str) -> None:
    with pytest.raises(BadValue):
        check(ValueKind.HOSTNAME, host)


@given(st.ip_addresses())
def test_every_address_is_a_host(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert check(ValueKind.HOSTNAME, str(address)).reveal() == str(address)


@given(st.integers(1, 65535))
def test_every_port_passes(port: int) -> None:
    assert check(ValueKind.PORT, str(port)).reveal() == str(port)


@pytest.mark.parametrize(
    "port",
    ["", "0", "65536", "99999", "-1", "+22", "022", "22 ", "2 2", "\u0662\u0662", "ssh", "22\n", "1e3"],
)
def test_ports_that_are_none_are_refused(port: str) -> None:
    with pytest.raises(BadValue, match="1 to 65535"):
        check(ValueKind.PORT, port)


def test_overlong_values_are_refused() -> None:
    for kind in (ValueKind.TEXT, ValueKind.SECRET):
        assert check(kind, content_of(kind, "x" * 4096)).reveal() == "x" * 4096
        with pytest.raises(BadValue, match="longer than 4096"):
            check(kind, content_of(kind, "x" * 4097))


def test_an_empty_secret_is_refused_and_an_empty_text_passes() -> None:
    with pytest.raises(BadValue, match="is empty"):
        check(ValueKind.SECRET, Secret(""))
    assert check(ValueKind.TEXT, "").reveal() == ""


def test_a_secret_is_no_text_and_a_text_no_secret() -> None:
    with pytest.raises(BadValue, match="must be a Secret") as caught:
        check(ValueKind.SECRET, "hunter2")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(BadValue, match="must not be a Secret") as caught:
        check(ValueKind.TEXT, Secret("hunter2"))
    assert "hunter2" not in str(caught.value)
