"""Template files: a YAML header between `---` lines, then the body in the executor's own language."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, Final, TypeVar

import yaml

from engine.catalog.states import Action, LoginAs
from executors.contract import ProofKind, TemplateError, ValueKind

MAX_BYTES: Final = 256 * 1024
MAX_WORDS: Final = 500  # characters of one value in the header
REQUIRED: Final = ("name", "executor", "action", "version", "summary", "tags")
OPTIONAL: Final = ("platform", "login", "proof", "tier", "undo")
LEGAL_NAME: Final = re.compile(r"[a-z0-9]+(?:[-./][a-z0-9]+)*")
_EXECUTOR: Final = re.compile(r"[a-z][a-z0-9_]*")
_VERSION: Final = re.compile(r"[1-9][0-9]{0,8}")
_SECONDS: Final = re.compile(r"[1-9][0-9]{0,4}")
_TAG_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,64}")

E = TypeVar("E", bound=StrEnum)


class Tier(StrEnum):
    """What a shipped template was run against in our tests; a template that says nothing is untried."""

    PROVEN = "proven"  # the real product
    EMULATED = "emulated"  # an emulation only: a trial on a real device has to come first


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """One template as it stands in its file. `tags` is None for a file without header: it declares none.

    `undo`: seconds after which the target takes the change back by itself unless [persist] confirms it.
    """

    name: str
    executor: str
    action: Action
    body: str
    first_line_of_body: int  # counts from 1
    sha256: str  # hexadecimal, over the exact bytes of the file
    version: int = 1
    summary: str = ""
    platform: str = ""
    login: LoginAs | None = None
    proof: ProofKind | None = None
    tier: Tier | None = None
    undo: int | None = None
    tags: Mapping[str, ValueKind] | None = None


@dataclass(frozen=True, slots=True)
class Scalar:
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of the header with its value: words, or words by name."""

    line: int
    value: Scalar | Mapping[str, Scalar]


def parse_file(
    content: str | bytes, path_hint: str, *, executor: str | None = None, action: Action | None = None
) -> TemplateFile:
    """Parse a whole file. Raises TemplateError, with the line where there is one.

    A file without header is in the field's language: its folders say executor and action, so the caller does.
    """
    data = _bytes(content)
    if len(data) > MAX_BYTES:
        raise TemplateError(0, f"the file is longer than {MAX_BYTES // 1024} KiB; split it or shorten it")
    text = _decoded(data)
    if not text.strip():
        raise TemplateError(0, "the file is empty")
    digest = hashlib.sha256(data).hexdigest()
    lines = text.split("\n")
    if _is_fence(lines[0]):
        return _native(lines, digest, path_hint)
    if executor is None or action is None:
        raise TemplateError(
            1, "there is no header; begin with a line `---`, or say which executor and action it is for"
        )
    return TemplateFile(PurePath(path_hint).stem, executor, action, text, 1, digest)


def _bytes(content: str | bytes) -> bytes:
    if isinstance(content, bytes):
        return content
    try:
        return content.encode("utf-8")
    except UnicodeEncodeError:
        raise TemplateError(0, "the text holds a lone surrogate; store it as UTF-8") from None


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise TemplateError(data.count(b"\n", 0, error.start) + 1, "this is not UTF-8; store it so") from None


def _is_fence(line: str) -> bool:
    return line.rstrip() == "---"


def _native(lines: list[str], digest: str, path_hint: str) -> TemplateFile:
    end = next((number for number, line in enumerate(lines[1:], 1) if _is_fence(line)), None)
    if end is None:
        raise TemplateError(1, "the header does not end; close it with a line `---`")
    body = "\n".join(lines[end + 1 :])
    if not body.strip():
        raise TemplateError(end + 1, f"{path_hint} has a header and no body")
    header = _Header(_entries("\n".join(lines[1:end])))
    return TemplateFile(
        name=header.matching("name", LEGAL_NAME, "lower-case words joined by '-', '.' or '/'"),
        executor=header.matching("executor", _EXECUTOR, "one lower-case word"),
        action=header.one_of("action", Action),
        body=body,
        first_line_of_body=end + 2,
        sha256=digest,
        version=int(header.matching("version", _VERSION, "a whole number from 1")),
        summary=header.words("summary"),
        platform=header.words("platform") if "platform" in header else "",
        login=header.one_of("login", LoginAs) if "login" in header else None,
        proof=header.one_of("proof", ProofKind) if "proof" in header else None,
        tier=header.one_of("tier", Tier) if "tier" in header else None,
        undo=int(header.matching("undo", _SECONDS, "whole seconds, at least 1"))
        if "undo" in header
        else None,
        tags=header.tags(),
    )


