"""Encoders that any executor may use. Each refuses what its place cannot carry rather than guess."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from executors.contract.parts import Encoder

LINE_SEPARATORS = "\u0085\u2028\u2029"


def one_line(value: str) -> str:
    """For a line typed at a prompt: no control characters, no line separators (they would end or edit the
    line)."""
    for char in value:
        if unicodedata.category(char) == "Cc" or char in LINE_SEPARATORS:
            raise ValueError("it holds a control character or a line separator")
    return value


def shell_word(value: str) -> str:
    """One POSIX shell word in single quotes (XCU 2.2.2); a quote inside becomes '\\''."""
    return "'" + one_line(value).replace("'", "'\\''") + "'"


def raw(value: str) -> str:
    """As it is; for places where the executor itself carries any value safely."""
    return value


COMMON: Mapping[str, Encoder] = {"line": one_line, "sh": shell_word, "raw": raw}
