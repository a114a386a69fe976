"""A template against its recorded dialogue, in many ways at once: no device, no network, no waiting."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path, PurePath
from typing import Any, Final

from engine.cli.errors import input_refused
from engine.templating.header import parse_file
from engine.templating.linting import has_header
from engine.templating.tags import known_tag
from executors.contract import Secret, TemplateError, Value, ValueKind
from executors.language.dialect import TERMINALS
from executors.language.lint import ASSUMED
from executors.language.parsing import Parsed, parse
from executors.language.tags import SECRETS
from executors.language.tree import place_of
from executors.terminal.replay import replay, turns_of

SAMPLES: Final = {
    ValueKind.USERNAME: "someone",
    ValueKind.HOSTNAME: "192.0.2.1",  # RFC 5737
    ValueKind.PORT: "22",
}
TAILS: Final = {"plain": "9", "hostile": " *\"'#$HOME`id`\\[#USERNAME#];%s"}
"""What secrets end in: hostile are characters that a shell, a pattern or the template itself could read."""


def bench(file: Path, dialogue: Path) -> Iterator[dict[str, Any]]:
    """Each way of playing it, and how it went. Raises CommandFailed for what is no dialogue or no template
    for a terminal."""
    try:
        parsed = _parsed(file)
        text = _bytes(dialogue).decode()
        for tail, bytewise, echoing in product(TAILS, (False, True), (True, False)):
            yield _way(parsed, text, tail, bytewise=bytewise, echoing=echoing)
    except UnicodeDecodeError:
        raise input_refused(f"{dialogue} is not UTF-8") from None
    except TemplateError as error:
        raise input_refused(str(error), "bad_template") from None


def _way(parsed: Parsed, text: str, tail: str, *, bytewise: bool, echoing: bool) -> dict[str, Any]:
    values = {name: _sample(name, TAILS[tail]) for name in parsed.tags}
    done = replay(parsed, turns_of(text, parsed, values), values, bytewise=bytewise, echoing=echoing)
    return {
        "secrets": tail,
        "reads": "one byte" if bytewise else "whole",
        "device": "echoing" if echoing else "silent",
        "outcome": done.report.outcome.value,
        "message": "; ".join(each for each in (done.fault, done.report.message) if each),
        "good": done.is_good,
    }


def _parsed(file: Path) -> Parsed:
    data = _bytes(file)
    if has_header(data):
        native = parse_file(data, file.name)
        parsed = parse(native.body, native.executor, native.action, native.name, native.first_line_of_body)
    else:
        place = place_of(PurePath(file.absolute()))
        parsed = parse(data, place.executor or ASSUMED, place.action or "", place.name)
    if parsed.dialect not in TERMINALS or not parsed.steps:
        raise TemplateError(0, f"{file.name} holds no dialogue with a terminal; only those can be played")
    return parsed


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise input_refused(f"{path} cannot be read: {error.strerror}") from None


def _sample(name: str, tail: str) -> Value:
    """Secrets and texts that no other tag has, so that one in another's place is noticed."""
    if name in SECRETS:
        return Value(ValueKind.SECRET, Secret(name.lower() + tail))
    spec = known_tag(name)
    kind = spec.kind if spec else ValueKind.TEXT
    return Value(kind, SAMPLES.get(kind, f"text of {name.lower()}"))
