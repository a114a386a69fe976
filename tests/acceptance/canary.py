"""The search for leaks: eight consecutive characters of a secret, in any encoding, in any place.

Looking for pieces and not for whole secrets finds what was truncated, wrapped or escaped in the middle.
Nothing here is shared with the product's redactor: it has its own table of encodings.
"""

from __future__ import annotations

import contextlib
import html
import json
import os
import re
import secrets as randomness
import string
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

PIECE = 8  # characters
WORD = 8  # bytes of one number of a memoryview cast to "Q"
SHORTEST_FORM = 5  # bytes; what is shorter would be found by chance
PERIOD = 0.006  # seconds between two looks at the processes
LARGEST = 16 * 1024 * 1024  # bytes of a file that is looked through

BASE32 = string.ascii_uppercase + "234567"
BASE64 = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
BASE64_URL = BASE64[:-2] + "-_"

SPECIAL = "é'\"&<%+ \\ж"
"""In imported canaries: each of these has an escape of its own in some serialiser or shell."""


def canary(special: str = SPECIAL) -> str:
    """A secret that nothing else holds: plain characters, and among them each of `special`."""
    return _random(10) + "".join(char + _random(1) for char in special) + _random(10)


def _random(length: int) -> str:
    return "".join(randomness.choice(string.ascii_letters + string.digits) for _ in range(length))


# Encodings

Encoder = Callable[[str], Iterable[bytes]]


def _each(write: Callable[[str], str]) -> Encoder:
    """Every character is written by itself."""
    return lambda text: ["".join(map(write, text)).encode("utf-8", "surrogatepass")]


def _octets(write: Callable[[int], str], separator: str = "", charset: str = "utf-8") -> Encoder:
    """Every octet is written by itself."""
    return lambda text: [separator.join(map(write, text.encode(charset))).encode()]


def _groups(alphabet: str, charset: str = "utf-8") -> Encoder:
    """Base 32 or 64 (RFC 4648), wherever between the octets before it the secret begins."""
    size = len(alphabet).bit_length() - 1

    def encode(text: str) -> Iterator[bytes]:
        bits = "".join(f"{octet:08b}" for octet in text.encode(charset))
        for shift in range(0, size, 2 if size == 6 else 1):
            whole = range(shift, len(bits) - size + 1, size)
            yield "".join(alphabet[int(bits[start : start + size], 2)] for start in whole).encode()

    return encode


def _unit_escapes(text: str) -> str:
    octets = text.encode("utf-16-be")
    return "".join(f"\\u{octets[at]:02x}{octets[at + 1]:02x}" for at in range(0, len(octets), 2))


def _before(special: str, mark: str) -> Encoder:
    """`mark` before each character of `special`."""
    return _each(lambda char: mark + char if char in special else char)


def _replaced(char: str, by: str) -> Encoder:
    return lambda text: [text.replace(char, by).encode()]


def _charset(name: str) -> Encoder:
    return lambda text: [text.encode(name, "replace")]


PUNCTUATION = string.punctuation + " "

