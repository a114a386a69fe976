"""What an exported audit record looks like, and its check: offline, with the standard library alone.

Whoever checks an export needs this one file and no database: `python3 verification.py < audit.jsonl`.

Every line is canonical JSON: ASCII, keys in order, no blanks, as `canonical` writes it. The first line is a
header: `format`, `incarnation`, `exported_at`, `sealed` (how many entries are numbered, and so follow),
`head` (the hash of the last of them), `unsealed` (entries committed and not yet numbered, which the export
does not hold) and `hash`. Then come the entries in the order of `sequence`, which starts at 1 and has no gap.

`hash` is the SHA-256, in hexadecimal, of the line's canonical JSON without `hash` itself; so it covers
`sequence` and `previous_hash`. The `previous_hash` of entry 1 is 64 zeros.

A chain shows that a record was edited. It cannot show that its owner wrote all of it anew: for that, keep
`sealed` and `head` of earlier exports elsewhere; a later export must have the same hash at that sequence.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, BinaryIO, Final

FORMAT: Final = "keyturn-audit-1"
GENESIS: Final = "0" * 64
MAX_LINE: Final = 1024 * 1024  # characters; `audit.MAX_DETAILS` keeps what is written far below

HEADER: Final = frozenset({"format", "incarnation", "exported_at", "sealed", "head", "unsealed"})
RECORDED: Final = frozenset(
    {"id", "at", "actor", "action", "object", "operation_id", "epoch", "outcome", "details"}
)
ENTRY: Final = RECORDED | {"sequence", "previous_hash"}


class Problem(StrEnum):
    """What is wrong with the first bad line."""

    MALFORMED = "is missing or not a line of this format"
    OVERSIZED = "is longer than any line that was ever exported"
    UNKNOWN_FORMAT = "names another format; check it with the version of Keyturn that wrote it"
    EDITED = "was edited: its content does not give its hash"
    GAP = "is missing"
    SWAPPED = "is out of its place and stands further down"
    REPEATED = "is missing; an earlier entry stands in its place"
    WRONG_PREVIOUS = "does not follow from the entry before it"
    WRONG_HEAD = "is not the end of the record that the header names"
    TRUNCATED = "is missing, and so is all that the header promises after it"
    SURPLUS = "stands beyond the end that the header names"


@dataclass(frozen=True)
class Verdict:
    """`sealed` entries from the first are whole and end in the hash `head`. If `problem` is set, `bad` is the
    sequence of the first bad entry, 0 for the header. `unsealed` entries had no number at the export."""

    sealed: int
    head: str
    unsealed: int
    problem: Problem | None = None

    @property
    def whole(self) -> bool:
        return self.problem is None

    @property
    def bad(self) -> int | None:
        if self.whole:
            return None
        return self.sealed + 1 if self.head else 0

    def __str__(self) -> str:
        if self.problem is None:
            return f"whole up to entry {self.sealed}, head {self.head}; {self.unsealed} not yet sealed"
        return f"entry {self.bad} {self.problem}" if self.bad else f"the header {self.problem}"


def verify(lines: Iterable[str]) -> Verdict:
    """Check an export to its end or its first bad line; holds one line in memory.

    Lines come as from `bounded_lines`, or from a file opened as ASCII; their newlines may be cut off. Never
    raises for what a line holds.
    """
    remaining = iter(lines)
    header: Mapping[str, Any] = {}
    sealed, head = 0, ""
    try:
        header = _header(next(remaining, ""))
        head = GENESIS
        for line in remaining:
            head = _entry(line, header, sealed + 1, head, remaining)
            sealed += 1
        problem = Problem.TRUNCATED if sealed < header["sealed"] else None
    except _Bad as bad:
        problem = bad.problem
    except UnicodeDecodeError:
        problem = Problem.MALFORMED
    return Verdict(sealed, head, header.get("unsealed", 0), problem)


def bounded_lines(stream: BinaryIO) -> Iterator[str]:
    """The lines of a file opened as bytes. Of an oversized line only as much is read as `verify` needs."""
    while line := stream.readline(MAX_LINE + 1):
        yield line.decode("ascii", "replace")


def canonical(line: dict[str, Any]) -> str:
    """Raises ValueError for numbers that JSON does not have."""
    return json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(line: dict[str, Any]) -> str:
    """The hash of a line that may already hold one."""
    content = {name: value for name, value in line.items() if name != "hash"}
    return hashlib.sha256(canonical(content).encode("ascii")).hexdigest()


class _Bad(Exception):
    def __init__(self, problem: Problem) -> None:
        self.problem = problem


def _header(line: str) -> dict[str, Any]:
    header = _read(line)
    if header.get("format") != FORMAT:
        raise _Bad(Problem.UNKNOWN_FORMAT if "format" in header else Problem.MALFORMED)
    _check_names(header, HEADER)
    _check_counts(header, "sealed", "unsealed")
    if header["sealed"] == 0 and header["head"] != GENESIS:
        raise _Bad(Problem.EDITED)
    return header


def _entry(line: str, header: Mapping[str, Any], sequence: int, previous: str, rest: Iterator[str]) -> str:
    entry = _read(line)
    _check_names(entry, ENTRY)
    _check_counts(entry, "sequence")
    if entry["sequence"] != sequence:
        raise _Bad(_misplaced(entry["sequence"], sequence, rest))
    if sequence > header["sealed"]:
        raise _Bad(Problem.SURPLUS)
    if entry["previous_hash"] != previous:
        raise _Bad(Problem.WRONG_PREVIOUS)
    if sequence == header["sealed"] and entry["hash"] != header["head"]:
        raise _Bad(Problem.WRONG_HEAD)
    return str(entry["hash"])


def _misplaced(found: int, expected: int, rest: Iterator[str]) -> Problem:
    if found < expected:
        return Problem.REPEATED
    return Problem.SWAPPED if any(_sequence(line) == expected for line in rest) else Problem.GAP


def _sequence(line: str) -> object:
    try:
        return _read(line).get("sequence")
    except _Bad:
        return None


def _read(line: str) -> dict[str, Any]:
    if len(line) > MAX_LINE:
        raise _Bad(Problem.OVERSIZED)
    text = line.removesuffix("\n")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise _Bad(Problem.MALFORMED) from None
    if not isinstance(value, dict):
        raise _Bad(Problem.MALFORMED)
    if not _is_as_written(value, text):
        raise _Bad(Problem.EDITED)
    return value


def _is_as_written(value: dict[str, Any], text: str) -> bool:
    try:
        return canonical(value) == text and digest(value) == value.get("hash")
    except (ValueError, RecursionError):  # NaN, or nested as deep as the parser just bore
        return False


def _check_names(line: Mapping[str, Any], names: frozenset[str]) -> None:
    if line.keys() != names | {"hash"}:
        raise _Bad(Problem.MALFORMED)


def _check_counts(line: Mapping[str, Any], *names: str) -> None:
    if not all(type(line[name]) is int and line[name] >= 0 for name in names):
        raise _Bad(Problem.MALFORMED)


if __name__ == "__main__":
    verdict = verify(bounded_lines(sys.stdin.buffer))
    print(verdict)
    sys.exit(0 if verdict.whole else 1)
