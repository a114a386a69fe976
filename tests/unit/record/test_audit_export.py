"""No change of an export goes unnoticed, and the verdict names the first bad entry."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.record import verification
from engine.record.verification import GENESIS, MAX_LINE, Problem, Verdict, bounded_lines, verify


def canonical(line: dict[str, Any]) -> str:
    """Written apart from the engine's, from the format's description."""
    content = {name: value for name, value in line.items() if name != "hash"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    hashed = content | {"hash": hashlib.sha256(text.encode()).hexdigest()}
    return json.dumps(hashed, sort_keys=True, separators=(",", ":")) + "\n"


def chained(count: int, **changes: Any) -> Iterator[str]:
    previous = GENESIS
    for sequence in range(1, count + 1):
        content: dict[str, Any] = {"sequence": sequence, "previous_hash": previous, "id": 3 * sequence}
        content |= {"at": 1e9 + sequence / 7, "actor": "ann", "action": "change", "object": f"é{sequence}"}
        content |= {"operation_id": None, "epoch": 2, "outcome": "ok", "details": {"a": 1.5, "b": True}}
        line = canonical(content | changes)
        previous = json.loads(line)["hash"]
        yield line


def headed(entries: list[str], **changes: Any) -> list[str]:
    header = {"format": "keyturn-audit-1", "incarnation": "ab" * 16, "exported_at": 1.5, "unsealed": 2}
    header |= {"sealed": len(entries), "head": json.loads(entries[-1])["hash"] if entries else GENESIS}
    return [canonical(header | changes), *entries]


def change(line: str, **changes: Any) -> str:
    """A forger's edit: the line's own hash is made right again."""
    return canonical(json.loads(line) | changes)


WHOLE = headed(list(chained(4)))
DATA = "".join(WHOLE).encode()


def check(data: bytes) -> Verdict:
    return verify(bounded_lines(io.BytesIO(data)))


def line_at(position: int) -> int:
    return DATA[:position].count(b"\n")


def test_a_whole_export_is_whole() -> None:
    head = json.loads(WHOLE[-1])["hash"]
    assert check(DATA) == verify(WHOLE) == Verdict(4, head, 2, None)
    assert verify(line.removesuffix("\n") for line in WHOLE).whole
    assert str(check(DATA)) == f"whole up to entry 4, head {head}; 2 not yet sealed"


def test_every_changed_bit_is_found_in_its_line() -> None:
    for position, bit in itertools.product(range(len(DATA)), range(8)):
        changed = bytearray(DATA)
        changed[position] ^= 1 << bit
        verdict = check(bytes(changed))
        assert verdict.bad == line_at(position), (position, bit)
        assert verdict.problem in {Problem.EDITED, Problem.MALFORMED, Problem.UNKNOWN_FORMAT}


def test_every_end_that_is_cut_off_is_found() -> None:
    # only the last newline holds nothing
    for end in range(len(DATA) - 1):
        verdict = check(DATA[:end])
        # a line without its newline is whole, and what follows it is missing
        assert verdict.bad == line_at(end + 1), end
    assert check(DATA[:-1]).whole


@pytest.mark.parametrize("first", range(1, 5))
def test_every_deleted_entry_is_named(first: int) -> None:
    for after in range(first + 1, 6):
        verdict = verify(WHOLE[:first] + WHOLE[after:])
        assert (verdict.bad, verdict.problem) == (first, Problem.TRUNCATED if after == 5 else Problem.GAP)


@pytest.mark.parametrize(("low", "high"), [*itertools.combinations(range(1, 5), 2)])
def test_every_swap_is_named(low: int, high: int) -> None:
    swapped = [*WHOLE]
    swapped[low], swapped[high] = swapped[high], swapped[low]
    verdict = verify(swapped)
    assert (verdict.bad, verdict.problem) == (low, Problem.SWAPPED)


@pytest.mark.parametrize(("copied", "place"), [*itertools.product(range(1, 5), range(1, 6))])
def test_every_repeated_entry_is_named(copied: int, place: int) -> None:
    verdict = verify([*WHOLE[:place], WHOLE[copied], *WHOLE[place:]])
    # before its own place it is early, at its own place the second of the two is the bad one
    bad = place + 1 if copied == place else place
    assert verdict.bad == bad
    assert verdict.problem is (Problem.SWAPPED if copied > place else Problem.REPEATED)


@given(st.integers(0, len(DATA)), st.integers(0, 60), st.binary(max_size=60))
def test_whatever_replaces_a_stretch_is_found(start: int, length: int, replacement: bytes) -> None:
    changed = DATA[:start] + replacement + DATA[start + length :]
    assert check(changed).whole == (changed.removesuffix(b"\n") == DATA.removesuffix(b"\n"))


@given(st.permutations(range(5)))
def test_every_other_order_is_found_at_the_first_line_out_of_place(order: list[int]) -> None:
    first = next((place for place, line in enumerate(order) if line != place), None)
    assert verify(WHOLE[line] for line in order).bad == first


@given(st.lists(st.text()))
def test_no_text_raises(lines: list[str]) -> None:
    assert verify(lines).bad == 0


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists), st.data())
def test_a_forged_field_of_any_type_raises_nothing(value: object, data: st.DataObject) -> None:
    line = data.draw(st.integers(0, 4))
    field = data.draw(st.sampled_from(sorted(json.loads(WHOLE[line]))))
    lines = [*WHOLE]
    lines[line] = change(lines[line], **{field: value})
    assert verify(lines) == verify(WHOLE) or not verify(lines).whole


# What a forger leaves who computes hashes


def test_an_edited_entry_with_a_right_hash_does_not_lead_to_the_next() -> None:
    verdict = verify([*WHOLE[:2], change(WHOLE[2], actor="bob"), *WHOLE[3:]])
    assert (verdict.bad, verdict.problem) == (3, Problem.WRONG_PREVIOUS)


def test_an_edited_last_entry_with_a_right_hash_is_not_the_head() -> None:
    verdict = verify([*WHOLE[:4], change(WHOLE[4], actor="bob")])
    assert (verdict.bad, verdict.problem) == (4, Problem.WRONG_HEAD)


def test_a_record_chained_anew_is_not_the_one_of_the_header() -> None:
    verdict = verify([WHOLE[0], *chained(4, actor="bob")])
    assert (verdict.bad, verdict.problem) == (4, Problem.WRONG_HEAD)


def test_a_record_that_begins_elsewhere_does_not_follow() -> None:
    verdict = verify(headed([change(WHOLE[1], previous_hash="1" * 64)]))
    assert (verdict.bad, verdict.problem) == (1, Problem.WRONG_PREVIOUS)


def test_entries_beyond_the_header_are_surplus() -> None:
    verdict = verify(headed([*chained(4)], sealed=2, head=json.loads(WHOLE[2])["hash"]))
    assert (verdict.bad, verdict.problem) == (3, Problem.SURPLUS)


def test_a_record_written_anew_as_a_whole_has_another_head() -> None:
    # The limit of a chain, said in the module: only an earlier head kept elsewhere shows this.
    forged = verify(headed(list(chained(4, actor="bob"))))
    assert forged.whole
    assert forged.head != verify(WHOLE).head


# Lines that were never exported


@pytest.mark.parametrize(
    "header",
    [
        {"format": "keyturn-audit-2"},
        {"format": None},
    ],
)
def test_another_format_says_which_version_to_use(header: dict[str, Any]) -> None:
    verdict = verify(headed([*chained(1)], **header))
    assert (verdict.bad, verdict.problem) == (0, Problem.UNKNOWN_FORMAT)
    assert "version of Keyturn" in str(verdict)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, -1, [], {}])
@pytest.mark.parametrize("field", ["sealed", "unsealed"])
def test_a_header_counts_in_whole_numbers(field: str, value: object) -> None:
    assert verify(headed([*chained(1)], **{field: value})).problem is Problem.MALFORMED


@pytest.mark.parametrize("value", [True, 1.0, "1", None, -1, [], {}])
def test_a_sequence_is_a_whole_number(value: object) -> None:
    verdict = verify(headed([*chained(1, sequence=value)]))
    assert (verdict.bad, verdict.problem) == (1, Problem.MALFORMED)


def test_an_empty_record_has_no_head() -> None:
    assert verify(headed([])) == Verdict(0, GENESIS, 2)
    assert verify(headed([], head="a" * 64)).problem is Problem.EDITED


@pytest.mark.parametrize("field", sorted(json.loads(WHOLE[1])))
def test_an_entry_without_one_of_its_fields_is_found(field: str) -> None:
    entry = {name: value for name, value in json.loads(WHOLE[1]).items() if name != field}
    line = canonical(entry) if field != "hash" else json.dumps(entry, sort_keys=True) + "\n"
    assert verify([WHOLE[0], line]).bad == 1


def test_an_entry_with_a_field_too_many_is_malformed() -> None:
    verdict = verify(headed([*chained(1, note="extra")]))
    assert (verdict.bad, verdict.problem) == (1, Problem.MALFORMED)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null\n",
        b"[]\n",
        b"{}\n",
        b"{\n",
        b"\xff\xfe\n",
        b"\xef\xbb\xbf{}\n",
        b"[" * 100_000 + b"\n",
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"\n",
        b'{"sequence":NaN}\n',
        b'{"sequence":1e999}\n',
        b'{"sequence":' + b"9" * 5000 + b"}\n",
        b'{"hash":"\\ud800"}\n',
        b'{"a":1,"a":1}\n',
    ],
)
@pytest.mark.parametrize("place", [0, 2])
def test_a_line_that_is_none_of_ours_is_named(line: bytes, place: int) -> None:
    lines = [line.encode() for line in WHOLE]
    lines[place] = line
    assert check(b"".join(lines)).bad == place


def test_a_file_of_one_endless_line_is_refused() -> None:
    with Path("/dev/zero").open("rb") as endless:
        assert verify(bounded_lines(endless)) == Verdict(0, "", 0, Problem.OVERSIZED)


def test_a_line_of_the_largest_size_is_read_and_a_longer_one_refused() -> None:
    room = MAX_LINE - len(headed([*chained(1, actor="")])[1])
    assert check("".join(headed([*chained(1, actor="x" * room)])).encode()).whole
    verdict = check("".join(headed([*chained(1, actor="x" * (room + 1))])).encode())
    assert (verdict.bad, verdict.problem) == (1, Problem.OVERSIZED)


def test_text_that_cannot_be_decoded_is_malformed() -> None:
    verdict = verify(io.TextIOWrapper(io.BytesIO(b"\xff" * 20), encoding="utf-8"))
    assert (verdict.bad, verdict.problem) == (0, Problem.MALFORMED)


def test_a_long_export_is_checked_in_little_memory() -> None:
    count = 2_000  # some 900 kB
    header = headed([], sealed=count, head="a" * 64)
    tracemalloc.start()
    verdict = verify(itertools.chain(header, chained(count)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (verdict.bad, verdict.problem) == (count, Problem.WRONG_HEAD)
    assert peak < 300_000


# As a program


def run(data: bytes) -> tuple[int, str]:
    """Without installed packages, as on an auditor's machine."""
    command = [sys.executable, "-I", "-S", verification.__file__]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    assert done.stderr == b""
    return done.returncode, done.stdout.decode()


def test_an_auditor_needs_this_one_file() -> None:
    assert run(DATA) == (0, f"{verify(WHOLE)}\n")
    status, said = run(DATA.replace(b'"ann"', b'"bob"', 1))
    assert (status, said) == (1, "entry 1 was edited: its content does not give its hash\n")
    assert run(b"") == (1, "the header is missing or not a line of this format\n")
