"""A template's bytes as physical lines: encodings, byte order marks, line ends, NULs."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Final

from executors.language.findings import Finding, finding

MAX_CHARACTERS: Final = 256 * 1024
MAX_LINES: Final = 5000
MAX_LINE: Final = 16 * 1024  # characters

LINE_END = re.compile(r"\r\n|\n|\r")
SURROGATE = re.compile("[\ud800-\udfff]")
CONTROL = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
# UTF-8 that was read as Latin-1 and stored as UTF-8 again: a lead byte and a following byte as letters.
MOJIBAKE = re.compile("[\u00c2\u00c3\u00e2][\u0080-\u00bf\u0192\u2018-\u203a\u20ac]")
BYTE_ORDER_MARKS: Final = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(frozen=True, slots=True)
class Line:
    """One physical line without its end. `number` counts from 1 within the whole file."""

    number: int
    text: str

    @property
    def is_blank(self) -> bool:
        return not self.text.strip()

    @property
    def is_comment(self) -> bool:
        return self.text.lstrip().startswith("#")

    @property
    def says_something(self) -> bool:
        return not (self.is_blank or self.is_comment)


def read(body: str | bytes, first_line: int, notes: list[Finding]) -> tuple[Line, ...]:
    """The lines of a body whose first line is `first_line` of its file; none if it is empty or too long."""
    text = _cleaned(_decoded(body, notes), first_line, notes)
    if not text.strip():
        notes.append(finding("empty", first_line))
        return ()
    lines = tuple(Line(number, line) for number, line in enumerate(LINE_END.split(text), first_line))
    if (
        len(text) > MAX_CHARACTERS
        or len(lines) > MAX_LINES
        or any(len(each.text) > MAX_LINE for each in lines)
    ):
        notes.append(finding("too-long", first_line))
        return ()
    if lines[-1].text:
        notes.append(finding("no-newline-at-end", lines[-1].number))
    for line in lines:
        _note_characters(line, notes)
    return lines


def text_of(body: bytes) -> str:
    """The text that `read` sees in a file, for whoever keeps it: no byte order mark, no NUL, any encoding."""
    return _cleaned(_decoded(body, []), 1, [])


def _decoded(body: str | bytes, notes: list[Finding]) -> str:
    if isinstance(body, str):
        return body
    for mark, codec in BYTE_ORDER_MARKS:
        if body.startswith(mark):
            notes.append(finding("not-utf8", 1))
            return body[len(mark) :].decode(codec, "replace")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        notes.append(finding("not-utf8", body.count(b"\n", 0, error.start) + 1))
        return body.removeprefix(codecs.BOM_UTF8).decode("latin-1")


def _cleaned(text: str, first_line: int, notes: list[Finding]) -> str:
    if text.startswith("\ufeff"):
        notes.append(finding("byte-order-mark", first_line))
        text = text.removeprefix("\ufeff")
    if "\r" in text:
        notes.append(finding("carriage-return", first_line))
    if "\0" in text:
        notes.append(finding("nul-character", first_line))
        text = text.replace("\0", "")
    if SURROGATE.search(text):
        notes.append(finding("not-utf8", first_line))
        text = SURROGATE.sub("\ufffd", text)
    return text


def _note_characters(line: Line, notes: list[Finding]) -> None:
    if "\t" in line.text:
        notes.append(finding("tab", line.number))
    if CONTROL.search(line.text):
        notes.append(finding("control-character", line.number))
    if MOJIBAKE.search(line.text):
        notes.append(finding("mojibake", line.number))
    if line.text != line.text.rstrip() and not line.is_blank:
        notes.append(finding("trailing-blanks", line.number))
