"""Takes secrets out of text, in every encoding that a target, a shell or a serialiser may have put them in.

Two ways are combined. Encodings that are one function of the secret (base64, hex, UTF-16) are derived from
it once and looked for. Escapings that leave the choice to the escaper (percent, backslash, entities,
doubled quotes) are undone in a copy of the text, and the secret is looked for there. Either way a find is
mapped back to where it stands in the original. The text is first joined over line ends, terminal control
sequences and NULs, so wraps hide nothing. Time is linear in the text.
"""

from __future__ import annotations

import html
import re
import string
from base64 import b64encode
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, NoReturn

from executors.contract.parts import MASK
from executors.contract.secret import Secret, SecretMisuse

SHORTEST = 6
"""Secrets with fewer characters would be found everywhere and betrayed by the mask: their whole line goes."""

SHORTEST_ENCODED = 4
"""Encoded forms are looked for from this length on; control characters in them do not count."""

START = 3
"""Characters of a needle that are looked up before it is looked for."""

NESTED = 2
"""How often an escaping is undone: JSON in JSON is common."""

WITHHELD = "[withheld: this text could not be redacted]"

CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
TERMINAL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # control sequences, ECMA-48 5.4
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[PX^_][^\x1b]*\x1b\\"  # control strings, 5.6; titles end in BEL
    r"|\x1b[ -/]*[0-~]"
    r"| \r(?!\n)"  # how readline wraps at the right margin
    r"|[\x00-\x1a\x1c-\x1f\x7f]+|\x1b"
)
PERCENT = re.compile(
    r"%[0-7][0-9A-Fa-f]|%[C-Fc-f][0-9A-Fa-f](?:%[89ABab][0-9A-Fa-f]){1,3}|%[uU][0-9A-Fa-f]{4}|%[89A-Fa-f][0-9A-Fa-f]"
)
ENTITY = re.compile(r"&(?:#[0-9]{1,8}|#[xX][0-9A-Fa-f]{1,7}|[A-Za-z][A-Za-z0-9]{1,31});")
BACKSLASH = re.compile(
    r"\\(?:u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|u\{[0-9A-Fa-f]{1,6}\}|U[0-9A-Fa-f]{8}"
    r"|x[0-9A-Fa-f]{2}|[0-3][0-7]{2}|.)",
    re.DOTALL,
)
BACKSLASH_ANY = re.compile(r"\\(.)", re.DOTALL)
QUOTES = re.compile(r"""'\\''|'"'"'|''|\"\"""")
BACKTICK = re.compile(r"`(.)", re.DOTALL)
CARET = re.compile(r"\^(.)", re.DOTALL)
CONTROL_LETTERS = "abefnrtv0"
BASE64 = frozenset(string.ascii_letters + string.digits + "+/-_")
URL_SAFE = str.maketrans("+/", "-_")


class Needle(NamedTuple):
    """One form to look for. `before`, `after`: the neighbour carries some of its bits (base64)."""

    text: str
    before: bool = False
    after: bool = False
    whole_line: bool = False

    def extent(self, text: str, start: int) -> tuple[int, int]:
        """What to mask for an occurrence at `start`."""
        end = start + len(self.text)
        before = self.before and text[start - 1 : start] in BASE64 and start > 0
        return start - before, end + (self.after and text[end : end + 1] in BASE64 and end < len(text))


class Needles:
    """All needles, and those that a text can hold at all: the secrets of a batch make thousands."""

    __slots__ = ("_by_start", "_shorter", "all")

    def __init__(self, needles: Iterable[Needle]) -> None:
        self.all = tuple(needles)
        self._by_start: dict[str, list[Needle]] = {}
        for needle in self.all:
            self._by_start.setdefault(needle.text[:START], []).append(needle)
        self._shorter = [needle for needle in self.all if len(needle.text) < START]

    def possible(self, text: str) -> Sequence[Needle]:
        if len(text) > len(self.all):  # then to look for each costs less than to look at each place
            return self.all
        starts = {text[place : place + START] for place in range(len(text) - START + 1)}
        found = [needle for start in starts & self._by_start.keys() for needle in self._by_start[start]]
        return [*found, *self._shorter]


