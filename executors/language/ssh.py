"""SSH: `exec`, `write`, `read`, `expect`, `expect-regex`, `no-expect`, `sleep`, `end` and the settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from executors.language import terminal
from executors.language.findings import Finding
from executors.language.source import Line
from executors.language.steps import Step

DIRECTIVES: Final[Mapping[str, terminal.Read]] = {
    **terminal.SHARED,
    "set-ssh-version": terminal.ssh_version,
    "write": terminal.send_text,
    "read": terminal.expect_plain,
}


def parse(lines: Iterable[Line], notes: list[Finding]) -> tuple[Step, ...]:
    return terminal.parse(lines, DIRECTIVES, terminal.ALL, notes)
