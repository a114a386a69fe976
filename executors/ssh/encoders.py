"""How a value is written in a native ssh template where a program or a device's command line reads it.

What a place is not known to carry is refused: a guess could set another password than the one that is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from executors.contract import COMMON_ENCODERS, Encoder, one_line

WORD: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*")
BARE: Final = re.compile(r"""[!-~]+""")
NOT_BARE: Final = frozenset("\"'`\\?")
LITERAL_NEXT: Final = "\x16"  # Control-V


def field_of_line(value: str) -> str:
    """One field of a `name:value` line, as chpasswd(8) reads it: it splits at the first colon."""
    if ":" in value:
        raise ValueError("it holds a colon, which would end the field")
    return one_line(value)


def word(value: str) -> str:
    """A name on a device's command line, written so that each reads it the same."""
    if not WORD.fullmatch(value):
        raise ValueError(
            "here only a letter, digit or '_' may stand, and behind it '.', '@', '+' and '-' too"
        )
    return value


def bare(value: str) -> str:
    """An argument on a command line that splits at blanks, where what quotes do is not documented."""
    if not BARE.fullmatch(value) or not NOT_BARE.isdisjoint(value):
        raise ValueError("here only ASCII may stand, without blanks, quotes, backslashes and '?'")
    return value


def double_quoted(value: str) -> str:
    """In double quotes that know no escape (racadm)."""
    if '"' in value or "\\" in value:
        raise ValueError("it holds a double quote or a backslash, which cannot stand in double quotes here")
    return f'"{one_line(value)}"'


def fortios(value: str) -> str:
    """In double quotes as FortiOS reads them (Administration Guide, "Special characters"): a backslash before
    `"` and itself, Control-V before `?`, which asks for help even there."""
    escaped = one_line(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("?", f"{LITERAL_NEXT}?") + '"'


def routeros(value: str) -> str:
    """In double quotes as RouterOS reads them: a backslash before `"`, `$` and itself (RouterOS manual,
    "Scripting", "Constant Escape Sequences"); `?` asks for help there in version 6."""
    if not value.isascii() or "?" in value:
        raise ValueError("here only ASCII may stand, without '?'")
    return '"' + re.sub(r'(["$\\])', r"\\\1", one_line(value)) + '"'


ENCODERS: Final[Mapping[str, Encoder]] = {
    **COMMON_ENCODERS,
    "field": field_of_line,
    "word": word,
    "bare": bare,
    "double-quoted": double_quoted,
    "fortios": fortios,
    "routeros": routeros,
}
