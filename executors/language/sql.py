"""SQL: statements separated by `;`. Each tag gets the encoder of the quotes that it stands in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from executors.contract import Encoder, Literal, Tag, Text, one_line
from executors.language.findings import Finding, finding
from executors.language.source import Line
from executors.language.steps import Step
from executors.language.tags import SECRETS, encoded, text_of

PROCEDURE = re.compile(
    r"\s*(?:EXEC(?:UTE)?\b(?!\s+IMMEDIATE)|CALL\b|BEGIN\b|DECLARE\b|DO\b"
    r"|(?:CREATE|ALTER)\s+(?:OR\s+REPLACE\s+)?(?:DEFINER\s*=\s*\S+\s+)?(?:PROC|PROCEDURE|FUNCTION|TRIGGER|PACKAGE)\b)",
    re.IGNORECASE,
)
PASSWORD_FUNCTION = re.compile(r"\bPASSWORD\s*\(\s*['\"\[]", re.IGNORECASE)
CONNECT = re.compile(r"\s*CONN(?:ECT)?\s+(\S.*)", re.IGNORECASE | re.DOTALL)
BARE = re.compile(r"[A-Za-z][A-Za-z0-9_$#]{0,127}")


class Quotes(StrEnum):
    """Where in a statement a tag stands; also the name of the encoder that its value needs."""

    BARE = "sql-bare"
    STRING = "sql-string"
    STRING_WITH_BACKSLASH = "sql-string-backslash"  # MySQL and MariaDB read \ in strings
    NAME = "sql-name"
    BACKQUOTED = "sql-backquoted"
    BRACKETED = "sql-bracketed"


@dataclass(frozen=True, slots=True)
class Statement(Step):
    text: Text

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.text,)


@dataclass(frozen=True, slots=True)
class Connect(Step):
    """Oracle's `CONN user@service`; the password is that of the login."""

    target: Text

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.target,)


def bare(value: str) -> str:
    if not BARE.fullmatch(value):
        raise ValueError("it stands in no quotes, where only letters, digits, _, $ and # may; quote it")
    return value


def string(value: str) -> str:
    return one_line(value).replace("'", "''")


def string_with_backslash(value: str) -> str:
    return string(value).replace("\\", "\\\\")


def name(value: str) -> str:
    if '"' in value:
        raise ValueError("it holds a double quote, which not every product can quote")
    return one_line(value)


def backquoted(value: str) -> str:
    return one_line(value).replace("`", "``")


def bracketed(value: str) -> str:
    return one_line(value).replace("]", "]]")


ENCODERS: Final[Mapping[str, Encoder]] = {
    Quotes.BARE: bare,
    Quotes.STRING: string,
    Quotes.STRING_WITH_BACKSLASH: string_with_backslash,
    Quotes.NAME: name,
    Quotes.BACKQUOTED: backquoted,
    Quotes.BRACKETED: bracketed,
}


def parse(lines: Sequence[Line], executor: str, notes: list[Finding]) -> tuple[Step, ...]:
    """`executor` decides whether `\\` escapes in strings and what `"` quotes (a string in MySQL)."""
    steps: list[Step] = []
    for line, source in _statements(lines, backslash=executor == "mysql"):
        if PROCEDURE.match(source):
            notes.append(finding("stored-procedure", line))
        if PASSWORD_FUNCTION.search(source):
            notes.append(finding("old-password-function", line))
        if match := CONNECT.fullmatch(source):
            steps.append(Connect(line, text_of(match[1].strip())))
        else:
            text = _with_encoders(text_of(source.strip()), executor)
            steps.append(Statement(line, text))
            if any(isinstance(p, Tag) and p.name in SECRETS and p.encoder == Quotes.BARE for p in text):
                notes.append(finding("unquoted-secret", line))
    return tuple(steps)


def _statements(lines: Sequence[Line], *, backslash: bool) -> Iterator[tuple[int, str]]:
    """Cut at `;` outside quotes and comments, and below a line of `CONN` or `GO`."""
    current, begun, quote = "", 0, ""
    for line in lines:
        stripped = line.text.strip()
        if line.is_comment or (not quote and (not stripped or stripped.startswith("--"))):
            continue
        if not quote and stripped.upper() in ("GO", "/"):  # batch separators of sqlcmd and SQL*Plus
            if current.strip():
                yield begun, current
            current = ""
            continue
        begun = begun if current.strip() else line.number
        for piece, closed, quote_after in _cut(line.text, quote, backslash=backslash):
            current += piece
            quote = quote_after
            if closed:
                if current.strip():
                    yield begun, current
                current, begun = "", line.number
        if not quote and CONNECT.fullmatch(current):
            yield begun, current
            current = ""
        current += "\n" if current else ""
    if current.strip():
        yield begun, current


def _cut(text: str, quote: str, *, backslash: bool) -> Iterator[tuple[str, bool, str]]:
    """Pieces of one line, whether a `;` closes each, and the quote that is open after it."""
    start = at = 0
    while at < len(text):
        char = text[at]
        if quote:
            if backslash and char == "\\" and quote in "'\"":
                at += 1
            elif char == quote:
                quote = ""
        elif char in QUOTE_ENDS and not text.startswith("[#", at):
            quote = QUOTE_ENDS[char]
        elif char == ";":
            yield text[start:at], True, quote
            start = at + 1
        at += 1
    yield text[start:], False, quote


QUOTE_ENDS: Final = {"'": "'", '"': '"', "`": "`"}


def _with_encoders(text: Text, executor: str) -> Text:
    found: list[Literal | Tag] = []
    quote = ""
    for part in text:
        if isinstance(part, Tag):
            found.append(encoded(part, _place(quote, executor)))
            continue
        found.append(part)
        quote = _quote_after(part.text, quote, executor)
    return tuple(found)


def _quote_after(text: str, quote: str, executor: str) -> str:
    skip = False
    for char in text:
        if skip:
            skip = False
        elif quote:
            skip = executor == "mysql" and char == "\\" and quote != "`"
            quote = "" if char == quote else quote
        elif char == "[" and executor == "sql_server":
            quote = "]"
        else:
            quote = QUOTE_ENDS.get(char, "")
    return quote


def _place(quote: str, executor: str) -> Quotes:
    string_here = Quotes.STRING_WITH_BACKSLASH if executor == "mysql" else Quotes.STRING
    return {
        "'": string_here,
        '"': string_here if executor == "mysql" else Quotes.NAME,
        "`": Quotes.BACKQUOTED,
        "]": Quotes.BRACKETED,
    }.get(quote, Quotes.BARE)
