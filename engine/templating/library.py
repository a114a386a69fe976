"""The shipped templates, and the check that every template passes before it is stored or run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from engine.templating.header import TemplateFile, parse_file
from engine.templating.tags import TAGS, known_tag
from executors.contract import Executor, Program, Section, TemplateError, ValueKind, parse_text
from executors.contract import tags_of as names_in
from executors.language.tags import KNOWN
from executors.registry import load

SUFFIX: Final = ".template"


def shipped() -> Iterator[TemplateFile]:
    """Every template of the package `templates`, in order of path. Raises TemplateError naming the file."""
    for path, file in walk(files("templates"), ""):
        yield _read(path, file)


def walk(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.is_dir():
            yield from walk(entry, f"{path}{entry.name}/")
        elif entry.name.endswith(SUFFIX):
            yield path + entry.name, entry


def _read(path: str, file: Traversable) -> TemplateFile:
    try:
        return parse_file(file.read_bytes(), path)
    except TemplateError as error:
        raise TemplateError(error.line, f"{path}: {error.reason}") from None


def load_and_check(file: TemplateFile, executor: Executor) -> Program:
    """Parse the body by the executor's grammar; check it against header and executor. TemplateError."""
    if file.executor != executor.name:
        raise TemplateError(0, f"{file.name} is for the executor {file.executor}, not for {executor.name}")
    if file.action not in executor.capabilities.actions:
        able = ", ".join(sorted(executor.capabilities.actions))
        raise TemplateError(0, f"the executor {executor.name} has no action {file.action}; it has: {able}")
    if file.proof is not None and file.proof not in executor.capabilities.proofs:
        able = ", ".join(sorted(executor.capabilities.proofs))
        raise TemplateError(0, f"the executor {executor.name} has no proof {file.proof}; it has: {able}")
    program = executor.parse(file.body, file.first_line_of_body)
    if file.undo is not None and not program.has(Section.PERSIST):
        raise TemplateError(
            0, "the header says `undo`, and nothing confirms the change: add a [persist] section that does"
        )
    _check_known(file, program.tags)
    if file.tags is not None:
        _check_declared(file, program.tags, file.tags)
    return program


def tags_of(file: TemplateFile) -> frozenset[str]:
    """What the file declares; without header, what its body uses. May raise what loading it does."""
    if file.tags is not None:
        return frozenset(file.tags)
    return load(file.executor).parse(file.body, file.first_line_of_body).tags


def _check_known(file: TemplateFile, used: frozenset[str]) -> None:
    for name in sorted(used | frozenset(file.tags or ())):
        if known_tag(name) is None:
            wrong = "this release has no value for" if name in KNOWN else "there is no tag"
            raise TemplateError(_line_of(file, name), f"{wrong} [#{name}#]; known: {', '.join(TAGS)}")


def _check_declared(file: TemplateFile, used: frozenset[str], declared: Mapping[str, ValueKind]) -> None:
    for name in sorted(used - declared.keys()):
        raise TemplateError(
            _line_of(file, name), f"[#{name}#] is used and not declared in the header; add it to `tags`"
        )
    for name in sorted(declared.keys() - used):
        raise TemplateError(
            0, f"the header declares {name}, which the body does not use; remove it from `tags`"
        )
    for name, kind in sorted(declared.items()):
        spec = known_tag(name)
        if spec is not None and kind is not spec.kind:
            raise TemplateError(0, f"the header declares {name} as {kind}; it is a {spec.kind}")


def _line_of(file: TemplateFile, name: str) -> int:
    """The first line of the file whose text holds the tag; 0 if only the header does."""
    for number, line in enumerate(file.body.split("\n"), file.first_line_of_body):
        if name in names_in(parse_text(line)):
            return number
    return 0
