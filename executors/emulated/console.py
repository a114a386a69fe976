"""One terminal session as a pure machine: bytes in, bytes out; no socket and no clock.

A session is written as a generator that yields an `Ask` and gets a line. The console does what a terminal
driver does: echo, line editing, keys, line ends. What it holds is bounded whatever arrives.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

LONGEST_LINE: Final = 4096  # characters; what is typed beyond is answered with a bell
INTERRUPT, END_OF_INPUT, LITERAL_NEXT, ERASE_LINE, LEAVE = "\x03", "\x04", "\x16", "\x15", "\x1a"
BACKSPACES: Final = "\x08\x7f"
INTERRUPTED_STATUS: Final = 130  # of a shell: 128 + SIGINT


class Dropped(Exception):
    """The connection is lost at this point of the session."""


class Silent(Exception):
    """From this point on the device says nothing."""


class HungUp(Exception):
    """The input has ended."""


class Interrupted(Exception):
    """Control-C was typed."""


class Echo(Enum):
    PLAIN = "plain"
    NONE = "none"
    STARS = "stars"


@dataclass(frozen=True)
class Ask:
    """A question. `key`: one character answers it, without a line end. `helps`: `?` asks for help at once."""

    prompt: str
    echo: Echo = Echo.PLAIN
    key: bool = False
    helps: bool = False


Result = TypeVar("Result")
Talk = Generator[Ask, str, Result]


@dataclass(frozen=True)
class Piece:
    """Output, and how many seconds to wait before it."""

    after: float
    data: bytes


@dataclass(frozen=True)
class Keys:
    """How a platform takes what is typed.

    `cr_lf_is_one`: CR LF ends one line; the terminal driver of a Unix makes two of it.
    `help_key`: `?` on a command line answers at once, and Control-V takes the next character as it is.
    """

    cr_lf_is_one: bool = True
    help_key: str = ""  # what `?` answers; "" if it is a character like any other
    leave_line: str = ""  # the command that Control-Z stands for


class Console:
    """`over`: the session has ended; `dropped`: without a word; `status`: what its command returned."""

    def __init__(
        self,
        keys: Keys,
        heard: Callable[[str], None],
        lock: AbstractContextManager[object],
        *,
        terminal: bool = True,
    ) -> None:
        self.over = False
        self.dropped = False
        self.silent = False
        self.status = 0
        self._keys = keys
        self._heard = heard
        self._lock = lock
        self._terminal = terminal
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")
        self._said: list[tuple[float, bytearray]] = []
        self._talk: Talk[None] | None = None
        self._ask = Ask("")
        self._line = ""
        self._after_cr = False
        self._literal = False

    @property
    def has_terminal(self) -> bool:
        return self._terminal

    def start(self, talk: Talk[None]) -> None:
        """Begin a session; what it says first is the answer to the first `play` or `feed`."""
        self._talk = talk
        self._resume(lambda: next(talk))

    def feed(self, data: bytes) -> bytes:
        """What the device answers, pauses left out."""
        return b"".join(piece.data for piece in self.play(data))

    def play(self, data: bytes) -> list[Piece]:
        """What the device answers, with its pauses."""
        with self._lock:
            for char in self._decoder.decode(data):
                self._typed(char)
            return self._taken()

    def end_of_input(self) -> list[Piece]:
        """The other side sends no more; a device that is silent does not care."""
        with self._lock:
            if not self.over and not self.silent:
                if self._line and not self._terminal:
                    self._enter()
                self._throw(HungUp())
            return self._taken()

    def say(self, text: str) -> None:
        self.noise((text.replace("\n", "\r\n") if self._terminal else text).encode(errors="surrogateescape"))

    def noise(self, data: bytes) -> None:
        if not self._said:
            self.pause(0.0)
        self._said[-1][1].extend(data)

    def pause(self, seconds: float) -> None:
        self._said.append((seconds, bytearray()))

    def _taken(self) -> list[Piece]:
        said, self._said = self._said, []
        return [Piece(after, bytes(data)) for after, data in said]

    def _typed(self, char: str) -> None:
        if self.over or self.silent:
            return
        if self._after_cr and char in "\n\0":
            self._after_cr = False
            if self._keys.cr_lf_is_one or char == "\0":
                return
        self._after_cr = char == "\r"
        if self._literal or not self._terminal:
            self._literal = False
            self._enter() if char == "\n" and not self._terminal else self._add(char)
        elif self._ask.key:
            self._answer("\n" if char == "\r" else char)
        else:
            self._control(char)

    def _control(self, char: str) -> None:
        if char in "\r\n":
            self._enter()
        elif char == INTERRUPT:
            self.say("^C\n")
            self._line = ""
            self._throw(Interrupted())
        elif char == END_OF_INPUT and not self._line:
            self._throw(HungUp())
        elif char == LEAVE and self._keys.leave_line:
            self._line = self._keys.leave_line
            self.say("^Z")
            self._enter()
        elif char in BACKSPACES:
            self._erase(1)
        elif char == ERASE_LINE:
            self._erase(len(self._line))
        else:
            self._key(char)

    def _key(self, char: str) -> None:
        helps = self._keys.help_key and self._ask.helps
        if helps and char == "?":
            self.say(f"?\n{self._keys.help_key}\n{self._ask.prompt}{self._line}")
        elif helps and char == LITERAL_NEXT:
            self._literal = True
        else:
            self._add(char)

    def _add(self, char: str) -> None:
        if len(self._line) >= LONGEST_LINE:
            self.noise(b"\a")
            return
        self._line += char
        if self._terminal and self._ask.echo is not Echo.NONE:
            self.say("*" if self._ask.echo is Echo.STARS else char)

    def _erase(self, count: int) -> None:
        count = min(count, len(self._line))
        self._line = self._line[: len(self._line) - count]
        if self._ask.echo is not Echo.NONE:
            self.say("\b \b" * count)

    def _enter(self) -> None:
        line, self._line = self._line, ""
        if self._terminal:
            self.say("\n")
        self._heard(line)
        self._answer(line)

    def _answer(self, text: str) -> None:
        talk = self._talk
        assert talk is not None  # `start` comes first
        self._resume(lambda: talk.send(text))

    def _throw(self, error: Interrupted | HungUp) -> None:
        talk = self._talk
        assert talk is not None
        self._resume(lambda: talk.throw(error))

    def _resume(self, step: Callable[[], Ask]) -> None:
        try:
            self._ask = step()
        except StopIteration:
            self.over = True
        except HungUp:
            self.over = True
        except Interrupted:
            self.over, self.status = True, INTERRUPTED_STATUS
        except Dropped:
            self.over = self.dropped = True
        except Silent:
            self.silent = True
        else:
            self.say(self._ask.prompt)
