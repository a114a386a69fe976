"""What a template waits for. Values are put in as literals when a pattern is compiled, never scanned again.

`compiled` makes a matcher of a pattern; a matcher finds the match that ends first, so that what is found does
not depend on how the output was cut (a regular expression says so when it might still grow).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from executors.contract import COMMON_ENCODERS, Literal, Tag, TemplateError, Text, Values, join
from executors.language.tags import text_of

Span = tuple[int, int]
WINDOW: Final = 4 * 1024  # characters at the end of the output that a regular expression looks at
LONGEST_REGEX: Final = 1000  # characters
DEEPEST: Final = 40  # groups inside each other


class Matcher(Protocol):
    @property
    def can_grow(self) -> bool:
        """Whether a match that ends where the output ends may become another one with more output."""

    def find(self, text: str, start: int) -> Span | None: ...


class Pattern(Protocol):
    @property
    def texts(self) -> tuple[Text, ...]: ...

    def compiled(self, values: Values) -> Matcher:
        """Raises TemplateError for a value that cannot stand here."""


@dataclass(frozen=True, slots=True)
class Wildcard:
    """Plain texts in this order with anything between them; only `*` was special."""

    pieces: tuple[Text, ...]

    @property
    def texts(self) -> tuple[Text, ...]:
        return self.pieces

    def compiled(self, values: Values) -> Pieces:
        texts = tuple(piece for text in self.pieces if (piece := _value(text, values)))
        if any(self.pieces) and not texts:
            raise TemplateError(0, "the text to look for is empty")
        return Pieces(texts, may_be_empty=bool(self.pieces))


@dataclass(frozen=True, slots=True)
class Pieces:
    """Finds texts one after the other: the earliest of each gives the earliest end. Linear."""

    texts: tuple[str, ...]
    may_be_empty: bool  # `expect ""` is satisfied by nothing, `expect "*"` needs a character
    can_grow: bool = False

    def find(self, text: str, start: int) -> Span | None:
        if not self.texts:
            return (start, start) if self.may_be_empty else (start, len(text)) if len(text) > start else None
        first, end = -1, start
        for piece in self.texts:
            at = text.find(piece, end)
            if at < 0:
                return None
            first, end = (at if first < 0 else first), at + len(piece)
        return first, end


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression in Python's words; each tag stands as one character of `marks`."""

    source: Text  # as written, for people
    pattern: str
    flags: int
    marks: tuple[tuple[str, Tag], ...]

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.source,)

    def compiled(self, values: Values) -> Search:
        literals = {mark: re.escape(_value((tag,), values)) for mark, tag in self.marks}
        # In one pass: a value may hold any character, marks too.
        pattern = "".join(literals.get(char, char) for char in self.pattern)
        try:
            return Search(re.compile(pattern, self.flags))
        except (re.error, OverflowError, RecursionError):
            raise TemplateError(0, "a value breaks the regular expression that it stands in") from None


@dataclass(frozen=True, slots=True)
class Search:
    """Looks at the last `WINDOW` characters alone. What could take exponential time was refused before;
    the deadline of the child process bounds the rest."""

    pattern: re.Pattern[str]
    can_grow: bool = True

    def find(self, text: str, start: int) -> Span | None:
        window = max(start, len(text) - WINDOW)
        match = self.pattern.search(text[window:])
        return None if match is None else (window + match.start(), window + match.end())


def _value(text: Text, values: Values) -> str:
    return join(text, values, COMMON_ENCODERS, "raw").wire.reveal()


def wildcard(source: str) -> Wildcard:
    """Cut at the stars of the template; one inside a value is a plain character."""
    pieces: list[Text] = []
    current: list[Literal | Tag] = []
    for part in text_of(source):
        if isinstance(part, Tag):
            current.append(part)
            continue
        for number, literal in enumerate(part.text.split("*")):
            if number:
                pieces.append(tuple(current))
                current = []
            if literal:
                current.append(Literal(literal))
    pieces.append(tuple(current))
    kept = tuple(piece for piece in pieces if piece)
    return Wildcard(kept if kept or len(pieces) > 1 else ((),))


def plain(source: str) -> Wildcard:
    """A text in which nothing is special."""
    return Wildcard((text_of(source),))


DELIMITERS: Final = "/~"
MODIFIERS: Final = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}
OTHER_MODIFIERS: Final = frozenset("uUADSXJ")  # PCRE's; none changes what a search finds first


