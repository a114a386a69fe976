"""Lexing one line: the directive's word and its arguments. Values are put in after; they are never lexed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from executors.contract import Text
from executors.language.findings import Finding, finding
from executors.language.source import Line
from executors.language.tags import text_of

WORD = re.compile(r"[ \t]*([A-Za-z][A-Za-z0-9_-]*)")
OPENING: Final = '"\u201c\u201d\u201e'
CLOSING: Final = '"\u201c\u201d'
ESCAPE = re.compile(r'\\(["$\\])')
ESCAPE_BUT_DOLLAR = re.compile(r'\\(["\\])')
NEXT_WORD = re.compile(r'[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^ \t]+))')
SECONDS = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Directive:
    """The word that a line begins with, in lower case, and what follows it, blanks before it taken off."""

    line: int
    word: str
    rest: str


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: what stood between the quotes, escapes still in it, or to the end of the line."""

    raw: str
    quoted: bool

    @property
    def string(self) -> str:
        """Escapes undone where there were quotes."""
        return ESCAPE.sub(r"\1", self.raw) if self.quoted else self.raw

    @property
    def text(self) -> Text:
        return text_of(self.string)

    @property
    def regex(self) -> str:
        """For a regular expression `\\$` must stay: it is the dollar sign there, and `$` is the end."""
        return ESCAPE_BUT_DOLLAR.sub(r"\1", self.raw) if self.quoted else self.raw


def directive(line: Line) -> Directive | None:
    match = WORD.match(line.text)
    if match is None:
        return None
    return Directive(line.number, match[1].lower(), line.text[match.end() :].lstrip(" \t"))


def argument(found: Directive, notes: list[Finding]) -> Argument:
    """The one argument of a directive. Quoted: greedily to the last quote, so that quotes inside survive."""
    rest = found.rest
    if not rest or rest[0] not in OPENING:
        return Argument(rest.rstrip(), quoted=False)
    if rest[0] != '"':
        notes.append(finding("curly-quotes", found.line))
    end = _last_quote(rest)
    if end == 0:
        notes.append(finding("unbalanced-quote", found.line))
        return Argument(rest[1:], quoted=True)
    if rest[end + 1 :].strip():
        notes.append(finding("text-after-quote", found.line))
    inside = rest[1:end]
    if re.search(r'(?<!\\)(?:\\\\)*"', inside):
        notes.append(finding("quote-inside-quotes", found.line))
    return Argument(inside, quoted=True)


def _last_quote(rest: str) -> int:
    """Where the last quote stands that no backslash escapes; 0 if only the first one does."""
    for at in range(len(rest) - 1, 0, -1):
        if rest[at] in CLOSING:
            before = rest[:at]
            if (len(before) - len(before.rstrip("\\"))) % 2 == 0:
                return at
    return 0


def first_word(rest: str) -> tuple[str, str]:
    """The first word, quoted or not, escapes undone, and what follows it."""
    match = NEXT_WORD.match(rest)
    if match is None:
        return "", ""
    word = ESCAPE.sub(r"\1", match[1]) if match[1] is not None else match[2]
    return word, rest[match.end() :].lstrip(" \t")


def words(rest: str) -> Iterator[str]:
    while rest:
        word, rest = first_word(rest)
        if word or rest:
            yield word


def seconds(found: Directive, notes: list[Finding]) -> float | None:
    """The number that a directive takes; None with a finding if it is none."""
    said = argument(found, notes).string.strip()
    if not SECONDS.fullmatch(said):
        notes.append(finding("bad-number", found.line))
        return None
    return float(said)
