"""Lint of any template file: the field's language by its own lint, templates with a header as they load."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Final

from engine.templating.header import TemplateFile, parse_file
from engine.templating.library import load_and_check
from executors.contract import Program, TemplateError
from executors.language import lint as field
from executors.language.findings import Finding, finding
from executors.language.lint import Linted
from executors.language.parsing import Parsed, parse
from executors.language.tree import executor_named
from executors.registry import ExecutorUnavailable, load
from executors.terminal.program import FieldProgram

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def lint(files: Iterable[tuple[str, bytes | None]]) -> list[Linted]:
    """Every file, by path; None stands for a content that could not be read. Needs no running engine."""
    found: list[Linted] = []
    of_the_field: list[tuple[str, bytes]] = []
    for path, data in files:
        if data is None:
            found.append(Linted(path, None, None, (finding("unreadable", 0),)))
        elif has_header(data):
            found.append(_native(path, data))
        else:
            of_the_field.append((path, data))
    return sorted([*found, *field.lint(of_the_field)], key=attrgetter("path"))


def has_header(data: bytes) -> bool:
    return data.removeprefix(BYTE_ORDER_MARK).partition(b"\n")[0].rstrip() == b"---"


def _native(path: str, data: bytes) -> Linted:
    try:
        file = parse_file(data, path)
    except TemplateError as error:
        return Linted(path, None, None, (finding("does-not-load", error.line, error.reason),))
    return Linted(path, file.executor, file.action.value, _findings(file))


def _findings(file: TemplateFile) -> tuple[Finding, ...]:
    """Of the body, against its header. Raises nothing: what is wrong is a finding."""
    try:
        program: Program = load_and_check(file, load(file.executor))
    except TemplateError as error:
        return (finding("does-not-load", error.line, error.reason),)
    except ExecutorUnavailable as error:
        if executor_named(file.executor) is None:
            return (finding("does-not-load", 0, str(error)),)
        program = parse(file.body, file.executor, file.action, file.name, file.first_line_of_body)
    return findings_of(program)


def findings_of(program: Program) -> tuple[Finding, ...]:
    """Only the field's language has findings that are no errors."""
    if isinstance(program, FieldProgram):
        return program.parsed.findings
    return program.findings if isinstance(program, Parsed) else ()
