"""Lint of files as they lie in a tree: the form that `template lint --json` prints and others rely on."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

from executors.language.findings import Finding, Status, finding, status_of
from executors.language.parsing import parse
from executors.language.tree import place_of, same_bodies

ASSUMED: Final = "ssh"  # where no folder says an executor; the content still decides the dialect


@dataclass(frozen=True, slots=True)
class Linted:
    """One file. `executor` and `action` are None where the folders do not say them."""

    path: str
    executor: str | None
    action: str | None
    findings: tuple[Finding, ...]

    @property
    def status(self) -> Status:
        return status_of(self.findings)

    def as_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "executor": self.executor,
            "action": self.action,
            "status": self.status.value,
            "findings": [
                {"code": each.code, "line": each.line, "message": each.message} for each in self.findings
            ],
        }


def lint(files: Iterable[tuple[str, bytes]]) -> list[Linted]:
    """Every file given, by path; its folders are those it has on this machine, however it was named."""
    every = sorted(files)
    twins = same_bodies(every)
    return [_one(path, body, twins.get(path, [])) for path, body in every]


def _one(path: str, body: bytes, twins: list[str]) -> Linted:
    place = place_of(PurePath(os.path.abspath(path)))
    parsed = parse(body, place.executor or ASSUMED, place.action or "", place.name)
    same = [finding("same-body", 0, twins[0])] if twins else []
    return Linted(path, place.executor, place.action, (*place.findings, *same, *parsed.findings))
