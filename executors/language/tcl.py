"""Tcl Expect, as far as templates use it: read as words, turned into steps, never evaluated.

Understood: send, expect with clauses (patterns -gl, -re, -ex, -nocase; timeout, eof, default), exp_continue,
send_user, sleep, exit, set timeout. Everything else is a finding. There are no variables and no command
substitution: `$x` and `[x]` are plain text. See expect(1) and Tcl(n) for what the words mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from executors.contract import Literal, Tag, Text
from executors.language.findings import Finding, finding
from executors.language.patterns import Pattern, Regex, Wildcard, bare_regex, free_characters
from executors.language.source import SURROGATE, Line
from executors.language.steps import End, Send, SetTimeout, Sleep, Step, Timer
from executors.language.tags import text_of

DEEPEST: Final = 12  # braces inside each other
LONGEST: Final = 600.0  # seconds; what Tcl would wait for ever ends here


class On(StrEnum):
    MATCH = "match"
    TIMEOUT = "timeout"
    EOF = "eof"
    DEFAULT = "default"  # timeout or eof


@dataclass(frozen=True, slots=True)
class Clause(Step):
    on: On
    pattern: Pattern | None
    body: tuple[Step, ...]

    @property
    def texts(self) -> tuple[Text, ...]:
        return self.pattern.texts if self.pattern else ()

    @property
    def inner(self) -> tuple[Step, ...]:
        return self.body


@dataclass(frozen=True, slots=True)
class Expect(Step):
    """Wait for the first clause that holds, and do what it says."""

    clauses: tuple[Clause, ...]

    @property
    def inner(self) -> tuple[Step, ...]:
        return self.clauses

    @property
    def minds_timeout(self) -> bool:
        return any(clause.on in (On.TIMEOUT, On.DEFAULT) for clause in self.clauses)


@dataclass(frozen=True, slots=True)
class Continue(Step):
    """exp_continue: wait again in the expect that this clause belongs to."""


@dataclass(frozen=True, slots=True)
class Exit(Step):
    """The end; a status other than 0 is failure."""

    status: int


@dataclass(frozen=True, slots=True)
class Tell(Step):
    """send_user: a note for people; nothing goes to the target."""

    text: Text

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.text,)


class Kind(StrEnum):
    BARE = "bare"
    QUOTED = "quoted"
    BRACED = "braced"


@dataclass(frozen=True, slots=True)
class Word:
    line: int
    kind: Kind
    raw: str


def parse(lines: Sequence[Line], notes: list[Finding]) -> tuple[Step, ...]:
    source = "\n".join(line.text for line in lines)
    return _Script(notes).steps(source, lines[0].number if lines else 1, 0)


class _Reader:
    """Cuts a script into commands, and commands into words, by the rules of Tcl(n)."""

    def __init__(self, source: str, line: int, notes: list[Finding]) -> None:
        self._source = source
        self._line = line
        self._at = 0
        self._notes = notes

    def commands(self) -> Iterator[list[Word]]:
        while self._at < len(self._source):
            found = self._command()
            if found:
                yield found

    def _peek(self) -> str:
        return self._source[self._at : self._at + 1]

    def _forward(self, count: int) -> str:
        passed = self._source[self._at : self._at + count]
        self._line += passed.count("\n")
        self._at += len(passed)
        return passed

    def _command(self) -> list[Word]:
        found: list[Word] = []
        while char := self._peek():
            if char in "\n;":
                self._forward(1)
                break
            if char in " \t":
                self._forward(1)
            elif self._source.startswith("\\\n", self._at):
                self._forward(2)
            elif char == "#" and not found:
                self._comment()
            else:
                found.append(self._word())
        return found

    def _comment(self) -> None:
        end = self._source.find("\n", self._at)
        self._forward((len(self._source) if end < 0 else end) - self._at)

    def _word(self) -> Word:
        line = self._line
        char = self._peek()
        if char == "{":
            return Word(line, Kind.BRACED, self._braced())
        if char == '"':
            return Word(line, Kind.QUOTED, self._quoted())
        return Word(line, Kind.BARE, self._bare())

    def _braced(self) -> str:
        depth, start = 0, self._at
        while char := self._peek():
            self._forward(2 if char == "\\" else 1)
            depth += (char == "{") - (char == "}")
            if not depth:
                return self._source[start + 1 : self._at - 1]
        self._notes.append(finding("tcl-unbalanced", self._line))
        return self._source[start + 1 :]

    def _quoted(self) -> str:
        self._forward(1)
        start = self._at
        while (char := self._peek()) and char != '"':
            self._forward(2 if char == "\\" else 1)
        if not char:
            self._notes.append(finding("tcl-unbalanced", self._line))
            return self._source[start:]
        self._forward(1)
        return self._source[start : self._at - 1]

    def _bare(self) -> str:
        start = self._at
        while (char := self._peek()) and char not in " \t\n;":
            if self._source.startswith("\\\n", self._at):
                break
            self._forward(2 if char == "\\" else 1)
        return self._source[start : self._at]


Take = Callable[["_Script", Word, list[Word], int], "Step | None"]


class _Script:
    def __init__(self, notes: list[Finding]) -> None:
        self._notes = notes

    def steps(self, source: str, line: int, depth: int) -> tuple[Step, ...]:
        if depth > DEEPEST:
            self._note("tcl-not-allowed", line)
            return ()
        found = (self._step(words, depth) for words in _Reader(source, line, self._notes).commands())
        return tuple(step for step in found if step is not None)

    def _step(self, words: list[Word], depth: int) -> Step | None:
        name, *arguments = words
        take = COMMANDS.get(name.raw)
        if take is None:
            self._note("tcl-not-allowed", name.line)
            return None
        return take(self, name, arguments, depth)

    def _note(self, code: str, line: int) -> None:
        self._notes.append(finding(code, line))

    def send(self, name: Word, arguments: list[Word], depth: int) -> Step | None:  # noqa: ARG002
        text = self._last(name, arguments, frozenset({"--", "-s", "-h", "-raw"}))
        return None if text is None else Send(name.line, text, newline=False)

    def tell(self, name: Word, arguments: list[Word], depth: int) -> Step | None:  # noqa: ARG002
        text = self._last(name, arguments, frozenset({"--"}))
        return None if text is None else Tell(name.line, text)

    def sleep(self, name: Word, arguments: list[Word], depth: int) -> Step | None:  # noqa: ARG002
        time = self._number(name, arguments[-1:])
        return None if time is None else Sleep(name.line, max(0.0, time))

    def set(self, name: Word, arguments: list[Word], depth: int) -> Step | None:  # noqa: ARG002
        if len(arguments) != 2 or arguments[0].raw != "timeout":
            self._note("tcl-not-allowed", name.line)
            return None
        time = self._number(name, arguments[1:])
        if time is None:
            return None
        return SetTimeout(name.line, Timer.READ, time if 0 <= time <= LONGEST else LONGEST)

    def exit(self, name: Word, arguments: list[Word], depth: int) -> Step | None:  # noqa: ARG002
        status = self._number(name, arguments[-1:]) if arguments else 0.0
        return None if status is None else Exit(name.line, int(status))

    def go_on(self, name: Word, arguments: list[Word], depth: int) -> Step | None:  # noqa: ARG002
        return Continue(name.line)

    def close(self, name: Word, arguments: list[Word], depth: int) -> Step | None:  # noqa: ARG002
        return End(name.line)

    def nothing(self, name: Word, arguments: list[Word], depth: int) -> Step | None:  # noqa: ARG002
        """What has no meaning here: the plug-in spawns, keeps its own log and buffer, and waits by itself."""
        return None

    def expect(self, name: Word, arguments: list[Word], depth: int) -> Step | None:
        words = arguments
        if len(arguments) == 1 and arguments[0].kind is Kind.BRACED and _is_list(arguments[0].raw):
            inside = _Reader(arguments[0].raw, arguments[0].line, self._notes)
            words = [word for command in inside.commands() for word in command]
        found = Expect(name.line, tuple(self._clauses(words, depth)))
        if not found.clauses:
            self._note("missing-argument", name.line)
            return None
        return found

    def _clauses(self, words: list[Word], depth: int) -> Iterator[Clause]:
        place = 0
        while place < len(words):
            flags = []
            while place < len(words) and words[place].kind is Kind.BARE and words[place].raw in FLAGS:
                flags.append(words[place].raw)
                place += 1
                if flags[-1] == "--":
                    break
            if place == len(words):
                self._note("missing-argument", words[-1].line)
                return
            word = words[place]
            body = words[place + 1 : place + 2]
            place += 2
            steps = self.steps(body[0].raw, body[0].line, depth + 1) if body else ()
            if word.kind is Kind.BARE and not flags and word.raw in EVENTS:
                yield Clause(word.line, EVENTS[word.raw], None, steps)
            else:
                yield Clause(word.line, On.MATCH, self._pattern(word, flags), steps)

    def _pattern(self, word: Word, flags: list[str]) -> Pattern:
        if "-ex" in flags or "-exact" in flags:
            return Wildcard((self._text(word),))
        if "-re" in flags or "-regexp" in flags:
            return self._regex(word, "-nocase" in flags)
        self._note_substitution(word)
        return _glob(word, "-nocase" in flags)

    def _regex(self, word: Word, nocase: bool) -> Pattern:
        source = word.raw if word.kind is Kind.BRACED else _unescaped(word.raw)
        pattern, codes = bare_regex(source)
        for code in codes:
            self._note(code, word.line)
        return (
            replace(pattern, flags=pattern.flags | re.IGNORECASE)
            if nocase and isinstance(pattern, Regex)
            else pattern
        )

    def _last(self, name: Word, arguments: list[Word], flags: frozenset[str]) -> Text | None:
        given = [
            word
            for place, word in enumerate(arguments)
            if place + 1 == len(arguments) or word.raw not in flags
        ]
        if len(given) != 1:
            self._note("missing-argument" if not given else "tcl-not-allowed", name.line)
            return None
        return self._text(given[0])

    def _text(self, word: Word) -> Text:
        if word.kind is Kind.BRACED:
            return text_of(word.raw)
        self._note_substitution(word)
        parts = text_of(word.raw)
        return tuple(Literal(_unescaped(part.text)) if isinstance(part, Literal) else part for part in parts)

    def _note_substitution(self, word: Word) -> None:
        if word.kind is not Kind.BRACED and SUBSTITUTION.search(TAG_TEXT.sub("", word.raw)):
            self._note("tcl-substitution", word.line)

    def _number(self, name: Word, arguments: list[Word]) -> float | None:
        if not arguments or not NUMBER.fullmatch(arguments[0].raw):
            self._note("bad-number", name.line)
            return None
        return float(arguments[0].raw)


NUMBER = re.compile(r"-?[0-9]{1,6}(?:\.[0-9]{1,3})?")
TAG_TEXT = re.compile(r"\[#[A-Za-z0-9_]+#\]")
SUBSTITUTION = re.compile(r"(?<!\\)(?:\\\\)*(?:\$[A-Za-z_{(:]|\[[A-Za-z_])")
FLAGS: Final = frozenset({"-gl", "-glob", "-re", "-regexp", "-ex", "-exact", "-nocase", "--"})
EVENTS: Final = {"timeout": On.TIMEOUT, "eof": On.EOF, "default": On.DEFAULT, "full_buffer": On.TIMEOUT}
COMMANDS: Final[Mapping[str, Take]] = {
    "send": _Script.send,
    "exp_send": _Script.send,
    "send_user": _Script.tell,
    "send_log": _Script.tell,
    "sleep": _Script.sleep,
    "set": _Script.set,
    "exit": _Script.exit,
    "expect": _Script.expect,
    "exp_continue": _Script.go_on,
    "close": _Script.close,
    "wait": _Script.nothing,
    "log_user": _Script.nothing,
    "match_max": _Script.nothing,
}


def _is_list(raw: str) -> bool:
    """expect(1) takes a single braced argument for clauses if it spans lines or holds more than one word."""
    return "\n" in raw or bool(re.search(r"\S\s+\S", raw.strip())) or raw.strip() in EVENTS


ESCAPED = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|([0-7]{1,3})|\n[ \t]*|(.))", re.DOTALL)
LETTERS: Final = {"r": "\r", "n": "\n", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def _unescaped(raw: str) -> str:
    return ESCAPED.sub(_character, raw)


def _character(match: re.Match[str]) -> str:
    if code := match[1] or match[2]:
        return SURROGATE.sub("\ufffd", chr(int(code, 16)))
    if match[3]:
        return chr(int(match[3], 8))
    return LETTERS.get(match[4], match[4]) if match[4] else " "


def _glob(word: Word, nocase: bool) -> Pattern:
    """A glob as expect(1) searches for it: `*`, `?`, and in braces `[…]`; the line's end is no anchor here.

    In quotes a bracket is plain text: unescaped it would be a command, escaped nobody means a class.
    """
    units = list(_units(word))
    if not nocase and all(isinstance(unit, Tag | Literal) or unit == "*" for unit in units):
        return _wildcard(units)
    free = free_characters(word.raw)
    marks: list[tuple[str, Tag]] = []
    segments = [""]
    for unit in units:
        if isinstance(unit, Tag):
            marks.append((next(free), unit))
            segments[-1] += marks[-1][0]
        elif isinstance(unit, Literal):
            segments[-1] += re.escape(unit.text)
        elif unit == "*":
            segments.append("")
        else:
            segments[-1] += "." if unit == "?" else unit
    # Atomic groups: the earliest place of each segment is as good as any, so nothing is ever tried again.
    pattern = segments[0] + "".join(f"(?>.*?{segment})" for segment in segments[1:] if segment)
    return Regex(text_of(word.raw), pattern, re.DOTALL | (re.IGNORECASE if nocase else 0), tuple(marks))


def _wildcard(units: list[Literal | Tag | str]) -> Wildcard:
    pieces: list[list[Literal | Tag]] = [[]]
    for unit in units:
        if isinstance(unit, str):
            pieces.append([])
        else:
            pieces[-1].append(unit)
    kept = tuple(tuple(piece) for piece in pieces if piece)
    return Wildcard(kept if kept or len(pieces) > 1 else ((),))


def _units(word: Word) -> Iterator[Literal | Tag | str]:
    """Literals, tags, and as plain strings `*`, `?` and classes in Python's words."""
    for part in text_of(word.raw):
        if isinstance(part, Tag):
            yield part
            continue
        text, at = part.text, 0
        while at < len(text):
            escaped = ESCAPED.match(text, at)
            if escaped and escaped[0] == "\\\\" and word.kind is Kind.QUOTED and at + 2 < len(text):
                # What Tcl leaves of two backslashes escapes the next character for the glob.
                following = ESCAPED.match(text, at + 2)
                yield Literal(_character(following) if following else text[at + 2])
                at = following.end() if following else at + 3
            elif escaped:
                yield Literal(escaped[0][1:] if word.kind is Kind.BRACED else _character(escaped))
                at = escaped.end()
            elif text[at] in "*?":
                yield text[at]
                at += 1
            elif (of_class := CLASS.match(text, at)) and word.kind is Kind.BRACED:
                yield "[" + re.sub(r"([\\^\[&~|])", r"\\\1", of_class[1]).replace("--", "-\\-") + "]"
                at = of_class.end()
            else:
                yield Literal(text[at])
                at += 1


CLASS = re.compile(r"\[([^\]\\]{1,100})\]")
