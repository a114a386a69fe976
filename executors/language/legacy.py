"""SSH Legacy: `write` sends a line, `read` waits for a text with stars, `not-expect` forbids one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from executors.language import terminal
from executors.language.findings import Finding
from executors.language.lines import Directive
from executors.language.source import Line
from executors.language.steps import Step


def _read(found: Directive, notes: list[Finding]) -> Step:
    """`read`, `expect` and `expect-regex` are one here; between slashes stands a regular expression."""
    is_regex = found.rest.strip().strip('"').startswith("/") and found.rest.count("/") > 1
    return terminal.expect_regex(found, notes) if is_regex else terminal.expect(found, notes)


DIRECTIVES: Final[Mapping[str, terminal.Read]] = {
    **terminal.SHARED,
    "set-ssh-version": terminal.ssh_version,
    "write": terminal.send_line,
    "read": _read,
    "expect": _read,
    "expect-regex": terminal.expect_regex,
    "not-expect": terminal.forbid,
}


def parse(lines: Iterable[Line], notes: list[Finding]) -> tuple[Step, ...]:
    return terminal.parse(lines, DIRECTIVES, terminal.ALL, notes)
