"""The recorded dialogues of network devices in tests/golden/native: each goes as recorded, with other values
than it was recorded with, down to one byte a read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

import templates
from engine.cli.template_bench import bench
from executors.contract import Outcome
from tests.unit.library.network import WAYS

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "native"
FILES: Final = {file.stem: file for file in Path(templates.__file__).parent.rglob("*.template")}
ENDS: Final = {
    "changed": Outcome.OK,
    "expired": Outcome.OK,
    "too-short": Outcome.REFUSED_BY_POLICY,
    "used-before": Outcome.TOO_SOON,
    "wrong-old-password": Outcome.BAD_LOGIN,
    "account-missing": Outcome.ACCOUNT_MISSING,
    "held-by-another": Outcome.UNKNOWN,
}
CASES: Final = [
    pytest.param(way.template, dialogue, id=f"{way.template}-{dialogue.stem}")
    for way in WAYS
    for dialogue in sorted((GOLDEN / way.template).glob("*.dialogue"))
]


@pytest.mark.parametrize(("template", "dialogue"), CASES)
def test_a_recorded_dialogue_goes_as_recorded(template: str, dialogue: Path) -> None:
    ways = [way for way in bench(FILES[template], dialogue) if way["device"] == "echoing"]
    assert [way for way in ways if not way["good"]] == []
    assert {way["outcome"] for way in ways if way["secrets"] == "plain"} == {ENDS[dialogue.stem]}
    assert {way["reads"] for way in ways} == {"one byte", "whole"}


@pytest.mark.parametrize("template", [way.template for way in WAYS])
def test_every_template_has_a_dialogue_of_success_and_one_of_refusal(template: str) -> None:
    cases = {path.stem for path in (GOLDEN / template).glob("*.dialogue")}
    assert {"changed", "too-short"} <= cases