def regex(source: str) -> tuple[Pattern, tuple[str, ...]]:
    """The pattern of a PCRE literal or of a bare regular expression, and the codes of what is odd about it.

    What is broken or can never match is taken for plain text.
    """
    inside, modifiers, delimited = _undelimited(source)
    codes = () if delimited else ("regex-without-delimiters",)
    try:
        found = _regex(source, inside, modifiers)
    except ValueError as error:
        return plain(inside), (*codes, str(error))
    return found, codes


def bare_regex(source: str) -> tuple[Pattern, tuple[str, ...]]:
    """A regular expression where delimiters are not the custom (Tcl)."""
    try:
        return _regex(source, source, ""), ()
    except ValueError as error:
        return plain(source), (str(error),)


def _undelimited(source: str) -> tuple[str, str, bool]:
    end = source.rfind(source[0]) if source and source[0] in DELIMITERS else 0
    modifiers = source[end + 1 :].strip()
    if end > 0 and set(modifiers) <= MODIFIERS.keys() | OTHER_MODIFIERS:
        return source[1:end], modifiers, True
    return source, "", False


def _regex(source: str, inside: str, modifiers: str) -> Regex:
    """Raises ValueError with the code of the finding."""
    flags = 0
    for letter in modifiers:
        flags |= MODIFIERS.get(letter, 0)
    marks: list[tuple[str, Tag]] = []
    free = free_characters(inside)
    marked = ""
    for part in text_of(inside):
        if isinstance(part, Literal):
            marked += part.text
        else:
            marks.append((next(free), part))
            marked += marks[-1][0]
    pattern = _Translation(marked, frozenset(mark for mark, _ in marks)).result()
    try:
        re.compile(pattern, flags)
    except (re.error, OverflowError, RecursionError):
        raise ValueError("regex-taken-literally") from None
    return Regex(text_of(source), pattern, flags, tuple(marks))


def free_characters(source: str) -> Iterator[str]:
    """Characters of the private use area that the source does not hold."""
    return (char for char in map(chr, range(0xE000, 0xF8FF)) if char not in source)


