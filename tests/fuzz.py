"""Seeded fuzzing of the template language: `.venv/bin/python -m tests.fuzz --count 100000 --seed 1`.

Three claims: no body makes the parser raise; a dialogue sends its values unaltered; every encoder's output,
decoded by rules written here once more, is the value. Failures become files below build/fuzz. The seed is
printed. An alarm ends a part that takes a hundred times as long as it should: something hangs.
"""

from __future__ import annotations

import argparse
import re
import resource
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Final

from executors.contract import COMMON_ENCODERS, Outcome, Transcript
from executors.language import curl, ldap, sql, terminal, x3270
from executors.language.browser import DIRECTIVES as BROWSER
from executors.language.encoders import ENCODERS
from executors.language.parsing import parse
from executors.language.tags import KNOWN
from executors.language.tree import EXECUTORS
from executors.terminal.conversation import converse
from tests.unit.executors.language.played import Hears, PlayedTerminal, Says, Turn, values

SECONDS_A_CASE: Final = 0.1  # on average; a case takes about 1 ms
FAILURES: Final = Path(__file__).parents[1] / "build" / "fuzz"
GOLDEN: Final = Path(__file__).parent / "golden" / "field"
NAMES: Final = sorted(set(EXECUTORS.values()))
TCL: Final = [
    "use ssh script",
    "expect {",
    "}",
    "send --",
    "exp_continue",
    "timeout {",
    "eof",
    "exit 1",
    "set timeout",
]
WINDOWS: Final = ["!unsecure", "!sleep 3", "!change-password", "powershell $x =", "net user", "smbpasswd"]
SQL: Final = ["ALTER USER", "CONN a@b", "EXEC p", "SELECT 1;", "IDENTIFIED BY", "GO"]
PYTHON: Final = ["driver.get(", "self.driver", "By.ID", "import os", "assert", "if True:", "lambda: 0"]
KEYWORDS: Final = sorted(
    {*terminal.ALL, *BROWSER, *ldap.VERBS, *curl.REQUESTS, *curl.FORMS, *x3270.WORDS, *x3270.ACTIONS}
)
WORDS: Final = [*KEYWORDS, *TCL, *WINDOWS, *SQL, *PYTHON]
SCRAPS: Final = [
    *'"\'\\*?[](){}|^$#.+-/~;:,=<>&%!@ \t\r\0\x1b\u201c\u201d\ufeff',
    "[#USERNAME#]", "[#new_password#]", "[[#ADD_INFO#]]", "[#NO|sh#]", "[#", "#]", "[nl]", "/[#$>]/i", "1",
    "(a+)+", "999999999999", "-1", "{99999}", "{1,2}", "(?i)", "(?<n>", "[[:alpha:]]", "\\$", '\\"', "514",
    "\\\\", "é", "\ud800", "🔐", "u(", "password", "abc", "\n", "\r\n", "\\\n",
]  # fmt: skip


def bodies(random: Random) -> Iterator[str | bytes]:
    """Lines of directives and scraps, golden templates bent a little, and plain noise."""
    golden = [
        path.read_text() for path in sorted(GOLDEN.rglob("*")) if path.is_file() and path.suffix != ".lines"
    ]
    while True:
        kind = random.randrange(10)
        if kind == 0:
            yield random.randbytes(random.randrange(200))
        elif kind < 4:
            yield _bent(random, random.choice(golden))
        else:
            yield "\n".join(_line(random) for _ in range(random.randrange(8)))


def _line(random: Random) -> str:
    words = [random.choice(WORDS)] if random.random() < 0.9 else []
    scraps = "".join(random.choice(SCRAPS) for _ in range(random.randrange(10)))
    quoted = f'"{scraps}"' if random.random() < 0.6 else scraps
    return " ".join([*words, quoted])


def _bent(random: Random, text: str) -> str:
    for _ in range(random.randrange(1, 5)):
        place = random.randrange(len(text) + 1)
        length = random.choice((0, 0, 1, 5, 40))
        text = text[:place] + random.choice(SCRAPS) + text[place + length :]
    return text


def parsing(random: Random, count: int, executor: str) -> Iterator[tuple[str | bytes, str]]:
    """Failures: the body and what went wrong."""
    for body in _first(bodies(random), count):
        try:
            parsed = parse(body, executor, "change_secret", "x")
            assert parsed.steps or parsed.findings, "nothing, and no finding"
            assert all(each.message for each in parsed.findings)
            assert parsed.tags <= KNOWN or any(each.code == "unknown-tag" for each in parsed.findings), (
                parsed.tags
            )
            _ = (
                parsed.has_outcome_check,
                parsed.secrets_in_command_lines,
                parsed.script_logs_in,
                parsed.status,
            )
        except Exception as error:  # noqa: BLE001 - whatever is raised is the finding
            yield body, f"{executor}: {error!r}"


def _first(found: Iterator[str | bytes], count: int) -> Iterator[str | bytes]:
    for _, each in zip(range(count), found, strict=False):
        yield each


# Dialogues: the generator knows what must be heard; the parse is not asked.

LETTERS: Final = [
    *"abcXYZ 019\"'\\*?[](){}|^$#.+-/~;:,=<>&%!@_",
    "é",
    "ł",
    "🔐",
    "[#USERNAME#]",
    "[nl]",
    "\u3000",
    "Q1 a x:",  # looks like a question of the dialogues below
    "noise",
]


