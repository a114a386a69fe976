"""A terminal in memory with a clock of its own: says what its script says, compares what it hears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from executors.contract import Secret, Value, ValueKind, Values


@dataclass(frozen=True, slots=True)
class Says:
    data: bytes


@dataclass(frozen=True, slots=True)
class Hears:
    data: bytes
    echo: bytes = b""


@dataclass(frozen=True, slots=True)
class Rests:
    seconds: float


@dataclass(frozen=True, slots=True)
class Closes:
    pass


Turn = Says | Hears | Rests | Closes


class PlayedClock:
    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class PlayedTerminal:
    """Hands out what the target says, at most `chunk` bytes a read, once everything before it was heard."""

    def __init__(self, turns: Sequence[Turn], chunk: int = 65536) -> None:
        self.clock = PlayedClock()
        self.heard = b""
        self.early: list[bytes] = []
        """What was sent while the target still had words to say before it listens."""
        self._turns = list(turns)
        self._chunk = chunk
        self._ahead = b""  # heard before its turn

    @property
    def is_over(self) -> bool:
        return not any(isinstance(turn, Hears) for turn in self._turns)

    @property
    def has_said_all(self) -> bool:
        return not any(isinstance(turn, Says) and turn.data.strip() for turn in self._turns)

    def send(self, data: bytes) -> None:
        unread = takewhile(lambda turn: not isinstance(turn, Hears), self._turns)
        if any(isinstance(turn, Says) and turn.data.strip() for turn in unread) and not self._ahead:
            self.early.append(data)
        self.heard += data
        self._ahead += data

    def receive(self, seconds: float) -> bytes:
        while self._turns:
            turn = self._turns[0]
            if isinstance(turn, Says):
                data, rest = turn.data[: self._chunk], turn.data[self._chunk :]
                self._turns[:1] = [Says(rest)] if rest else []
                if data:
                    return data
            elif isinstance(turn, Hears) and len(self._ahead) >= len(turn.data):
                assert self._ahead[: len(turn.data)] == turn.data
                self._ahead = self._ahead[len(turn.data) :]
                self._turns[:1] = [Says(turn.echo)]
            elif isinstance(turn, Rests):
                if turn.seconds > seconds:
                    self._turns[0] = Rests(turn.seconds - seconds)
                    break
                self.clock.time += turn.seconds
                seconds -= turn.seconds
                self._turns.pop(0)
            elif isinstance(turn, Closes):
                return b""
            else:
                break
        self.clock.time += seconds
        raise TimeoutError


def values(**contents: str) -> Values:
    """Names that end in PASSWORD or SECRET hold secrets."""
    return {
        name: Value(ValueKind.SECRET, Secret(text))
        if name.endswith(("PASSWORD", "SECRET"))
        else Value(ValueKind.TEXT, text)
        for name, text in contents.items()
    }