class _Header:
    """The header's entries, each read as the type it must have."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries
        for key, entry in entries.items():
            if key not in REQUIRED + OPTIONAL:
                known = ", ".join(REQUIRED + OPTIONAL)
                raise TemplateError(entry.line, f"the header has no key {key[:60]!r}; known: {known}")
        missing = [key for key in REQUIRED if key not in entries]
        if missing:
            raise TemplateError(1, f"the header lacks {', '.join(missing)}")

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def words(self, key: str) -> str:
        return _words(key, self._scalar(key))

    def matching(self, key: str, pattern: re.Pattern[str], meaning: str) -> str:
        scalar = self._scalar(key)
        if not pattern.fullmatch(_words(key, scalar)):
            raise TemplateError(scalar.line, f"{key} must be {meaning}")
        return scalar.text

    def one_of(self, key: str, kind: type[E]) -> E:
        return _one_of(key, self._scalar(key), kind)

    def tags(self) -> Mapping[str, ValueKind]:
        entry = self._entries["tags"]
        if isinstance(entry.value, Scalar):
            raise TemplateError(
                entry.line, "tags must be names with their kinds, such as `NEW_PASSWORD: secret`"
            )
        found: dict[str, ValueKind] = {}
        for name, kind in entry.value.items():
            if not _TAG_NAME.fullmatch(name):
                raise TemplateError(kind.line, "a tag's name is letters, digits and '_'")
            if name.upper() in found:
                raise TemplateError(kind.line, f"the tag {name.upper()} is declared twice")
            found[name.upper()] = _one_of(name, kind, ValueKind)
        return MappingProxyType(found)

    def _scalar(self, key: str) -> Scalar:
        entry = self._entries[key]
        if not isinstance(entry.value, Scalar):
            raise TemplateError(entry.line, f"{key} must be one value")
        return entry.value


def _words(key: str, scalar: Scalar) -> str:
    if not scalar.text.strip() or not scalar.text.isprintable() or len(scalar.text) > MAX_WORDS:
        raise TemplateError(scalar.line, f"{key} must be 1 to {MAX_WORDS} printable characters on one line")
    return scalar.text


def _one_of(key: str, scalar: Scalar, kind: type[E]) -> E:
    try:
        return kind(scalar.text)
    except ValueError:
        raise TemplateError(scalar.line, f"{key} must be one of {', '.join(kind)}") from None


def _entries(header: str) -> Mapping[str, Entry]:
    """Read YAML events, not objects.

    That keeps line numbers, finds duplicate keys, and leaves no room for types, anchors, tags and depth.
    """
    events = _events(header)
    for kind in (yaml.StreamStartEvent, yaml.DocumentStartEvent, yaml.MappingStartEvent):
        if not isinstance(event := next(events), kind):
            raise TemplateError(_line(event), "the header must be `key: value` lines")
    entries = _mapping(events, lambda event: Entry(_line(event), _value(event, events)))
    if not isinstance(next(events), yaml.DocumentEndEvent) or not isinstance(
        event := next(events), yaml.StreamEndEvent
    ):
        raise TemplateError(1, "the header must be one YAML document")
    return entries


T = TypeVar("T")


def _mapping(events: Iterator[yaml.Event], read: Callable[[yaml.Event], T]) -> dict[str, T]:
    """The pairs up to the mapping's end; `read` takes the event that begins a value."""
    found: dict[str, T] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = _scalar(event)
        if key.text in found:
            raise TemplateError(key.line, f"the header has {key.text[:60]!r} twice")
        found[key.text] = read(next(events))
    return found


def _value(event: yaml.Event, events: Iterator[yaml.Event]) -> Scalar | Mapping[str, Scalar]:
    return _mapping(events, _scalar) if isinstance(event, yaml.MappingStartEvent) else _scalar(event)


def _scalar(event: yaml.Event) -> Scalar:
    if isinstance(event, yaml.ScalarEvent):
        return Scalar(event.value, _line(event))
    raise TemplateError(
        _line(event), "the header has one value for a key here, no list and no deeper mapping"
    )


def _events(header: str) -> Iterator[yaml.Event]:
    try:
        for event in yaml.parse(header, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.NodeEvent) and (event.anchor or getattr(event, "tag", None)):
                raise TemplateError(_line(event), "YAML anchors, aliases and tags have no place in a header")
            yield event
    except yaml.MarkedYAMLError as error:
        raise TemplateError(
            _file_line(error.problem_mark), f"the header is not YAML: {error.problem}"
        ) from None
    except (yaml.YAMLError, ValueError, OverflowError):
        # ReaderError for characters YAML forbids; ValueError and OverflowError for escapes beyond Unicode
        raise TemplateError(1, "the header holds a character that YAML forbids") from None


def _line(event: yaml.Event) -> int:
    return _file_line(event.start_mark)


def _file_line(mark: Any) -> int:
    """Of a yaml mark, if there is one; marks count from 0, and the header begins on line 2 of the file."""
    return 1 if mark is None else int(mark.line) + 2