def value(random: Random) -> str:
    return "".join(random.choice(LETTERS) for _ in range(random.randrange(1, 24)))


def dialogues(random: Random, count: int) -> Iterator[tuple[str, str]]:
    """Failures: the body and what was heard."""
    for _ in range(count):
        given = {"USERNAME": value(random), "NEW_PASSWORD": value(random)}
        body, turns, expected = _dialogue(random, given)
        device = PlayedTerminal(turns, random.choice((1, 2, 7, 65536)))
        try:
            steps = parse(body, "ssh", "change_secret").steps
            report = converse(device, steps, values(**given), Transcript(), device.clock)
            assert device.heard == expected, (device.heard, expected, given)
            assert report.outcome is Outcome.OK, (report, given)
        except Exception as error:  # noqa: BLE001 - whatever is raised is the finding
            yield body, repr(error)


def _dialogue(random: Random, given: dict[str, str]) -> tuple[str, list[Turn], bytes]:
    lines: list[str] = []
    turns: list[Turn] = []
    expected = b""
    for number in range(random.randrange(1, 6)):
        name = random.choice(("USERNAME", "NEW_PASSWORD"))
        asked = f"Q{number} {random.choice('abc')}"
        lines.append(f'expect "*{asked}*:"' if random.random() < 0.5 else f'expect "{asked} x:"')
        turns.append(Says(f"noise\r\n{asked} x:".encode() + random.choice((b"", b" ", b"\x1b[0m "))))
        before = random.choice(("", "set password ", '\\"', "\\\\"))
        after = random.choice(("", " ok", '\\"'))
        lines.append(f'exec "{before}[#{name}#]{after}"')
        undone = {'\\"': '"', "\\\\": "\\"}
        heard = (undone.get(before, before) + given[name] + undone.get(after, after) + "\n").encode()
        turns.append(Hears(heard, random.choice((b"", heard.replace(b"\n", b"\r\n")))))
        expected += heard
    return "\n".join(lines), turns, expected


# Encoders


def _un_name(text: str) -> str:
    """RFC 4514 2.4, the other way round."""
    return re.sub(r"\\([0-9a-fA-F]{2}|.)", lambda m: chr(int(m[1], 16)) if len(m[1]) == 2 else m[1], text)


def _un_filter(text: str) -> str:
    assert not re.search(r"[*()\0]", text)
    return re.sub(r"\\([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), text)


def _between(quote: str, *, backslash: bool = False) -> Callable[[str], str]:
    """Read a quoted text up to its end as the product does; nothing may be left behind it."""

    def read(text: str) -> str:
        found, at = "", 0
        while at < len(text):
            if backslash and text[at] == "\\":
                found, at = found + text[at + 1], at + 2
            elif text[at] == quote:
                assert text[at + 1] == quote, "the quotes end early"
                found, at = found + quote, at + 2
            else:
                found, at = found + text[at], at + 1
        return found

    return read


def _word(text: str) -> str:
    [word] = shlex.split(text)
    return word


def _same(text: str) -> str:
    return text


DECODERS: Final[dict[str, Callable[[str], str]]] = {
    "line": _same,
    "raw": _same,
    "sh": _word,
    sql.Quotes.BARE: _same,
    sql.Quotes.STRING: _between("'"),
    sql.Quotes.STRING_WITH_BACKSLASH: _between("'", backslash=True),
    sql.Quotes.NAME: _between('"'),
    sql.Quotes.BACKQUOTED: _between("`"),
    sql.Quotes.BRACKETED: _between("]"),
    "ldap-name": _un_name,
    "ldap-filter": _un_filter,
}


def encoders(random: Random, count: int) -> Iterator[tuple[str, str]]:
    assert DECODERS.keys() == ENCODERS.keys() >= COMMON_ENCODERS.keys()
    for name, decode in DECODERS.items():
        for _ in range(count):
            given = value(random)
            try:
                encoded = ENCODERS[name](given)
            except ValueError:
                continue  # refused, which is not altered
            try:
                assert decode(encoded) == given
            except Exception as error:  # noqa: BLE001 - whatever is raised is the finding
                yield given, f"{name}: {encoded!r} {error!r}"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--count", type=int, default=100_000, help="of bodies per executor, and values per encoder"
    )
    options.add_argument("--seed", type=int, default=int(time.time()))
    given = options.parse_args()
    print(f"seed {given.seed}, {given.count} each")
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    failures = 0
    for name, found in _parts(Random(given.seed), given.count):
        begun = time.monotonic()
        signal.alarm(60 + int(given.count * SECONDS_A_CASE))
        failed = [_keep(given.seed, body, why) for body, why in found]
        failures += len(failed)
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"{name:<16} {len(failed)} failed, {time.monotonic() - begun:.0f} s, at most {megabytes} MiB",
            flush=True,
        )
    return 1 if failures else 0


def _parts(random: Random, count: int) -> Iterator[tuple[str, Iterator[tuple[str | bytes, str]]]]:
    for executor in NAMES:
        yield executor, parsing(random, count, executor)
    yield "dialogues", dialogues(random, count)
    yield "encoders", encoders(random, count)


def _keep(seed: int, body: str | bytes, why: str) -> Path:
    FAILURES.mkdir(parents=True, exist_ok=True)
    path = FAILURES / f"{seed}-{len(list(FAILURES.iterdir()))}"
    path.write_text(f"{why}\n{body!r}\n")
    print(f"{path}: {why[:300]}")
    return path


if __name__ == "__main__":
    sys.exit(main())
