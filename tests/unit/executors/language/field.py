"""The templates in tests/golden/field, and what was written by hand beside each of them.

`NAME.lines`: for terminals the dialogue, `< ` what the device says, `> ` the line that it must hear, `>> `
the bytes; for other executors `> ` one step each with its texts. A line feed, return, tab and backslash are
escaped. The parse is consulted for neither.
"""

from __future__ import annotations

import re
from pathlib import Path

from executors.contract import Values
from executors.language.parsing import Parsed, parse
from executors.language.tags import KNOWN
from executors.language.tree import place_of
from tests.unit.executors.language.played import values

FIELD = Path(__file__).parents[3] / "golden" / "field"
CASES = sorted(path for path in FIELD.rglob("*") if path.is_file() and path.suffix != ".lines")
TERMINAL_CASES = [path for path in CASES if "\n< " in "\n" + path.with_name(path.name + ".lines").read_text()]
OTHER_CASES = [path for path in CASES if path not in TERMINAL_CASES]
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}
TAG = re.compile(r"\[#([A-Za-z0-9_]+)#\]")

HOSTILE = [
    "plain9",
    "st*r",
    "*",
    "**",
    'quo"te',
    '"',
    '""quoted""',
    "o'brien",
    "`id` $(id) ${HOME}",
    "$HOME",
    "$",
    "#comment",
    "ends#",
    "%d%s%n",
    "100%",
    "?",
    "help?",
    "-rf",
    "--",
    "~.",
    "back\\slash\\",
    "\\",
    '\\"',
    "\\n\\r\\t",
    "[#NEW_PASSWORD#]",
    "[[#USERNAME#]]",
    "[#NO_SUCH_TAG#]",
    "[#",
    "#]",
    "[nl]",
    "[ENTER]",
    "a b  c",
    " leading",
    "trailing ",
    " ",
    ".*+?()[]{}|^$",
    "[$#>]",
    "/x/i",
    "u(x)",
    ";drop",
    "a;b&&c||d>e<f",
    "<>",
    "#",
    "host# ",
    "Password:",
    "New password: ",
    "*assword:",
    "$ ",
    "end",
    'exec "x"',
    "zażółć 🔐",
    "e\u0301\u202e\ufeff\u00a0",
    "x" * 700,
    "pass " * 150,
]
"""Values that must arrive as they are, wherever a tag stands."""

REFUSED = [
    "a\nb",
    "a\r",
    "\tb",
    "a\x00b",
    "a\x03",
    "a\x04",
    "\x1b[A",
    "a\x7f",
    "a\x85b",
    "a\u2028b",
    "a\ud800",
]
"""Values that no line can carry: they would end it, edit it or not be characters."""


def parsed(path: Path) -> Parsed:
    place = place_of(path)
    assert place.executor
    assert place.action
    return parse(path.read_bytes(), place.executor, place.action, place.name)


def lines_of(path: Path) -> list[tuple[str, str]]:
    """(sign, text with escapes undone) of each line."""
    found = []
    for line in path.with_name(path.name + ".lines").read_text().split("\n"):
        if line:
            sign, _, text = line.partition(" ")
            found.append((sign, re.sub(r"\\([nrt\\])", lambda match: ESCAPES[match[1]], text)))
    return found


def written(text: str, given: Values) -> str:
    names = {"COE_SENHA": "AUTH_PASSWORD"}
    return TAG.sub(lambda match: given[names.get(match[1], match[1])].reveal(), text)


def new_line_of(path: Path) -> str:
    """What ends a line there, read without the parser."""
    mode = re.search(r'set-new-line-mode "?(\w+)', path.read_text())
    return {"windows": "\r\n", "mac": "\r"}.get(mode[1] if mode else "", "\n")


def heard_by_hand(path: Path, given: Values) -> bytes:
    """Every byte that the device must hear."""
    end = new_line_of(path)
    typed = (
        written(text, given) + (end if sign == ">" else "") for sign, text in lines_of(path) if sign != "<"
    )
    return "".join(typed).encode()


def all_values(hostile: str) -> Values:
    """A value for every tag, each another one, all as hostile as that; the new secret is that itself."""
    names = {name: hostile[:1] + name.lower() + hostile[1:] for name in KNOWN}
    names |= {"USERNAME": hostile + "u", "AUTH_USER": "A" + hostile, "NEW_PASSWORD": hostile}
    names |= {"CURRENT_PASSWORD": "old" + hostile, "AUTH_PASSWORD": hostile + "auth"}
    return values(**names)
