"""A body in the field's language as a program of the contract: what runs, and what it wants of the login."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from executors.contract import Literal, Section, Tag, TemplateError, Values
from executors.language import tcl
from executors.language.dialect import TERMINALS, Dialect
from executors.language.findings import Severity
from executors.language.parsing import Parsed
from executors.language.parsing import parse as parse_language
from executors.language.steps import Option, Send, SetTimeout, Step, Timer, walk
from executors.language.tags import literals
from executors.terminal.conversation import LEAST_CONNECT_SECONDS

TERMINAL: Final = "terminal"  # set for every program of the field's language
LOGIN: Final = "login"
BY_SCRIPT: Final = "script"
USE: Final = "use"
CONNECT_TIMEOUT: Final = "connect-timeout"
PROMPTS: Final = {"set-username-prompt": "username-prompt", "set-password-prompt": "password-prompt"}

LOGIN_TAGS: Final = frozenset({"USERNAME", "AUTH_USER", "AUTH_PASSWORD", "CURRENT_PASSWORD"})
ANY_KEY: Final = re.compile(r"\s*(?:yes|y)?\s*", re.I)  # what may be sent before the login begins


@dataclass(frozen=True, slots=True)
class FieldProgram:
    """Immutable. `settings` are for `Target.settings`."""

    parsed: Parsed
    settings: Mapping[str, str]

    @property
    def tags(self) -> frozenset[str]:
        return self.parsed.tags

    def has(self, section: Section) -> bool:
        return self.parsed.has(section)

    def describe(self, values: Values) -> Sequence[str]:
        return self.parsed.describe(values)

    def steps(self, section: Section) -> tuple[Step, ...]:
        """Raises TemplateError for a section that there is not."""
        if not self.has(section):
            raise TemplateError(0, f"it has no section [{section}]")
        return self.parsed.section(section)


def parse(body: str, executor: str, first_line: int, logs_in: Callable[[Parsed], bool]) -> FieldProgram:
    """Raises TemplateError for what lint calls an error, and for a body of no terminal.

    `logs_in`: whether the script does the login that the executor would do otherwise.
    """
    parsed = parse_language(body, executor, "change_secret", first_line=first_line)
    for found in parsed.findings:
        if found.severity is Severity.ERROR:
            raise TemplateError(found.line, found.message)
    if parsed.dialect not in TERMINALS:
        raise TemplateError(first_line, f"this is {parsed.dialect}; name the executor for that in its header")
    settings = {TERMINAL: "yes", **_said(parsed.steps)}
    if logs_in(parsed):
        settings[LOGIN] = BY_SCRIPT
    return FieldProgram(parsed, settings)


def opens_with_login(parsed: Parsed) -> bool:
    """Whether the first thing of weight that is typed is a name or a password of the login, and only that."""
    for step in walk(parsed.steps):
        if isinstance(step, Send):
            tags = [part.name for part in step.text if isinstance(part, Tag)]
            beside = "".join(literals(step.text))
            if tags or not ANY_KEY.fullmatch(beside):
                return bool(tags) and LOGIN_TAGS.issuperset(tags) and not beside.strip()
    return False


def is_tcl(parsed: Parsed) -> bool:
    return parsed.dialect is Dialect.TK and any(isinstance(step, tcl.Expect) for step in walk(parsed.steps))


def used(parsed: Parsed) -> str:
    """The connection that a `use` line names, or nothing."""
    return _said(parsed.steps).get(USE, "")


def _said(steps: Sequence[Step]) -> dict[str, str]:
    said: dict[str, str] = {}
    for step in steps:
        if isinstance(step, SetTimeout) and step.timer is Timer.CONNECT:
            said[CONNECT_TIMEOUT] = str(max(LEAST_CONNECT_SECONDS, step.seconds))
        elif isinstance(step, Option) and step.name in (*PROMPTS, USE):
            said[PROMPTS.get(step.name, USE)] = _word(step)
    return said


def _word(option: Option) -> str:
    """The first argument: it is needed before there are values."""
    text = option.values[0]
    if not all(isinstance(part, Literal) for part in text):
        raise TemplateError(
            option.line, f"{option.name} is needed before the login, so no tag can stand in it"
        )
    return "".join(literals(text))
