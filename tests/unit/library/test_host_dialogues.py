"""The recorded dialogues of Unix hosts and appliances in tests/golden/native: each goes as recorded, with
other values than it was recorded with, down to one byte a read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

import templates
from engine.cli.template_bench import bench
from executors.contract import Outcome

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "native"
FOLDERS: Final = (
    "alpine",
    "aix",
    "solaris",
    "bsd",
    "f5",
    "fortinet",
    "paloalto",
    "checkpoint",
    "hpe",
    "dell",
)
LIBRARY: Final = Path(templates.__file__).parent
TEMPLATES: Final = sorted(file for folder in FOLDERS for file in (LIBRARY / folder).glob("*.template"))
ENDS: Final = {
    "changed": Outcome.OK,
    "changed-with-blank-lines": Outcome.OK,
    "expired": Outcome.OK,
    "too-short": Outcome.REFUSED_BY_POLICY,
    "used-before": Outcome.TOO_SOON,
    "wrong-old-password": Outcome.BAD_LOGIN,
    "account-missing": Outcome.ACCOUNT_MISSING,
    "locked": Outcome.ACCOUNT_DISABLED,
    "held-by-another": Outcome.UNKNOWN,
}
CASES: Final = [
    pytest.param(file, dialogue, id=f"{file.stem}-{dialogue.stem}")
    for file in TEMPLATES
    for dialogue in sorted((GOLDEN / file.stem).glob("*.dialogue"))
]


@pytest.mark.parametrize(("file", "dialogue"), CASES)
def test_a_recorded_dialogue_goes_as_recorded(file: Path, dialogue: Path) -> None:
    ways = list(bench(file, dialogue))
    assert [way for way in ways if not way["good"]] == []
    assert {way["outcome"] for way in ways if way["secrets"] == "plain"} == {ENDS[dialogue.stem]}
    assert {way["reads"] for way in ways} == {"one byte", "whole"}


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.stem)
def test_every_template_has_a_dialogue_of_success_and_one_of_refusal(file: Path) -> None:
    cases = {path.stem for path in (GOLDEN / file.stem).glob("*.dialogue")}
    assert "changed" in cases
    assert cases & {name for name, outcome in ENDS.items() if outcome is not Outcome.OK}


def test_no_dialogue_is_without_its_template() -> None:
    names = {path.stem for path in LIBRARY.rglob("*.template")}
    assert {path.name for path in GOLDEN.iterdir()} <= names
