from __future__ import annotations

import json
from pathlib import Path

from bench.__main__ import PAGE, RESULTS
from bench.page import page


def test_the_published_page_says_what_was_measured() -> None:
    assert Path(PAGE).read_text() == page(json.loads(RESULTS.read_text()))


def test_the_page_owns_up_to_a_missed_aim() -> None:
    results = json.loads(RESULTS.read_text())
    for sample in results["contest"]["samples"]:
        if sample["contender"] == "engine, fresh":
            sample["client_ms"] = 1000.0
    assert "missed" in page(results)


def test_the_batch_that_is_not_built_has_no_figure() -> None:
    line = next(
        line for line in page(json.loads(RESULTS.read_text())).splitlines() if "engine, batch" in line
    )
    assert not any(character.isdigit() for character in line)