ENCODERS: Mapping[str, Encoder] = {
    "as it is": _charset("utf-8"),
    "UTF-16 little-endian": _charset("utf-16-le"),
    "UTF-16 big-endian": _charset("utf-16-be"),
    "UTF-32 little-endian": _charset("utf-32-le"),
    "UTF-32 big-endian": _charset("utf-32-be"),
    "Latin-1": _charset("latin-1"),
    "ASCII with question marks": _charset("ascii"),
    "UTF-8 taken for Latin-1": lambda text: [text.encode().decode("latin-1").encode()],
    "backwards": lambda text: [text[::-1].encode()],
    "one character a line": lambda text: ["\n".join(text).encode(), "\r\n".join(text).encode()],
    "base64": _groups(BASE64),
    "base64url": _groups(BASE64_URL),
    "base64 of UTF-16": _groups(BASE64, "utf-16-le"),
    "base64url of UTF-16": _groups(BASE64_URL, "utf-16-le"),
    "base32": _groups(BASE32),
    "hex": _octets("{:02x}".format),
    "HEX": _octets("{:02X}".format),
    "hex with spaces": _octets("{:02x}".format, " "),
    "HEX with spaces": _octets("{:02X}".format, " "),
    "hex with colons": _octets("{:02x}".format, ":"),
    "HEX with dashes": _octets("{:02X}".format, "-"),
    "hex of UTF-16": _octets("{:02x}".format, "", "utf-16-le"),
    "HEX of UTF-16": _octets("{:02X}".format, "", "utf-16-le"),
    "numbers": _octets("{:d}".format, ","),
    "numbers with spaces": _octets("{:d}".format, ", "),
    "percent, everything": _octets("%{:02X}".format),
    "percent in lower case, everything": _octets("%{:02x}".format),
    "percent": lambda text: [quote(text, safe="").encode(), quote(text).encode()],
    "percent in lower case": _each(
        lambda char: quote(char, safe="").lower() if char in PUNCTUATION else char
    ),
    "form": lambda text: [quote_plus(text).encode()],
    "quoted-printable": _octets("={:02X}".format),
    "quoted-printable where needed": _octets(
        lambda octet: chr(octet) if octet < 127 and octet != 61 else f"={octet:02X}"
    ),
    "JSON": lambda text: [
        json.dumps(text)[1:-1].encode(),
        json.dumps(text, ensure_ascii=False)[1:-1].encode(),
    ],
    "JSON in JSON": lambda text: [json.dumps(json.dumps(text))[3:-3].encode()],
    "unicode escapes, everything": _each(_unit_escapes),
    "UNICODE escapes, everything": _each(lambda char: _unit_escapes(char).upper().replace("\\U", "\\u")),
    "long unicode escapes": _each(lambda char: f"\\U{ord(char):08x}"),
    "unicode escapes in braces": _each(lambda char: f"\\u{{{ord(char):x}}}"),
    "octet escapes, everything": _octets("\\x{:02x}".format),
    "OCTET escapes, everything": _octets("\\x{:02X}".format),
    "octal escapes, everything": _octets("\\{:03o}".format),
    "repr": lambda text: [
        repr(text)[1:-1].encode(),
        ascii(text)[1:-1].encode(),
        repr(text.encode())[2:-1].encode(),
    ],
    "XML": lambda text: [html.escape(text).encode(), html.escape(text, quote=False).encode()],
    "XML references": _each(lambda char: f"&#{ord(char)};"),
    "XML hex references": _each(lambda char: f"&#x{ord(char):x};"),
    "XML HEX references": _each(lambda char: f"&#x{ord(char):X};"),
    "shell single quotes": _replaced("'", "'\\''"),
    "shell quotes in quotes": _replaced("'", "'\"'\"'"),
    "shell double quotes": _before('"\\$`', "\\"),
    "backslashes": _before(PUNCTUATION, "\\"),
    "regular expression": lambda text: [re.escape(text).encode()],
    "SQL and PowerShell single quotes": _replaced("'", "''"),
    "double quotes doubled": _replaced('"', '""'),
    "backslashes doubled": _replaced("\\", "\\\\"),
    "PowerShell backticks": _before(PUNCTUATION, "`"),
    "cmd carets": _before(PUNCTUATION, "^"),
}


# The search


@dataclass(frozen=True, order=True)
class Found:
    """A leak, without what leaked."""

    secret: str
    place: str
    encoding: str


