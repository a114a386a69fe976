"""What a terminal says first, up to where it rests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from executors.contract import Transcript
from executors.terminal.ansi import PlainText
from executors.terminal.channel import Channel, Clock, SystemClock

FIRST_SECONDS: Final = 5.0  # for the first word
QUIET_SECONDS: Final = 1.0
WHOLE_SECONDS: Final = 15.0
MOST: Final = 64 * 1024  # characters


@dataclass(frozen=True, slots=True)
class Greeting:
    """`is_over`: the target closed."""

    text: str
    is_over: bool

    @property
    def last_line(self) -> str:
        return next((line.strip() for line in reversed(self.text.split("\n")) if line.strip()), "no word")


def heard_first(channel: Channel, transcript: Transcript, clock: Clock | None = None) -> Greeting:
    """Raises Failure for a broken connection."""
    now = (clock or SystemClock()).now
    plain, text = PlainText(), ""
    deadline = now() + WHOLE_SECONDS
    while len(text) < MOST and (left := deadline - now()) > 0:
        try:
            data = channel.receive(min(left, QUIET_SECONDS if text.strip() else FIRST_SECONDS))
        except TimeoutError:
            break
        if not data:
            return Greeting(text, is_over=True)
        new = plain.feed(data)
        transcript.received(new)
        text += new
    return Greeting(text, is_over=False)