CLASSES: Final = {
    "alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "ascii": r"\x00-\x7f", "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f", "digit": "0-9", "graph": r"\x21-\x7e", "lower": "a-z", "print": r"\x20-\x7e",
    "space": r"\s", "punct": r"!-/:-@\[-`{-~", "upper": "A-Z", "word": r"\w", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
ESCAPES: Final = {
    "h": "[ \\t]", "R": "(?:\\r\\n|\\n|\\r)", "z": "\\Z", "Z": "(?=\\n?\\Z)", "e": "\\x1b", "H": "[^ \\t]",
    "N": "[^\\n]", "G": "", "<": "\\b", ">": "\\b",
}  # fmt: skip
UNKNOWN: Final = frozenset("KpPXQEcgkouUCTlLMmOqijy")  # escapes that Python has not, or reads otherwise
QUANTIFIER = re.compile(r"[*+?]|\{([0-9]*)(,?)([0-9]*)\}")
POSIX_CLASS = re.compile(r"\[:(\^?)([a-z]+):\]")
OPENING = re.compile(r"\((?:\?(?:P?<([A-Za-z_]\w*)>|[:>=!]|<[=!]|([imsx]+)([:)]))|(?![?*]))")
BROKEN: Final = "regex-taken-literally"
HANGS: Final = "regex-may-hang"
MANY: Final = 20  # repeats from which on a bounded repeat counts as one without an end


@dataclass(slots=True)
class _Group:
    """What was seen of a group so far: whether it repeats inside, or chooses between things alike."""

    repeats: bool = False
    chooses: bool = False
    alike: bool = False  # two alternatives may begin with the same character
    fresh: bool = True  # an alternative begins here
    starts: str = ""

    def begin(self, out: str) -> None:
        """Note what an alternative begins with."""
        if self.fresh:
            self.alike |= not (len(out) == 1 and out.isalnum() and out not in self.starts)
            self.starts += out
            self.fresh = False

    @property
    def doubtful(self) -> bool:
        return self.repeats or (self.chooses and self.alike)


class _Translation:
    """One walk over a PCRE pattern: rewrites what Python says otherwise, refuses what could hang.

    Refused is a group that is repeated without end and that, inside, repeats without end or chooses between
    alternatives that may begin alike: what can be read in several ways, again and again.
    """

    def __init__(self, source: str, marks: frozenset[str]) -> None:
        if len(source) > LONGEST_REGEX:
            raise ValueError(BROKEN)
        self._source = source
        self._marks = marks
        self._at = 0
        self._out: list[str] = []
        self._groups = [_Group()]
        self._last: _Group | None = None  # of the atom just read, if it is a group
        self._ended = False  # a `$` was read after which nothing but an end can match

    def result(self) -> str:
        while self._at < len(self._source):
            self._take()
        return "".join(self._out)

    def _take(self) -> None:
        char = self._source[self._at]
        reader: Callable[[], None] | None = {
            "\\": self._escape, "[": self._class, "(": self._open, ")": self._close, "|": self._choose,
            "$": self._end,
        }.get(char)  # fmt: skip
        if reader is not None:
            reader()
        elif match := QUANTIFIER.match(self._source, self._at):
            self._quantifier(match)
        else:
            self._atom(f"(?:{char})" if char in self._marks else char, 1)

    def _atom(self, out: str, length: int) -> None:
        if self._ended and out != "\n":
            raise ValueError(BROKEN)  # something after the end: it can never match
        self._groups[-1].begin(out)
        self._out.append(out)
        self._at += length
        self._last = None

    def _escape(self) -> None:
        letter = self._source[self._at + 1 : self._at + 2]
        if not letter or letter in UNKNOWN or letter in self._marks:
            raise ValueError(BROKEN)
        if letter == "x" and self._source[self._at + 2 : self._at + 3] == "{":
            raise ValueError(BROKEN)
        if letter.isalnum() or letter in "<>":
            self._atom(ESCAPES.get(letter, "\\" + letter), 2)
        else:
            self._atom(re.escape(letter), 2)

    def _class(self) -> None:
        at = self._at + 1
        out = ["["]
        if self._source[at : at + 1] == "^":
            out.append("^")
            at += 1
        first = at
        while (char := self._source[at : at + 1]) and (char != "]" or at == first):
            if posix := POSIX_CLASS.match(self._source, at):
                if posix[1] or posix[2] not in CLASSES:
                    raise ValueError(BROKEN)
                out.append(CLASSES[posix[2]])
                at = posix.end()
            elif char == "\\":
                letter = self._source[at + 1 : at + 2]
                if not letter or letter in "RXKpPNHhQE":
                    raise ValueError(BROKEN)
                out.append("\\" + letter)
                at += 2
            else:
                # Python warns of these where they might become set operations one day.
                out.append("\\" + char if char in "[&~|]" else char)
                at += 1
        if not char:
            raise ValueError(BROKEN)
        inside = "".join(out)
        self._atom(inside.replace("--", "-\\-") + "]", at + 1 - self._at)

    def _open(self) -> None:
        match = OPENING.match(self._source, self._at)
        if match is None or len(self._groups) > DEEPEST:
            raise ValueError(BROKEN)
        if match[3] == ")":  # modifiers for what follows: Python takes them at the very beginning alone
            if self._at:
                raise ValueError(BROKEN)
            self._out.append(match[0])
            self._at = match.end()
            return
        self._out.append(f"(?P<{match[1]}>" if match[1] else match[0])
        self._at = match.end()
        self._groups[-1].begin("(")
        self._groups.append(_Group())
        self._last = None

    def _close(self) -> None:
        if len(self._groups) == 1:
            raise ValueError(BROKEN)
        self._out.append(")")
        self._at += 1
        self._last = self._groups.pop()
        if self._last.doubtful:
            self._groups[-1].repeats = True
        self._ended = False

    def _choose(self) -> None:
        self._groups[-1].chooses = self._groups[-1].fresh = True
        self._out.append("|")
        self._at += 1
        self._last = None
        self._ended = False

    def _end(self) -> None:
        self._out.append("$")
        self._at += 1
        self._last = None
        self._ended = True

    def _quantifier(self, match: re.Match[str]) -> None:
        if match[0][0] == "{" and not (match[1] or match[3]):
            self._atom(re.escape(match[0]), len(match[0]))  # `{}` and `{,}` are plain text
            return
        lowest, highest = int((match[1] or "0")[:9]), int((match[3] or "0")[:9])
        endless = match[0] in "*+" or (match[2] and not match[3]) or max(lowest, highest) >= MANY
        if endless and self._last is not None and self._last.doubtful:
            raise ValueError(HANGS)
        if endless:
            self._groups[-1].repeats = True
        self._out.append(match[0])
        self._at += len(match[0])
        if self._source[self._at : self._at + 1] in ("?", "+"):
            self._out.append(self._source[self._at])
            self._at += 1
        self._last = None
        self._ended = False  # a `$` that may be left out
