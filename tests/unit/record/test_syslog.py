"""Notices as RFC 5424 and CEF, read back by readers that were written from the standards alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.record.audit import Scalar
from engine.record.catalogue import KINDS, kind_of
from engine.record.outbox import Notice
from engine.record.syslog import FORMATS, MARK, SD_ID, Envelope, cef, framed, rfc5424
from tests.syslog_reader import Cef, Message, read_cef, read_frames, read_rfc5424

ENVELOPE = Envelope("siem-1.example", 4242, "0.1.0", "ab" * 16)
ROOM = replace(ENVELOPE, limit=65_535)
SURROGATES = st.characters(categories=["Cs"])
HOSTILE = st.one_of(
    st.text(),
    st.text(st.one_of(st.characters(), SURROGATES)),
    st.text(st.sampled_from('"\\]=|[ \r\n\t\0\x1b\x85\u2028é中😀\ufeff')),
    st.sampled_from(["CEF:0|x|y|1|1|n|3|", "a=b", " suser=root", '"] [x y="', "\n<0>1 - - - - - - forged"]),
)
LONG = st.builds(lambda part, times: part * times, st.text(min_size=1, max_size=9), st.integers(1, 3000))
SCALARS: st.SearchStrategy[Scalar] = st.one_of(
    HOSTILE, st.integers(-(2**63), 2**63), st.floats(allow_nan=False), st.booleans(), st.none()
)
KIND_NAMES = st.one_of(st.sampled_from([kind.name for kind in KINDS]), HOSTILE)
PAYLOADS = st.dictionaries(
    st.one_of(st.sampled_from(["credential", "reason", "operation", "seq", "msg", "rt"]), HOSTILE),
    SCALARS,
    max_size=12,
)


def notice(kind: str = "operation.failed", payload: Mapping[str, Any] | None = None, **fields: Any) -> Notice:
    values: dict[str, Any] = {"id": 1, "sequence": 7, "at": 1_700_000_000.25, "operation_id": 9}
    return Notice(**values | {"kind": kind, "payload": payload or {}} | fields)


NOTICES = st.builds(
    Notice,
    id=st.integers(1),
    sequence=st.integers(1, 2**62),
    at=st.floats(0, 4e9),
    kind=KIND_NAMES,
    operation_id=st.none() | st.integers(1, 2**31),
    payload=PAYLOADS,
)


def read_both(what: Notice, envelope: Envelope = ENVELOPE) -> tuple[Message, Cef]:
    return read_rfc5424(rfc5424(what, envelope)), read_cef(read_rfc5424(cef(what, envelope)).text)


def test_a_message_says_what_the_notice_says() -> None:
    told = notice(payload={"credential": "app@db", "action": "verify", "outcome": "bad_login", "attempt": 2})
    message, event = read_both(told)
    assert (message.priority, message.app, message.msgid) == (13 * 8 + 3, "keyturn", "operation.failed")
    assert (message.host, message.process) == ("siem-1.example", "4242")
    assert message.at == datetime(2023, 11, 14, 22, 13, 20, 250_000, tzinfo=UTC)
    assert message.data["meta"] == {"sequenceId": "7"}
    assert message.data["origin"] == {"software": "keyturn", "swVersion": "0.1.0"}
    assert message.data[SD_ID] == {
        **{"seq": "7", "incarnation": "ab" * 16, "schema": "1", "operation": "9", "credential": "app@db"},
        **{"action": "verify", "outcome": "bad_login", "attempt": "2"},
    }
    assert message.has_bom
    assert message.text == "verify of app@db failed: bad_login"
    assert (event.vendor, event.product, event.id, event.name) == (
        "Keyturn",
        "keyturn",
        "105",
        "operation.failed",
    )
    assert event.severity == 7
    assert event.extension == {
        **{"rt": "1700000000250", "externalId": "7", "deviceExternalId": "ab" * 16, "msg": message.text},
        **{"cn1": "9", "cn1Label": "operation", "duser": "app@db", "act": "verify"},
        **{"outcome": "bad_login", "cn3": "2", "cn3Label": "attempt"},
    }


def test_cef_begins_its_message_so_that_parsers_find_it() -> None:
    message = read_rfc5424(cef(notice(), ENVELOPE))
    assert not message.has_bom
    assert message.text.startswith("CEF:0|")
    assert message.data == {"meta": {"sequenceId": "7"}}


def test_a_kind_that_is_not_listed_goes_out_all_the_same() -> None:
    message, event = read_both(notice("forgotten.kind", {"left": "over"}))
    assert message.data[SD_ID]["kind"] == "forgotten.kind"
    assert message.data[SD_ID]["left"] == "over"
    assert (event.id, event.name, event.extension["keyturnLeft"]) == ("1", "forgotten.kind", "over")


def test_a_row_without_a_field_of_its_text_goes_out_with_a_question_mark() -> None:
    message, _ = read_both(notice(payload={"credential": None}))
    assert message.text == "? of ? failed: ?"


def test_the_sequence_that_may_wrap_wraps_and_ours_does_not() -> None:
    message, event = read_both(notice(sequence=2**31))
    assert message.data["meta"]["sequenceId"] == "1"
    assert message.data[SD_ID]["seq"] == event.extension["externalId"] == str(2**31)


def test_a_text_is_never_taken_for_a_format() -> None:
    message, _ = read_both(
        notice(payload={"credential": "{action.__class__}", "action": "{0}", "outcome": "%s"})
    )
    assert message.text == "{0} of {action.__class__} failed: %s"


@given(NOTICES)
def test_whatever_a_notice_holds_its_message_is_as_defined(what: Notice) -> None:
    message, event = read_both(what, ROOM)
    assert message.data[SD_ID]["seq"] == event.extension["externalId"] == str(what.sequence)
    assert int(event.id) == kind_of(what.kind).id
    for written in (rfc5424(what, ROOM), cef(what, ROOM)):
        assert not [byte for byte in written if byte < 0x20 or byte == 0x7F]


@given(HOSTILE.filter(bool))
def test_a_text_arrives_whole_but_for_controls(text: str) -> None:
    message, event = read_both(notice(payload={"credential": text}), ROOM)
    plain = text.encode("utf-8", "replace").decode()
    shown = message.data[SD_ID]["credential"]
    assert len(shown) == len(plain)
    changed = [(before, after) for before, after in zip(plain, shown, strict=True) if before != after]
    assert all(
        ord(before) < 0x20 or 0x7F <= ord(before) < 0xA0 or before in "\u2028\u2029" for before, _ in changed
    )
    assert len({after for _, after in changed} & set('"\\]\r\n')) == 0
    if not any(before not in "\r\n" for before, _ in changed):
        assert event.extension["duser"] == plain


@given(NOTICES, st.dictionaries(HOSTILE, LONG, max_size=4), st.integers(480, 4096))
def test_no_message_is_longer_than_its_limit_nor_cut_inside_an_escape(
    what: Notice, long: dict[str, str], limit: int
) -> None:
    full = replace(what, payload={**what.payload, **long})
    envelope = replace(ENVELOPE, limit=limit, host="h" * 300)
    for form in FORMATS.values():
        assert len(form(full, envelope)) <= limit
    message, event = read_both(full, envelope)
    assert message.data[SD_ID]["seq"] == event.extension["externalId"] == str(what.sequence)


def test_the_longest_field_is_shortened_and_says_so() -> None:
    told = notice(payload={"credential": "app@db", "action": "verify", "outcome": "]" * 5000})
    message, event = read_both(told, replace(ENVELOPE, limit=2048))
    shortened = message.data[SD_ID]["outcome"]
    assert shortened.endswith("]" + MARK)
    assert len(rfc5424(told, replace(ENVELOPE, limit=2048))) > 2000
    assert (message.data[SD_ID]["credential"], event.extension["duser"]) == ("app@db", "app@db")


@given(st.lists(st.binary(min_size=1, max_size=50)))
def test_frames_are_read_back_one_by_one(messages: list[bytes]) -> None:
    assert read_frames(b"".join(framed(message) for message in messages)) == (messages, b"")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_fits_an_old_receiver(kind: Any) -> None:
    names = {name: (300 if type_ is int else "n" * 64) for name, (type_, _) in kind.types.items()}
    for form in FORMATS.values():
        assert len(form(notice(kind.name, names), ENVELOPE)) <= 2048
