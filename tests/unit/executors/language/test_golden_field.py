"""The templates of the field against dialogues and steps written by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from executors.contract import Outcome, TemplateError, Transcript, Values, join
from executors.language.dialect import TERMINALS
from executors.language.encoders import ENCODERS
from executors.language.findings import Status
from executors.language.steps import Step, walk
from executors.terminal.conversation import converse
from tests.unit.executors.language.field import (
    CASES,
    HOSTILE,
    OTHER_CASES,
    TERMINAL_CASES,
    all_values,
    heard_by_hand,
    lines_of,
    new_line_of,
    parsed,
    written,
)
from tests.unit.executors.language.played import Hears, PlayedTerminal, Says, Turn

KNOWN_BROKEN = {"Linux - Remove and look for the name"}
"""Their check always fails, by the documented meaning of a search."""
TAKE_LETTERS_ONLY = {"Cluster - Bare word"}
"""Their secret stands bare in a statement, which can carry little."""


def turns_of(path: Path, given: Values, *, echo: bool) -> list[Turn]:
    end = new_line_of(path)
    turns: list[Turn] = []
    for sign, text in lines_of(path):
        said = written(text, given)
        if sign == "<":
            turns.append(Says(said.replace("\n", "\r\n").encode()))
        else:
            typed = said if sign == ">>" else said + end
            shown = re.sub(r"[\r\n]+\Z", "\r\n", typed).encode()
            turns.append(Hears(typed.encode(), shown if echo else b""))
    return turns


@pytest.mark.parametrize("echo", [False, True], ids=["silent", "echoing"])
@pytest.mark.parametrize("chunk", [65536, 1], ids=["whole", "bytewise"])
@pytest.mark.parametrize("path", TERMINAL_CASES, ids=lambda path: path.name)
def test_the_device_hears_the_lines_written_by_hand(path: Path, chunk: int, echo: bool) -> None:
    program = parsed(path)
    assert program.dialect in TERMINALS
    for hostile in HOSTILE[echo :: 6 if chunk == 1 else 2]:
        given = all_values(hostile)
        terminal = PlayedTerminal(turns_of(path, given, echo=echo), chunk)
        report = converse(terminal, program.steps, given, Transcript(), terminal.clock)
        assert (hostile, terminal.heard) == (hostile, heard_by_hand(path, given)), report
        broken = path.name in KNOWN_BROKEN
        assert report.outcome is (Outcome.SCRIPT_MISMATCH if broken else Outcome.OK), report


@pytest.mark.parametrize("path", OTHER_CASES, ids=lambda path: path.name)
def test_the_steps_are_those_written_by_hand(path: Path) -> None:
    program = parsed(path)
    for secret in ("plain9", "a b*c", "[#NEW_PASSWORD#]", "zażółć"):
        given = {**all_values("v1"), "NEW_PASSWORD": all_values(secret)["NEW_PASSWORD"]}
        if path.name in TAKE_LETTERS_ONLY and not (secret.isascii() and secret.isalnum()):
            with pytest.raises(TemplateError, match="cannot stand here"):
                list(shown(program.steps, given))
            continue
        expected = [written(text, given) for _, text in lines_of(path)]
        assert shown(program.steps, given) == [line.rstrip(" ") for line in expected]


def shown(steps: tuple[Step, ...], given: Values) -> list[str]:
    return [" ".join([type(step).__name__.lower(), *wires(step, given)]).rstrip(" ") for step in walk(steps)]


def wires(step: Step, given: Values) -> list[str]:
    return [join(text, given, ENCODERS, "line").wire.reveal() for text in step.texts]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_every_template_loads(path: Path) -> None:
    program = parsed(path)
    assert program.status is not Status.ERROR, program.findings
    assert program.steps
