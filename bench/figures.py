"""From raw samples to the figures that are published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

FRESH, REUSED, OWN = "paramiko, fresh", "paramiko, reused", "paramiko, own password"
BATCH = "engine, batch"
YARDSTICKS = {BATCH: REUSED, "engine, own password": OWN, OWN: OWN}  # everybody else is held against FRESH


@dataclass(frozen=True, slots=True)
class Row:
    """Medians over the rounds. `ratio`: client time over the yardstick's, round by round."""

    contender: str
    per_second: float
    client_ms: float
    child_ms: float
    sshd_ms: float
    ratio: float
    lowest: float
    highest: float


def rows(samples: Iterable[Mapping[str, Any]]) -> list[Row]:
    """In the order of the samples' first round."""
    by_contender: dict[str, list[Mapping[str, Any]]] = {}
    for sample in samples:
        by_contender.setdefault(sample["contender"], []).append(sample)
    return [_row(name, own, by_contender) for name, own in by_contender.items()]


def _row(name: str, own: list[Mapping[str, Any]], all_of: Mapping[str, list[Mapping[str, Any]]]) -> Row:
    against = {sample["round"]: sample["client_ms"] for sample in all_of[YARDSTICKS.get(name, FRESH)]}
    ratios = [sample["client_ms"] / against[sample["round"]] for sample in own]
    return Row(
        contender=name,
        per_second=median(sample["changes"] / sample["wall_s"] for sample in own),
        client_ms=median(sample["client_ms"] for sample in own),
        child_ms=median(sample["child_ms"] for sample in own),
        sshd_ms=median(sample["sshd_ms"] for sample in own),
        ratio=median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
    )


def table(head: list[str], lines: Iterable[Iterable[object]]) -> str:
    """Markdown, which reads well on a terminal too."""
    text = [head, ["---"] + ["---:"] * (len(head) - 1), *([str(cell) for cell in line] for line in lines)]
    widths = [max(len(line[column]) for line in text) for column in range(len(head))]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in text]
    return "\n".join("| " + " | ".join(line) + " |" for line in padded)
