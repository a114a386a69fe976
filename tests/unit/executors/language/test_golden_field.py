"""Templates in the field's style in tests/golden/field; beside each, written by hand, what must happen.

`NAME.lines`: for terminals the dialogue, `< ` what the device says, `> ` the line that it must hear, `>> `
the bytes; for other executors `> ` one step each with its texts. A line feed, return, tab and backslash are
escaped. The parse is consulted for neither.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from executors.contract import Outcome, Transcript, Values, join
from executors.language.dialect import TERMINALS
from executors.language.encoders import ENCODERS
from executors.language.findings import Status
from executors.language.parsing import Parsed, parse
from executors.language.steps import Step, walk
from executors.language.tags import KNOWN
from executors.language.tree import place_of
from executors.terminal.conversation import converse
from tests.unit.executors.language.played import Hears, PlayedTerminal, Says, Turn, values

FIELD = Path(__file__).parents[3] / "golden" / "field"
CASES = sorted(path for path in FIELD.rglob("*") if path.is_file() and path.suffix != ".lines")
TERMINAL_CASES = [path for path in CASES if "\n< " in "\n" + path.with_name(path.name + ".lines").read_text()]
OTHER_CASES = [path for path in CASES if path not in TERMINAL_CASES]
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}
TAG = re.compile(r"\[#([A-Za-z0-9_]+)#\]")
HOSTILE = [
    "plain9",
    "st*r",
    'quo"te',
    "o'brien",
    "#comment",
    "[#NEW_PASSWORD#]",
    "$HOME `id` $(id)",
    "back\\slash\\",
    "a b  c",
    "*",
    "[nl]",
    ".*+?()[]{}|^$",
    "zażółć 🔐",
    "ends#",
    "%d%s",
    ";drop",
    "[$#>]",
]


def parsed(path: Path) -> Parsed:
    place = place_of(path)
    assert place.executor
    assert place.action
    return parse(path.read_bytes(), place.executor, place.action, place.name)


def lines_of(path: Path) -> list[tuple[str, str]]:
    """(sign, text with escapes undone) of each line."""
    found = []
    for line in path.with_name(path.name + ".lines").read_text().split("\n"):
        if line:
            sign, _, text = line.partition(" ")
            found.append((sign, re.sub(r"\\([nrt\\])", lambda match: ESCAPES[match[1]], text)))
    return found


def written(text: str, given: Values) -> str:
    names = {"COE_SENHA": "AUTH_PASSWORD"}
    return TAG.sub(lambda match: given[names.get(match[1], match[1])].reveal(), text)


def turns_of(path: Path, given: Values, *, echo: bool) -> list[Turn]:
    mode = re.search(r'set-new-line-mode "?(\w+)', path.read_text())
    new_line = {"windows": "\r\n", "mac": "\r"}.get(mode[1] if mode else "", "\n")
    turns: list[Turn] = []
    for sign, text in lines_of(path):
        said = written(text, given)
        if sign == "<":
            turns.append(Says(said.replace("\n", "\r\n").encode()))
        else:
            typed = said if sign == ">>" else said + new_line
            shown = re.sub(r"[\r\n]+\Z", "\r\n", typed).encode()
            turns.append(Hears(typed.encode(), shown if echo else b""))
    return turns


def all_values(secret: str) -> Values:
    names = dict.fromkeys(KNOWN, "x")
    names |= {"USERNAME": "someone", "AUTH_USER": "admin", "HOSTNAME": "host1", "IP": "192.0.2.1"}
    names |= {"NEW_PASSWORD": secret, "CURRENT_PASSWORD": "old" + secret, "AUTH_PASSWORD": secret + "auth"}
    return values(**names)


@pytest.mark.parametrize("echo", [False, True], ids=["silent", "echoing"])
@pytest.mark.parametrize("chunk", [65536, 1], ids=["whole", "bytewise"])
@pytest.mark.parametrize("path", TERMINAL_CASES, ids=lambda path: path.name)
def test_the_device_hears_the_lines_written_by_hand(path: Path, chunk: int, echo: bool) -> None:
    program = parsed(path)
    assert program.dialect in TERMINALS
    for secret in HOSTILE:
        given = all_values(secret)
        terminal = PlayedTerminal(turns_of(path, given, echo=echo), chunk)
        report = converse(terminal, program.steps, given, Transcript(), terminal.clock)
        heard = b"".join(turn.data for turn in turns_of(path, given, echo=echo) if isinstance(turn, Hears))
        assert (secret, terminal.heard) == (secret, heard), report
        assert report.outcome is Outcome.OK, report


@pytest.mark.parametrize("path", OTHER_CASES, ids=lambda path: path.name)
def test_the_steps_are_those_written_by_hand(path: Path) -> None:
    program = parsed(path)
    for secret in ("plain9", "a b*c", "[#NEW_PASSWORD#]", "zażółć"):
        given = all_values(secret)
        steps = [" ".join([type(step).__name__.lower(), *wires(step, given)]) for step in walk(program.steps)]
        expected = [written(text, given) for _, text in lines_of(path)]
        assert [step.rstrip(" ") for step in steps] == [line.rstrip(" ") for line in expected]


def wires(step: Step, given: Values) -> list[str]:
    return [join(text, given, ENCODERS, "line").wire.reveal() for text in step.texts]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_every_template_loads(path: Path) -> None:
    program = parsed(path)
    assert program.status is not Status.ERROR, program.findings
    assert program.steps
