"""Tk Expect: `use CONNECTION`, then a small language; with `use CONNECTION script`, Tcl Expect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from executors.contract import Literal
from executors.language import tcl, terminal
from executors.language.findings import Finding, finding
from executors.language.lines import Directive, directive, words
from executors.language.source import Line
from executors.language.steps import Option, Step
from executors.language.tags import text_of

CONNECTIONS: Final = ("ssh", "telnet", "tds", "sqlplus", "sql*plus")


def _use(found: Directive, notes: list[Finding]) -> Step | None:
    said = [word.lower() for word in words(found.rest)]
    if not said:
        notes.append(finding("missing-argument", found.line))
        return None
    if said[0] not in CONNECTIONS or said[1:] not in ([], ["script"]):
        notes.append(finding("bad-choice", found.line, ", ".join(CONNECTIONS)))
    return Option(found.line, "use", tuple(text_of(word) for word in said))


DIRECTIVES: Final[Mapping[str, terminal.Read]] = {
    **terminal.SHARED,
    "use": _use,
    "set-prompt": terminal.option(1),
    "env": terminal.option(2),
    "send": terminal.send_text,
    "write": terminal.send_text,
}


def parse(lines: Sequence[Line], notes: list[Finding]) -> tuple[Step, ...]:
    saying = [number for number, line in enumerate(lines) if line.says_something]
    first = saying[0] if saying else 0
    found = directive(lines[first]) if saying else None
    if found is None or found.word != "use":
        notes.append(finding("no-use-line", lines[first].number if saying else 1))
        return terminal.parse(lines, DIRECTIVES, terminal.ALL, notes)
    use = _use(found, notes)
    if isinstance(use, Option) and use.values[1:] == ((Literal("script"),),):
        return (use, *tcl.parse(lines[first + 1 :], notes))
    return ((use,) if use else ()) + terminal.parse(lines[first + 1 :], DIRECTIVES, terminal.ALL, notes)
