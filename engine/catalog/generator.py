"""New passwords: rules, an exact count of the passwords that meet them, and a uniform draw from among those.

All passwords that meet the rules are numbered 0 … count-1; a draw takes a random number below the count and
writes out the password of that number. So every password is equally likely, `bits` is exact, and rules are
satisfiable when the count is not 0. (Filling the required classes first and shuffling is not uniform: it
favours passwords with few required characters.)
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.store.errors import KeyturnError, Kind
from executors.contract import Secret

STRONG_BITS: Final = 128
LETTERS_AND_DIGITS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
SAFE_SYMBOLS: Final = "-_.+:,=%@"  # no shell, SQL, Tcl or IOS meaning inside the quotes those languages use
FIRST_CLASSES: Final = {
    "any": ("lower", "upper", "digit", "symbol"),
    "letter": ("lower", "upper"),
    "lower": ("lower",),
    "upper": ("upper",),
    "digit": ("digit",),
}


class UnsatisfiablePolicy(KeyturnError):
    """No password meets the rules. The message says which rule to loosen."""

    code = "unsatisfiable_policy"
    kind = Kind.INVALID


class GeneratorRules(BaseModel):
    """What a generated password looks like. `max_repeat`: most equal characters in a row; 0: no limit.

    A password never begins with '-', whatever the rules say: commands would read it as an option.
    The bounds keep counting fast: 20 ms by default, seconds at the very worst, once a process.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    length: int = Field(default=24, ge=1, le=64)
    alphabet: str = LETTERS_AND_DIGITS + SAFE_SYMBOLS
    exclude: str = ""
    min_lower: int = Field(default=1, ge=0, le=5)
    min_upper: int = Field(default=1, ge=0, le=5)
    min_digit: int = Field(default=1, ge=0, le=5)
    min_symbol: int = Field(default=1, ge=0, le=5)
    first: Literal["any", "letter", "lower", "upper", "digit"] = "letter"
    max_repeat: int = Field(default=2, ge=0, le=3)

    @model_validator(mode="after")
    def _alphabet_is_typeable(self) -> Self:
        if any(not "!" <= char <= "~" for char in self.alphabet):
            raise ValueError("the alphabet may hold printable ASCII characters only, and no space")
        return self

    @property
    def characters(self) -> dict[str, str]:
        """The usable characters by class, sorted, each once."""
        usable = sorted(set(self.alphabet) - set(self.exclude))
        return {
            name: "".join(char for char in usable if class_of(char) == name) for name in FIRST_CLASSES["any"]
        }

    @property
    def minimums(self) -> dict[str, int]:
        return {
            "lower": self.min_lower,
            "upper": self.min_upper,
            "digit": self.min_digit,
            "symbol": self.min_symbol,
        }

    def within(self, executor_alphabet: str, max_length: int | None = None) -> Self:
        """These rules narrowed to what a way to a target can carry; "" and None narrow nothing."""
        kept = "".join(char for char in self.alphabet if not executor_alphabet or char in executor_alphabet)
        length = min(self.length, max_length or self.length)
        return self.model_copy(update={"alphabet": kept, "length": length})


def class_of(char: str) -> str:
    if "a" <= char <= "z":
        return "lower"
    if "A" <= char <= "Z":
        return "upper"
    return "digit" if "0" <= char <= "9" else "symbol"


def satisfiable(rules: GeneratorRules, executor_alphabet: str = "", max_length: int | None = None) -> None:
    """Raises UnsatisfiablePolicy unless some password meets the rules on this way to a target."""
    narrowed = rules.within(executor_alphabet, max_length)
    if not _numbering(narrowed).count:
        raise UnsatisfiablePolicy(f"no password can meet this policy: {_why_not(narrowed)}")


def bits(rules: GeneratorRules) -> float:
    """log2 of the number of equally likely passwords. Raises UnsatisfiablePolicy."""
    satisfiable(rules)
    return math.log2(_numbering(rules).count)


def weakness(rules: GeneratorRules) -> str | None:
    """A warning for people if the rules give fewer than 128 bits. Raises UnsatisfiablePolicy."""
    strength = bits(rules)
    if strength >= STRONG_BITS:
        return None
    return (
        f"passwords of this policy have {strength:.0f} bits, fewer than {STRONG_BITS}; "
        "make them longer or widen the alphabet, unless the target allows no more"
    )


