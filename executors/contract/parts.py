"""Template text as typed parts: parsed first, joined with values after, never scanned again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from executors.contract.outcomes import TemplateError
from executors.contract.secret import Secret

TAG = re.compile(r"\[#([A-Za-z0-9_]+)(?:\|([a-z][a-z0-9-]*))?#\]")
MASK = "********"


class ValueKind(StrEnum):
    """What a tag's value is; `engine.templating` checks a value against its kind before it gets here."""

    USERNAME = "username"
    HOSTNAME = "hostname"
    PORT = "port"
    SECRET = "secret"  # noqa: S105 - the name of a kind, not a secret
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Value:
    """One checked value of a tag. Secrets are `Secret`, everything else is `str`."""

    kind: ValueKind
    content: str | Secret

    def reveal(self) -> str:
        return self.content.reveal() if isinstance(self.content, Secret) else self.content

    @property
    def is_secret(self) -> bool:
        return isinstance(self.content, Secret)


Values = Mapping[str, Value]
"""Values by tag name in upper case."""


@dataclass(frozen=True, slots=True)
class Literal:
    text: str


@dataclass(frozen=True, slots=True)
class Tag:
    """`[#NAME#]` or `[#NAME|encoder#]`; names are kept in upper case because the field looks them up so."""

    name: str
    encoder: str | None = None


Text = tuple[Literal | Tag, ...]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A joined text: `wire` goes to the target, `shown` to people (secrets masked)."""

    wire: Secret
    shown: str


Encoder = Callable[[str], str]
"""Encodes one value for the place where it stands; raises ValueError (never quoting the value) if it cannot.
"""


def parse_text(text: str) -> Text:
    """Split into literals and tags. Innermost tags win: `[[#NAME#]]` is a tag between brackets."""
    return tuple(_pieces(text))


def _pieces(text: str) -> Iterator[Literal | Tag]:
    end = 0
    for match in TAG.finditer(text):
        if match.start() > end:
            yield Literal(text[end : match.start()])
        yield Tag(match[1].upper(), match[2])
        end = match.end()
    if end < len(text):
        yield Literal(text[end:])


def tags_of(text: Text) -> frozenset[str]:
    return frozenset(part.name for part in text if isinstance(part, Tag))


def join(text: Text, values: Values, encoders: Mapping[str, Encoder], default: str) -> Rendered:
    """Join `text`, each value encoded by the tag's own encoder or `default`.

    Raises TemplateError for a tag without a value, an unknown encoder, or a value that the place cannot
    carry.
    """
    wire: list[str] = []
    shown: list[str] = []
    for part in text:
        if isinstance(part, Literal):
            wire.append(part.text)
            shown.append(part.text)
            continue
        encoded = _encode(part, values, encoders, default)
        wire.append(encoded)
        shown.append(MASK if values[part.name].is_secret else encoded)
    return Rendered(Secret("".join(wire)), "".join(shown))


def _encode(tag: Tag, values: Values, encoders: Mapping[str, Encoder], default: str) -> str:
    name = tag.encoder or default
    if tag.name not in values:
        raise TemplateError(0, f"the tag [#{tag.name}#] has no value here")
    if name not in encoders:
        raise TemplateError(0, f"unknown encoder {name!r}; known: {', '.join(sorted(encoders))}")
    try:
        return encoders[name](values[tag.name].reveal())
    except ValueError as error:
        raise TemplateError(0, f"[#{tag.name}#] cannot stand here: {error}") from None
