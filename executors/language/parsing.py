"""The one entry: any body becomes `Parsed`, with findings instead of errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from executors.contract import Section, TemplateError, Text, Values, join
from executors.contract.parts import TAG
from executors.language import (
    ansible,
    browser,
    check,
    curl,
    esxi,
    ldap,
    legacy,
    selenium,
    sql,
    ssh,
    telnet,
    tk,
    windows,
    x3270,
)
from executors.language.dialect import Dialect, dialect_of
from executors.language.encoders import ENCODERS
from executors.language.findings import Finding, Status, finding, status_of
from executors.language.source import Line, read
from executors.language.steps import Option, SetNewLine, SetTimeout, Step, walk
from executors.language.tags import has_secret, names_in
from executors.language.terminal import SectionMark
from executors.language.tree import action_named, executor_named

SETTINGS = (Option, SetNewLine, SetTimeout)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A body as steps, with everything that was found. Immutable. A `Program` of the executor contract."""

    executor: str
    action: str
    dialect: Dialect
    steps: tuple[Step, ...]
    findings: tuple[Finding, ...]

    @property
    def status(self) -> Status:
        return status_of(self.findings)

    @property
    def texts(self) -> tuple[Text, ...]:
        """Every text in which a tag may stand."""
        return tuple(text for step in walk(self.steps) for text in step.texts)

    @property
    def tags(self) -> frozenset[str]:
        """Names of all tags used, aliases resolved, in upper case."""
        return names_in(self.texts)

    @property
    def has_outcome_check(self) -> bool:
        return check.has_outcome_check(self.dialect, self.steps)

    @property
    def secrets_in_command_lines(self) -> tuple[int, ...]:
        """The lines where a secret is part of a command."""
        return tuple(sorted({step.line for step in check.command_lines(self.steps) if has_secret(step.text)}))

    @property
    def script_logs_in(self) -> bool:
        """Telnet: whether the script does the login that the executor would do otherwise."""
        return self.dialect is Dialect.TELNET and telnet.logs_in_itself(self.steps)

    def section(self, section: Section) -> tuple[Step, ...]:
        """The steps of a section; what stands before the first mark is `change`, its settings are for all."""
        found = self._own_steps(section)
        if not found or section is Section.CHANGE:
            return found
        return (*(step for step in self._before_marks() if isinstance(step, SETTINGS)), *found)

    def has(self, section: Section) -> bool:
        return bool(self._own_steps(section))

    def _before_marks(self) -> tuple[Step, ...]:
        return tuple(takewhile(lambda step: not isinstance(step, SectionMark), self.steps))

    def _own_steps(self, section: Section) -> tuple[Step, ...]:
        found = list(self._before_marks()) if section is Section.CHANGE else []
        marks = [place for place, step in enumerate(self.steps) if isinstance(step, SectionMark)]
        for start, end in pairwise((*marks, len(self.steps))):
            mark = self.steps[start]
            if isinstance(mark, SectionMark) and mark.section is section:
                found += self.steps[start + 1 : end]
        return tuple(found)

    def describe(self, values: Values) -> Sequence[str]:
        """The steps for people, secrets masked. Raises TemplateError for a value that does not fit."""
        return [line for step in walk(self.steps) for line in _described(step, values)]


def parse(body: str | bytes, executor: str, action: str, name: str = "", first_line: int = 1) -> Parsed:
    """Parse any body. `executor` and `action` by the engine's names or their folders'; `name` is the file's.

    Raises ValueError for an executor that there is not; whatever the content is becomes findings.
    """
    known = executor_named(executor)
    if known is None:
        raise ValueError(f"there is no executor {executor!r} with a template language")
    notes: list[Finding] = []
    lines = read(body, first_line, notes)
    dialect, is_own = dialect_of(lines, known)
    if not is_own:
        notes.append(finding("wrong-folder", first_line, f"this is {dialect}"))
    doing = action_named(action) or action
    steps = _steps(dialect, _with_password_meant(lines, doing), known, notes)
    if lines and not steps and not any(each.severity == "error" for each in notes):
        notes.append(finding("no-steps", first_line))
    notes += check.check(dialect, doing, steps, lines, name)
    return Parsed(known, doing, dialect, steps, _in_order(notes))


def _described(step: Step, values: Values) -> Iterator[str]:
    try:
        words = [join(text, values, ENCODERS, "line").shown for text in step.texts]
    except TemplateError as error:
        raise TemplateError(step.line, error.reason) from None
    yield " ".join([type(step).__name__.lower(), *words])


def _steps(dialect: Dialect, lines: Sequence[Line], executor: str, notes: list[Finding]) -> tuple[Step, ...]:
    if not any(line.says_something for line in lines):
        return ()
    if dialect is Dialect.SQL:
        return sql.parse(lines, executor, notes)
    return {
        Dialect.SSH: ssh.parse,
        Dialect.SSH_LEGACY: legacy.parse,
        Dialect.TELNET: telnet.parse,
        Dialect.TK: tk.parse,
        Dialect.WINRM: windows.parse_winrm,
        Dialect.RPC: windows.parse_rpc,
        Dialect.SMB: windows.parse_smb,
        Dialect.LDAP: ldap.parse,
        Dialect.CURL: curl.parse,
        Dialect.FORMS: curl.parse_forms,
        Dialect.BROWSER: browser.parse,
        Dialect.SELENIUM: selenium.parse,
        Dialect.X3270: x3270.parse,
        Dialect.ESXI: esxi.parse,
        Dialect.ANSIBLE: ansible.parse,
    }[dialect](lines, notes)


def _with_password_meant(lines: Sequence[Line], action: str) -> tuple[Line, ...]:
    """[#PASSWORD#] is the new password where a change template knows no other new one."""
    names = {match[1].upper() for line in lines if line.says_something for match in TAG.finditer(line.text)}
    if "PASSWORD" not in names or action != "change_secret" or "NEW_PASSWORD" in names:
        return tuple(lines)
    return tuple(
        Line(
            line.number,
            TAG.sub(lambda m: "[#NEW_PASSWORD#]" if m[1].upper() == "PASSWORD" else m[0], line.text),
        )
        for line in lines
    )


def _in_order(notes: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(dict.fromkeys(notes), key=lambda each: (each.line, each.code)))
