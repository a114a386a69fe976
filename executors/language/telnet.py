"""Telnet: as SSH, with the built-in login's prompts, `set-no-authenticate` and `send` without a newline."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from executors.language import terminal
from executors.language.findings import Finding
from executors.language.patterns import Wildcard
from executors.language.source import Line
from executors.language.steps import Option, Send, Step, Wait
from executors.language.tags import names_in, shown

LOGIN_PROMPT = re.compile(r"(?:login|user ?name|user|username)?[ \t]*:[ \t]*\Z", re.IGNORECASE)

DIRECTIVES: Final[Mapping[str, terminal.Read]] = {
    **terminal.SHARED,
    "set-username-prompt": terminal.option(1),
    "set-password-prompt": terminal.option(1),
    "set-no-authenticate": terminal.option(0),
    "send": terminal.send_text,
    "write": terminal.send_text,
    "read": terminal.expect_plain,
}


def parse(lines: Iterable[Line], notes: list[Finding]) -> tuple[Step, ...]:
    return terminal.parse(lines, DIRECTIVES, terminal.ALL, notes)


def logs_in_itself(steps: Sequence[Step]) -> bool:
    """Whether the script does the login: it says so, or first waits for a prompt and answers with a name."""
    if any(isinstance(step, Option) and step.name == "set-no-authenticate" for step in steps):
        return True
    dialogue = [step for step in steps if isinstance(step, Wait | Send)]
    if len(dialogue) < 2 or not isinstance(dialogue[0], Wait) or not isinstance(dialogue[1], Send):
        return False
    pattern = dialogue[0].pattern
    prompts: list[str] = [shown(piece) for piece in pattern.pieces] if isinstance(pattern, Wildcard) else []
    names = names_in((dialogue[1].text,))
    return bool(prompts and LOGIN_PROMPT.search(prompts[-1]) and names and names <= {"USERNAME", "AUTH_USER"})
