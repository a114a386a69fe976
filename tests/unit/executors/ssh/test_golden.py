"""Recorded dialogues in tests/golden/ssh, replayed whole and one byte a read.

A case is a YAML file: `template` (a shipped one) or `body`, `section`, `values` (names ending in
PASSWORD hold secrets), `dialogue` with one list of turns for each command (`says`, `hears`, `end-of-input`,
`silence`, `exit`), and `outcome`, `message` (a part of it), `facts`, `interrupted`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import templates
from engine.templating.header import parse_file
from executors.contract import Outcome, Secret, Section, Transcript, Value, ValueKind, Values
from executors.ssh import grammar
from executors.ssh.dialogue import converse
from executors.ssh.program import SshProgram
from tests.unit.executors.ssh.scripted import Exits, Hears, HearsEnd, Says, ScriptedStream, Silence, Turn

CASES = sorted((Path(__file__).parents[3] / "golden" / "ssh").glob("*.yaml"))
LINUX = Path(templates.__file__).parent / "linux"


def program_of(case: dict[str, Any]) -> SshProgram:
    if "body" in case:
        return grammar.parse(case["body"])
    file = parse_file((LINUX / f"{case['template']}.template").read_bytes(), case["template"])
    return grammar.parse(file.body, file.first_line_of_body)


def values_of(case: dict[str, Any]) -> Values:
    return {
        name: Value(ValueKind.SECRET, Secret(text))
        if name.endswith("PASSWORD")
        else Value(ValueKind.TEXT, text)
        for name, text in case.get("values", {}).items()
    }


def turn_of(turn: dict[str, Any] | str) -> Turn:
    if isinstance(turn, str):
        return HearsEnd() if turn == "end-of-input" else Silence()
    [(kind, said)] = turn.items()
    if kind == "exit":
        return Exits(said)
    return Says(said.encode()) if kind == "says" else Hears(said.encode())


@pytest.mark.parametrize("chunk", [65536, 1], ids=["whole", "bytewise"])
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_recorded_dialogue_goes_as_recorded(path: Path, chunk: int) -> None:
    case = yaml.safe_load(path.read_text())
    values = values_of(case)
    secrets = [value.content for value in values.values() if isinstance(value.content, Secret)]
    transcript = Transcript(secrets)
    scripts = program_of(case).render(Section(case.get("section", "change")), values)
    facts: dict[str, str] = {}
    ended, stream = None, None
    for script, turns in zip(scripts, case["dialogue"], strict=False):
        stream = ScriptedStream([turn_of(turn) for turn in turns], chunk)
        ended = converse(stream, script, transcript, silence=5.0)
        facts |= ended.facts
        if ended.outcome is not Outcome.OK or ended.settled:
            break
    assert ended is not None
    assert stream is not None
    assert (ended.outcome, facts) == (Outcome(case["outcome"]), case.get("facts", {}))
    assert case.get("message", "") in ended.message
    assert stream.interrupted is case.get("interrupted", False)
    assert stream.finished
    for secret in secrets:
        assert secret.reveal() not in transcript.text() + ended.message


def test_there_are_recorded_dialogues() -> None:
    assert len(CASES) >= 15
