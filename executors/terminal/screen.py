"""What a target said and nobody has dealt with yet: plain text, without the echo of what we typed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from executors.terminal.ansi import PlainText

KEPT: Final = 64 * 1024  # characters not dealt with; of a flood the newest stay
PROMPT_ENDS: Final = "$#>%:?])}~"
MOST_ECHOES: Final = 4
LINE_KEPT: Final = 256  # characters of the line's beginning that decide whether an echo can follow


@dataclass(frozen=True, slots=True)
class Echo:
    """A line typed and perhaps shown by the terminal. `ends_line`: the new line was typed as well.

    `is_secret`: a secret and nothing else, which terminals hide as a rule.
    """

    text: str
    ends_line: bool
    is_secret: bool = False


class Screen:
    """Takes bytes however they are cut; `text` holds what arrived since the last match.

    An echo is taken out where a terminal shows one: right where it was typed, at the beginning of a line or
    behind a prompt, and to the line's end. What may yet become one is held back until that is decided, or the
    target rests. If a new line comes first, nothing was shown: a program that hides what is typed prints one.
    """

    def __init__(self) -> None:
        self.text = ""
        self._plain = PlainText()
        self._echoes: list[Echo] = []
        self._held = ""
        self._nothing_since_typed = False
        self._nothing_added_since_typed = False
        self._line = ""  # the end of the current line that has been let through

    def typed(self, text: str, *, ends_line: bool, is_secret: bool = False) -> None:
        if text.strip():
            self._echoes = [*self._echoes, Echo(text, ends_line, is_secret)][-MOST_ECHOES:]
            self._nothing_since_typed = self._nothing_added_since_typed = True

    def matched(self) -> None:
        """A wait was satisfied: what was typed first before it has been shown by now, or never will be."""
        self._echoes = self._echoes[1:]

    def feed(self, data: bytes) -> str:
        """Take bytes in; returns all of their text, echo and all, for the transcript."""
        new = self._plain.feed(data)
        self._let_through(self._held + new)
        return new

    def rest(self) -> None:
        """The target is quiet: what is held back is an echo if it is a whole one, else it is text.

        A secret shown and no new line behind it is more likely a prompt that looks like the secret.
        """
        held, self._held = self._held, ""
        shown = (at for at, echo in enumerate(self._echoes) if echo.text == held and not echo.is_secret)
        whole = next(shown, None)
        if whole is None:
            self._add(held)
        else:
            self._echoes = self._echoes[whole + 1 :]

    def consume(self, end: int) -> None:
        self.text = self.text[end:]

    def _let_through(self, pending: str) -> None:
        self._held = ""
        self._notice_hidden(pending.lstrip(" "))
        while pending:
            cut = self._next_echo(pending)
            if cut is None:
                self._add(pending)
                return
            place, length = cut
            self._add(pending[:place])
            if not length:
                self._held = pending[place:]
                return
            pending = pending[place + length :]
            self._line = ""

    def _notice_hidden(self, first: str) -> None:
        if self._nothing_since_typed and first:
            self._nothing_since_typed = False
            if first[0] == "\n" and len(self._echoes) == 1:
                self._echoes = []

    def _next_echo(self, pending: str) -> tuple[int, int] | None:
        """Where an echo begins and how long it is; length 0 if more output must decide."""
        found: tuple[int, int, int] | None = None  # place, length, which echo
        for number, echo in enumerate(self._echoes):
            for place in _places(echo.text, pending):
                if found and place >= found[0]:
                    break
                length = _length(echo, pending, place)
                if length is not None and self._may_begin(pending, place):
                    found = place, length, number
                    break
        if found is None:
            return None
        if found[1]:
            self._echoes = self._echoes[found[2] + 1 :]
        return found[:2]

    def _may_begin(self, pending: str, place: int) -> bool:
        if not place and self._nothing_added_since_typed:
            return True
        before = (self._line + pending[max(0, place - LINE_KEPT) : place]).rpartition("\n")[2].rstrip(" ")
        return not before or before[-1] in PROMPT_ENDS

    def _add(self, text: str) -> None:
        self._nothing_added_since_typed &= not text
        self._line = (self._line + text).rpartition("\n")[2][-LINE_KEPT:]
        self.text = (self.text + text)[-KEPT:]


def _places(text: str, pending: str) -> Iterator[int]:
    """Where the text stands, or where at the very end it may just begin."""
    place = pending.find(text)
    while place >= 0:
        yield place
        place = pending.find(text, place + 1)
    for place in range(max(0, len(pending) - len(text) + 1), len(pending)):
        if pending[place] == text[0] and text.startswith(pending[place:]):
            yield place


def _length(echo: Echo, pending: str, place: int) -> int | None:
    """Of the echo that stands or begins at this place; 0 if more must decide, None if it is none."""
    if pending.startswith(echo.text, place):
        after = pending[place + len(echo.text) : place + len(echo.text) + 1]
        if after == "\n" or (not echo.ends_line and (after or not echo.is_secret)):
            return len(echo.text)
        return None if after else 0
    return 0