def generate(rules: GeneratorRules, choose: random.Random | None = None) -> Secret:
    """Draw one password uniformly from those that meet the rules. Raises UnsatisfiablePolicy.

    `choose` is the operating system's randomness unless a test gives its own.
    """
    satisfiable(rules)
    numbering = _numbering(rules)
    return Secret(numbering.password((choose or random.SystemRandom()).randrange(numbering.count)))


class _State(NamedTuple):
    """What the rest of a password depends on: characters to come, minimums still owed, the run at the end."""

    left: int
    owed: tuple[int, int, int, int]
    last: int  # class of the last character; -1 where it does not matter
    run: int  # how often the last character stands in a row; 0 where it does not matter


class _Numbering:
    """Numbers all passwords that meet the rules.

    What may follow depends on the last character's class, not on which it is: counting by class is exact.
    """

    def __init__(self, rules: GeneratorRules) -> None:
        self._classes = tuple(rules.characters.values())
        first = FIRST_CLASSES[rules.first]
        self._first = tuple(
            characters.replace("-", "") if name in first else ""
            for name, characters in rules.characters.items()
        )
        self._max_repeat = rules.max_repeat
        lower, upper, digit, symbol = rules.minimums.values()
        self._start = _State(rules.length, (lower, upper, digit, symbol), -1, 0)
        self._count = lru_cache(maxsize=None)(self._count_from)
        self.count = self._count(self._start)

    def password(self, number: int) -> str:
        """The password of this number, 0 <= number < count."""
        text, state = "", self._start
        while state.left:
            for characters, after in self._steps(state, text[-1:]):
                each = self._count(after)
                if number < each * len(characters):
                    index, number = divmod(number, each)
                    text, state = text + characters[index], after
                    break
                number -= each * len(characters)
        return text

    def _count_from(self, state: _State) -> int:
        if sum(state.owed) > state.left:
            return 0
        if not state.left:
            return 1
        total = 0
        # Any character of the last class stands for the last one: the count is the same for all of them.
        for characters, after in self._steps(state, self._classes[state.last][:1] if state.last >= 0 else ""):
            total += len(characters) * self._count(after)
        return total

    def _steps(self, state: _State, last: str) -> Iterator[tuple[str, _State]]:
        """The characters that may follow, in groups after which the rest has the same count."""
        tracked = last if state.last >= 0 else ""
        for kind, characters in enumerate(self._first if state == self._start else self._classes):
            others = characters.replace(tracked, "") if tracked else characters
            if others:
                yield others, self._after(state, kind, 1)
        if tracked and state.run < self._max_repeat:
            yield tracked, self._after(state, state.last, state.run + 1)

    def _after(self, state: _State, kind: int, run: int) -> _State:
        a, b, c, d = (owed - (owed > 0 and index == kind) for index, owed in enumerate(state.owed))
        last, run = (kind, run) if self._max_repeat else (-1, 0)
        return _State(state.left - 1, (a, b, c, d), last, run)


@lru_cache(maxsize=64)
def _numbering(rules: GeneratorRules) -> _Numbering:
    return _Numbering(rules)


def _why_not(rules: GeneratorRules) -> str:
    characters, minimums = rules.characters, rules.minimums
    if not any(characters.values()):
        return "no character is left of its alphabet; widen the alphabet or exclude less"
    if sum(minimums.values()) > rules.length:
        return (
            f"it asks for at least {sum(minimums.values())} characters of given classes, "
            f"and {rules.length} is the length; lengthen it or ask for fewer"
        )
    for name, minimum in minimums.items():
        if minimum and not characters[name]:
            return f"it asks for {minimum} of class {name}, and none is left; allow some or ask for none"
    if not any(characters[name].replace("-", "") for name in FIRST_CLASSES[rules.first]):
        return (
            f"no character is left for the first place ({rules.first}, never '-'); allow another class there"
        )
    return "its minimums, its first place and its limit on repeats contradict each other; loosen one of them"