class Redactor:
    """Masks the secrets given. Holds them in memory; cannot be pickled."""

    __slots__ = ("_form_needles", "_needles")

    def __init__(self, secrets: Iterable[Secret], beside: Redactor | None = None) -> None:
        """Masks what `beside` masks too; what that has derived of its secrets is not derived again."""
        found = {needle for secret in secrets for needle in _needles(secret.reveal()) if needle.text}
        if beside is not None:
            found.update(beside._needles.all)
        self._needles: Needles = Needles(found)
        self._form_needles = Needles(
            needle._replace(text=needle.text.replace("+", " ")) if "+" in needle.text else needle
            for needle in found
        )

    def redact(self, text: str) -> str:
        """The text with every form of every secret replaced by the mask. Never raises: withheld then."""
        if not self._needles.all:
            return text
        try:
            return _masked(text, self._spans(text))
        except Exception:  # noqa: BLE001 - fail closed, whatever went wrong: unredacted text must not go on
            return WITHHELD

    def __reduce__(self) -> NoReturn:
        raise SecretMisuse("a redactor holds secrets and was about to be pickled or copied")

    def _spans(self, text: str) -> list[tuple[int, int]]:
        spans: list[tuple[int, int]] = []
        for view, is_form in _views(text):
            needles = self._form_needles if is_form else self._needles
            for needle in needles.possible(view.text):
                for start in _occurrences(view.text, needle.text):
                    begin, end = view.origin(*needle.extent(view.text, start))
                    if not needle.whole_line:
                        spans.append((begin, end))
                    elif not spans or not spans[-1][0] <= begin <= end <= spans[-1][1]:
                        spans.append(_whole_lines(text, begin, end))
        return spans


def _occurrences(text: str, wanted: str) -> Iterator[int]:
    start = text.find(wanted)
    while start >= 0:
        yield start
        start = text.find(wanted, start + 1)  # overlapping ones too: their tails are the secret's


def _whole_lines(text: str, start: int, end: int) -> tuple[int, int]:
    following = text.find("\n", end - 1)
    return text.rfind("\n", 0, start) + 1, len(text) if following < 0 else max(following, end)


def _masked(text: str, spans: list[tuple[int, int]]) -> str:
    pieces: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if start > done or not pieces:
            pieces += [text[done:start], MASK]
        done = max(done, end)
    return "".join([*pieces, text[done:]])


Rewrite = Callable[[re.Match[str]], str]


