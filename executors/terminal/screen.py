"""What a target said and nobody has dealt with yet: plain text, without the echo of what we typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from executors.terminal.ansi import PlainText

KEPT: Final = 64 * 1024  # characters not dealt with; of a flood the newest stay
PROMPT_ENDS: Final = "$#>%:?])}~"
MOST_ECHOES: Final = 4
LINE_KEPT: Final = 256  # characters of the line's beginning that decide whether an echo can follow


@dataclass(frozen=True, slots=True)
class Echo:
    """A line typed and perhaps shown by the terminal. `ends_line`: the new line was typed as well."""

    text: str
    ends_line: bool


class Screen:
    """Takes bytes however they are cut; `text` holds what arrived since the last match.

    An echo is taken out where a terminal shows one: at the beginning of a line or behind a prompt, and to the
    line's end. What may yet become one is held back until that is decided, or the target rests. If a new line
    comes first, nothing was shown: a program that hides what is typed prints one.
    """

    def __init__(self) -> None:
        self.text = ""
        self._plain = PlainText()
        self._echoes: list[Echo] = []
        self._held = ""
        self._nothing_since_typed = False
        self._line = ""  # the end of the current line that has been let through

    def typed(self, text: str, *, ends_line: bool) -> None:
        if text.strip():
            self._echoes = [*self._echoes, Echo(text, ends_line)][-MOST_ECHOES:]
            self._nothing_since_typed = True

    def matched(self) -> None:
        """A wait was satisfied: what was typed first before it has been shown by now, or never will be."""
        self._echoes = self._echoes[1:]

    def feed(self, data: bytes) -> str:
        """Take bytes in; returns all of their text, echo and all, for the transcript."""
        new = self._plain.feed(data)
        self._let_through(self._held + new)
        return new

    def rest(self) -> None:
        """The target is quiet: what is held back is an echo if it is a whole one, else it is text."""
        held, self._held = self._held, ""
        whole = next((place for place, echo in enumerate(self._echoes) if echo.text == held), None)
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
        if not self._echoes:
            return None
        for place in range(len(pending)):
            if self._may_begin(pending, place):
                for number, echo in enumerate(self._echoes):
                    length = _length(echo, pending, place)
                    if length is None:
                        continue
                    if length:
                        self._echoes = self._echoes[number + 1 :]
                    return place, length
        return None

    def _may_begin(self, pending: str, place: int) -> bool:
        before = (self._line + pending[max(0, place - LINE_KEPT) : place]).rpartition("\n")[2].rstrip(" ")
        return not before or before[-1] in PROMPT_ENDS

    def _add(self, text: str) -> None:
        self._line = (self._line + text).rpartition("\n")[2][-LINE_KEPT:]
        self.text = (self.text + text)[-KEPT:]


def _length(echo: Echo, pending: str, place: int) -> int | None:
    """Of the echo at this place; 0 if it may be one, None if it is not."""
    if pending.startswith(echo.text, place):
        after = pending[place + len(echo.text) : place + len(echo.text) + 1]
        if not echo.ends_line or after == "\n":
            return len(echo.text)
        return None if after else 0
    return 0 if echo.text.startswith(pending[place:]) else None