class Search:
    """For secrets by name. A secret below eight characters is looked for as a whole."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._forms: dict[bytes, tuple[str, str]] = {}  # a form of several encodings has the first one's name
        for name, secret in secrets.items():
            for encoding, form in _forms(secret):
                self._forms.setdefault(form, (name, encoding))
        self._heads: dict[int, list[bytes]] = defaultdict(list)
        self._short = [form for form in self._forms if len(form) < WORD]
        for form in self._forms.keys() - set(self._short):
            self._heads[memoryview(form[:WORD]).cast("Q")[0]].append(form)

    def data(self, data: bytes, place: str) -> set[Found]:
        forms = {form for form in self._short if form in data}
        for offset in range(WORD):
            # Eight octets at a time as one number: the whole costs less than looking for a single form.
            end = offset + (len(data) - offset) // WORD * WORD
            words = memoryview(data)[offset:end].cast("Q") if end > offset else memoryview(b"")
            if not self._heads.keys().isdisjoint(words):
                heads = self._heads.keys() & set(words)
                forms.update(form for head in heads for form in self._heads[head] if form in data)
        return {Found(name, place, encoding) for name, encoding in map(self._forms.__getitem__, forms)}

    def files(self, root: Path, since: float = 0.0, without: Collection[Path] = ()) -> set[Found]:
        """Names and contents of what changed below `root` after `since`, in epoch seconds; not `without`."""
        found: set[Found] = set()
        for path in changed(root, since, without):
            found |= self.data(os.fsencode(path), f"name of {path}")
            found |= self.data(_read(path), str(path))
        return found


def _forms(secret: str) -> Iterator[tuple[str, bytes]]:
    length = min(PIECE, len(secret))
    for start in range(len(secret) - length + 1):
        for encoding, encode in ENCODERS.items():
            for form in encode(secret[start : start + length]):
                if len(form) >= SHORTEST_FORM:
                    yield encoding, form


def changed(root: Path, since: float, without: Collection[Path] = ()) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        here = Path(folder)
        names[:] = [name for name in names if here / name not in without]
        for path in (here / name for name in files):
            with contextlib.suppress(OSError):
                state = path.lstat()
                if (
                    path.is_file()
                    and state.st_ctime >= since
                    and state.st_size <= LARGEST
                    and path not in without
                ):
                    yield path


def _read(path: Path) -> bytes:
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return b""


# What passes by


@dataclass
class Seen:
    """Everything that was recorded, by place; equal contents once."""

    places: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))

    def note(self, place: str, content: bytes) -> None:
        self.places[place].add(content)

    def search(self, search: Search) -> set[Found]:
        pairs = (
            (place, content) for place, contents in list(self.places.items()) for content in list(contents)
        )
        return {found for place, content in pairs for found in search.data(content, place)}


class Watcher:
    """Looks at every process below this one, all the time: its arguments, environment and open files that are
    deleted; and at the files that come and go in `folders`.

    What lives for less than a few milliseconds can escape it.
    """

    def __init__(self, seen: Seen, folders: Collection[Path] = ()) -> None:
        self._seen = seen
        self._folders = folders
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.running: dict[int, bytes] = {}
        self.looks = 0

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def wait_for(self, arguments: bytes, seconds: float) -> bool:
        """Until some process has these arguments, each ended by a NUL."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if arguments in list(self.running.values()):
                return True
            time.sleep(PERIOD / 3)
        return False

    def _run(self) -> None:
        while not self._stop.wait(PERIOD):
            self.running = {pid: self._look(pid) for pid in descendants(os.getpid())}
            for folder in self._folders:
                for path in changed(folder, 0.0):
                    self._seen.note(f"{path} while it was there", _read(path))
            self.looks += 1

    def _look(self, pid: int) -> bytes:
        arguments = _read(Path(f"/proc/{pid}/cmdline"))
        name = arguments.split(b"\0")[0].decode("utf-8", "replace")[:40]
        self._seen.note(f"arguments of {name}", arguments)
        self._seen.note(f"environment of {name}", _read(Path(f"/proc/{pid}/environ")))
        with contextlib.suppress(OSError):
            for descriptor in os.listdir(f"/proc/{pid}/fd"):
                path = f"/proc/{pid}/fd/{descriptor}"
                if os.readlink(path).endswith(" (deleted)"):
                    self._seen.note(f"deleted file of {name}", _read(Path(path)))
        return arguments


def descendants(pid: int) -> Iterator[int]:
    """proc(5): the children of each thread."""
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in _read(Path(f"/proc/{pid}/task/{task}/children")).split():
                yield int(child)
                yield from descendants(int(child))


def core_limits(pid: int) -> tuple[str, str]:
    """Soft and hard limit of core files: proc(5)."""
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith("Max core file size"):
            soft, hard = line.split()[4:6]
            return soft, hard
    raise LookupError("no line about core files")
