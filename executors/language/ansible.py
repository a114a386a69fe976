"""Ansible: the template only names a stored playbook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from executors.contract import Text
from executors.language.findings import Finding, finding
from executors.language.source import Line
from executors.language.steps import Step
from executors.language.tags import text_of


@dataclass(frozen=True, slots=True)
class Playbook(Step):
    name: Text

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.name,)


def parse(lines: Sequence[Line], notes: list[Finding]) -> tuple[Step, ...]:
    saying = [line for line in lines if line.says_something]
    notes.extend(finding("unknown-directive", line.number) for line in saying[1:])
    return tuple(Playbook(line.number, text_of(line.text.strip())) for line in saying[:1])
