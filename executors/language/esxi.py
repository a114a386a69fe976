"""VMware ESXi: each line holds the arguments of esxcli, without the program's name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from executors.contract import Literal, Text
from executors.language.findings import Finding, finding
from executors.language.source import Line
from executors.language.steps import Step
from executors.language.tags import text_of

NAMESPACE = re.compile(r"(?:esxcli[ \t]+)?[a-z][a-z0-9]*(?:[ \t]|\Z)")


@dataclass(frozen=True, slots=True)
class Esxcli(Step):
    """The words of one call, quotes taken off: a value is one word's part and can never become two."""

    words: tuple[Text, ...]

    @property
    def texts(self) -> tuple[Text, ...]:
        return self.words


def parse(lines: Sequence[Line], notes: list[Finding]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for line in lines:
        if not line.says_something:
            continue
        text = line.text.strip()
        if not NAMESPACE.match(text):
            notes.append(finding("unknown-directive", line.number))
            continue
        words = tuple(_words(text, line.number, notes))
        steps.append(Esxcli(line.number, words[1:] if words[0] == (Literal("esxcli"),) else words))
    return tuple(steps)


def _words(text: str, line: int, notes: list[Finding]) -> Iterator[Text]:
    """Words as a shell would see them, without any expansion. Tags hold no quotes or blanks."""
    word, quote, begun = "", "", False
    for char in text:
        if quote:
            quote, word = ("", word) if char == quote else (quote, word + char)
        elif char in "'\"":
            quote, begun = char, True
        elif char in " \t":
            if word or begun:
                yield text_of(word)
            word, begun = "", False
        else:
            word += char
    if quote:
        notes.append(finding("unbalanced-quote", line))
    if word or begun:
        yield text_of(word)
