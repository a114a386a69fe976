from __future__ import annotations

import json
from pathlib import Path

from bench.__main__ import PAGE, RESULTS
from bench.figures import BATCH, REUSED
from bench.page import page


def test_the_published_page_says_what_was_measured() -> None:
    assert Path(PAGE).read_text() == page(json.loads(RESULTS.read_text()))


def test_the_page_owns_up_to_a_missed_aim() -> None:
    results = json.loads(RESULTS.read_text())
    for sample in results["contest"]["samples"]:
        if sample["contender"] == "engine, fresh":
            sample["client_ms"] = 1000.0
    assert "missed" in page(results)


def test_a_batch_that_was_not_measured_has_no_figure() -> None:
    results = json.loads(RESULTS.read_text())
    samples = results["contest"]["samples"]
    results["contest"]["samples"] = [each for each in samples if each["contender"] != BATCH]
    line = next(line for line in page(results).splitlines() if line.startswith(f"| {BATCH}"))
    assert not any(character.isdigit() for character in line)


def test_a_batch_is_held_against_paramiko_over_one_connection() -> None:
    results = json.loads(RESULTS.read_text())
    samples = results["contest"]["samples"]
    samples[:] = [each for each in samples if each["contender"] != BATCH]
    reused = [each for each in samples if each["contender"] == REUSED]
    samples += [{**each, "contender": BATCH, "client_ms": each["client_ms"] * 1.5} for each in reused]
    assert "Reached: 1.5 times — reached." in page(results)