class View:
    """A rewritten copy of a text that knows where each of its characters came from."""

    __slots__ = ("_ends", "_origins", "_parent", "_starts", "text")

    def __init__(self, text: str, rule: re.Pattern[str], rewrite: Rewrite, parent: View | None) -> None:
        self._parent = parent
        self._starts: list[int] = []  # of each segment, in this view
        self._origins: list[int] = []  # where it starts in the parent
        self._ends: list[int] = []  # where it ends there, if rewritten; -1 if copied
        pieces: list[str] = []
        length = done = 0
        for match in rule.finditer(text):
            start, end = match.span()
            for piece, origin, until in ((text[done:start], done, -1), (rewrite(match), start, end)):
                if piece:
                    pieces.append(piece)
                    self._starts.append(length)
                    self._origins.append(origin)
                    self._ends.append(until)
                    length += len(piece)
            done = end
        self._starts.append(length)
        self._origins.append(done)
        self._ends.append(-1)
        pieces.append(text[done:])
        self.text = "".join(pieces)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The stretch of the original text that [start, end) of this view stands for."""
        first, last = bisect_right(self._starts, start) - 1, bisect_right(self._starts, end - 1) - 1
        begin = self._origins[first] + (start - self._starts[first] if self._ends[first] < 0 else 0)
        stop = self._ends[last] if self._ends[last] >= 0 else self._origins[last] + end - self._starts[last]
        return (begin, stop) if self._parent is None else self._parent.origin(begin, stop)


def _views(text: str) -> Iterator[tuple[View, bool]]:
    """The text joined over wraps, then with each escaping undone; the flag marks where '+' is a space."""
    joined = [View(text, CONTROLS, _nothing, None)]
    if "\x1b" in text or " \r" in text:
        # Both ways: what looks like a control sequence may be the start of a secret.
        joined.append(View(text, TERMINAL, _nothing, None))
    for view in joined:
        yield view, False
        for rule, rewrite in UNESCAPES:
            inner = view
            for _ in range(NESTED):
                if rule.search(inner.text):
                    inner = View(inner.text, rule, rewrite, inner)
                    yield inner, False
        form = view
        for _ in range(NESTED):
            if "%" in form.text or (form is view and "+" in form.text):
                form = View(form.text, PERCENT, _unpercent, form)
                form.text = form.text.replace("+", " ")
                yield form, True


def _nothing(_: re.Match[str]) -> str:
    return ""


def _unpercent(match: re.Match[str]) -> str:
    digits = match[0]
    if digits[1] in "uU":
        return _visible(chr(int(digits[2:], 16)))
    data = bytes.fromhex(digits.replace("%", ""))
    return _visible(data.decode("utf-8") if _is_utf8(data) else data.decode("latin-1"))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _unentity(match: re.Match[str]) -> str:
    return _visible(html.unescape(match[0]))


def _unbackslash(match: re.Match[str]) -> str:
    body = match[0][1:]
    if len(body) == 1:
        return "" if body in CONTROL_LETTERS else _visible(body)
    if len(body) == 11:  # two halves of a pair
        return bytes.fromhex(body[1:5] + body[7:]).decode("utf-16-be")
    code = int(body.strip("uUx{}"), 16) if body[0] in "uUx" else int(body, 8)
    return _visible(chr(code)) if code < 0x110000 else ""


def _quote(match: re.Match[str]) -> str:
    return match[0][0]


def _escaped(match: re.Match[str]) -> str:
    return match[1]


def _visible(text: str) -> str:
    """As in the joined text: without control characters."""
    return text if text.isprintable() else CONTROLS.sub("", text)


UNESCAPES: Sequence[tuple[re.Pattern[str], Rewrite]] = (
    (BACKSLASH_ANY, _escaped),  # escapers that know no letters
    (BACKSLASH, _unbackslash),  # JSON, C, Python, shell, sed, regular expressions, MySQL
    (ENTITY, _unentity),  # XML, HTML
    (QUOTES, _quote),  # SQL, PowerShell, CSV, POSIX single quotes
    (BACKTICK, _escaped),  # PowerShell
    (CARET, _escaped),  # cmd.exe
)


def _needles(secret: str) -> Iterator[Needle]:
    plain = _visible(secret)
    short = len(plain) < SHORTEST
    yield Needle(plain, whole_line=short)
    for needle in _encodings(secret):
        text = _visible(needle.text)
        if len(text) >= SHORTEST_ENCODED:
            yield Needle(text, needle.before, needle.after, whole_line=short)
    lines = [_visible(line) for line in secret.splitlines() if not line.startswith("-----")]
    for part in (*lines, "".join(lines), secret.strip()) if not short else ():
        if len(part) >= SHORTEST:
            yield Needle(_visible(part))


def _encodings(secret: str) -> Iterator[Needle]:
    """What is one function of the secret, and the quotings whose undoing is ambiguous beside other quotes."""
    utf8, utf16 = secret.encode("utf-8", "surrogatepass"), secret.encode("utf-16-le", "surrogatepass")
    for data in (utf8, utf16):
        for charset in ("latin-1", "ascii", "utf-8"):  # shown by somebody who took it for that
            yield Needle(data.decode(charset, "replace"))
        yield from _base64(data)
        for separator in ("", " ", ":", "-"):
            yield Needle(data.hex(separator) if separator else data.hex())
            yield Needle((data.hex(separator) if separator else data.hex()).upper())
    yield Needle(secret.encode("ascii", "replace").decode("ascii"))
    for quoted in ("'\\''", "'\"'\"'", "''"):
        yield Needle(secret.replace("'", quoted))


def _base64(data: bytes) -> Iterator[Needle]:
    """RFC 4648 sections 4 and 5, at the three places of a group of three bytes where a secret can start."""
    for offset in range(3):
        encoded = b64encode(bytes(offset) + data).decode("ascii").rstrip("=")
        first = -(-offset * 8 // 6)  # characters before it hold bits of what stands in front
        last = (offset + len(data)) * 8 // 6  # characters from it on hold bits of what follows
        for text in {encoded, encoded.translate(URL_SAFE)}:
            yield Needle(text[first:last], before=offset > 0, after=(offset + len(data)) % 3 > 0)
