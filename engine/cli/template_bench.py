"""A template against its recorded dialogue, in many ways at once: no device, no network, no waiting."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path, PurePath
from typing import Any, Final, Protocol

from engine.cli.adhoc import RIGHT, Ended, Given, leaves_alone, run
from engine.cli.errors import CommandFailed, input_refused
from engine.cli.exits import Exit
from engine.templating.header import parse_file
from engine.templating.linting import has_header
from engine.templating.tags import TAGS, known_tag
from executors.contract import (
    Outcome,
    Program,
    Report,
    Secret,
    Section,
    TemplateError,
    Value,
    ValueKind,
    Values,
)
from executors.language.dialect import TERMINALS
from executors.language.lint import ASSUMED
from executors.language.parsing import Parsed, parse
from executors.language.tags import SECRETS
from executors.language.tree import place_of
from executors.ssh import grammar
from executors.ssh import replay as native
from executors.ssh.program import SshProgram
from executors.terminal.recording import Recorder, Unrecordable, dialogue
from executors.terminal.replay import Dialogue, FieldPlay, Language, dialogue_of, language_of

SAMPLES: Final = {
    ValueKind.USERNAME: "someone",
    ValueKind.HOSTNAME: "192.0.2.1",  # RFC 5737
    ValueKind.PORT: "22",
}
HOSTILE: Final = "hostile"
TAILS: Final = {"plain": "9", HOSTILE: " *\"'#$HOME`id`\\[#USERNAME#];%s"}
"""What secrets end in: hostile are characters that a shell, a pattern or the template itself could read."""
SECTIONS: Final = (Section.STATUS, Section.CHANGE, Section.PERSIST)


class Play(Protocol):
    """A template before a played device."""

    def has(self, section: Section) -> bool: ...

    def run(self, section: Section) -> Report: ...

    def fault(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Bench:
    """A parsed template, and how a dialogue is played to it."""

    program: Program
    action: str
    language: Language
    play: Callable[[Dialogue, Values, bool, bool], Play]


def bench(file: Path, dialogue: Path) -> Iterator[dict[str, Any]]:
    """Each way of playing it, and how it went. Raises CommandFailed for what is no dialogue or no template
    for a terminal."""
    try:
        text = _bytes(dialogue).decode()
    except UnicodeDecodeError:
        raise input_refused(f"{dialogue} is not UTF-8") from None
    try:
        yield from played(_bench(file), text)
    except TemplateError as error:
        raise input_refused(str(error), "bad_template") from None


def record(given: Given, place: Path) -> Ended:
    """Drive the template and write down the dialogue: only if it plays again, with other values, to the same
    end. Raises CommandFailed, for a dialogue that cannot be written too: then the run has been all the same.
    """
    try:
        made = _bench(given.file, given.executor)
    except TemplateError as error:
        raise input_refused(str(error), "bad_template") from None
    if place.exists():
        raise input_refused(f"{place} is there already; remove it, or name another file with --dialogue")
    recorder = Recorder()
    ended = run(given, dry=False, recorder=recorder)
    try:
        _write(place, _recorded(made, recorder, given, ended))
    except (Unrecordable, TemplateError) as why:
        reason = f"{why}. The run itself ended with: {ended.outcome}"
        raise CommandFailed(Exit.TEMPLATE, reason, "not_recorded") from None
    return ended


def _recorded(made: Bench, recorder: Recorder, given: Given, ended: Ended) -> str:
    if ended.proof is not None and ended.proof.verdict not in RIGHT:
        raise Unrecordable("the change was not proven, so the dialogue is no example")
    secrets = [given.login.secret, *given.secrets.values()]
    text = dialogue(recorder, made.language.new_line, ended.said, secrets, ended.outcome)
    for way in played(made, text):
        if not way["good"]:
            raise Unrecordable(
                f"the recording does not play again with other values ({way['message']}): the device may say "
                "what only these values bring about; try an account whose name is no word of the device"
            )
    return text


def _write(place: Path, text: str) -> None:
    try:
        with os.fdopen(
            os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8"
        ) as out:
            out.write(text)
    except OSError as error:
        raise Unrecordable(f"{place} cannot be written: {error.strerror}") from None


def played(made: Bench, text: str) -> Iterator[dict[str, Any]]:
    """In every way: with plain and hostile secrets, whole and byte by byte, echoing and silent. Raises
    TemplateError for what is no dialogue of this template."""
    for tail, bytewise, echoing in product(TAILS, (False, True), (True, False)):
        yield {
            "secrets": tail,
            "reads": "one byte" if bytewise else "whole",
            "device": "echoing" if echoing else "silent",
            **_way(made, text, tail, bytewise=bytewise, echoing=echoing),
        }


def _way(made: Bench, text: str, tail: str, *, bytewise: bool, echoing: bool) -> dict[str, Any]:
    values = {name: _sample(name, TAILS[tail]) for name in made.program.tags}
    try:
        made.program.describe(values)
    except TemplateError as error:
        if tail != HOSTILE:
            raise
        told = f"refused before anything is sent: {error.reason}"
        return {"outcome": Outcome.BAD_TEMPLATE.value, "message": told, "good": True}
    others = {name: _sample(name, TAILS[tail]) for name in TAGS}
    wanted = dialogue_of(text, values, others, made.language)
    play = made.play(wanted, values, bytewise, echoing)
    report = _run(play, made.action)
    message = "; ".join(each for each in (play.fault(), report.message) if each)
    good = report.outcome is wanted.outcome and not play.fault()
    return {"outcome": report.outcome.value, "message": message, "good": good}


def _run(play: Play, action: str) -> Report:
    """Section by section, as `template run` does; the proof is not played."""
    report = Report(Outcome.OK)
    for section in SECTIONS:
        if not play.has(section):
            continue
        report = play.run(section)
        if report.outcome is not Outcome.OK:
            return Report(Outcome.NOT_SAVED, report.message) if section is Section.PERSIST else report
        if section is Section.STATUS and leaves_alone(action, report.facts.get("status", "")):
            return Report(Outcome.ACCOUNT_DISABLED, "the account is left as it is")
    return report


def _bench(file: Path, executor: str | None = None) -> Bench:
    """`executor`: for a file without header; what its folder says, if None. Raises TemplateError."""
    data = _bytes(file)
    if not has_header(data):
        place = place_of(PurePath(file.absolute()))
        named = executor or place.executor or ASSUMED
        return field_bench(parse(data, named, place.action or "", place.name), file.name)
    made = parse_file(data, file.name)
    if made.executor == "ssh" and grammar.is_own(made.body):
        return native_bench(grammar.parse(made.body, made.first_line_of_body), made.action)
    parsed = parse(made.body, made.executor, made.action, made.name, made.first_line_of_body)
    return field_bench(parsed, file.name)


def field_bench(parsed: Parsed, name: str) -> Bench:
    """Raises TemplateError."""
    if parsed.dialect not in TERMINALS or not parsed.steps:
        raise TemplateError(0, f"{name} holds no dialogue with a terminal; only those can be played")

    def play(dialogue: Dialogue, values: Values, bytewise: bool, echoing: bool) -> Play:
        return FieldPlay(parsed, dialogue, values, bytewise=bytewise, echoing=echoing)

    return Bench(parsed, parsed.action, language_of(parsed), play)


def native_bench(program: SshProgram, action: str) -> Bench:
    def play(dialogue: Dialogue, values: Values, bytewise: bool, echoing: bool) -> Play:
        return native.NativePlay(program, dialogue, values, bytewise=bytewise, echoing=echoing)

    return Bench(program, action, native.LANGUAGE, play)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise input_refused(f"{path} cannot be read: {error.strerror}") from None


def _sample(name: str, tail: str) -> Value:
    """Secrets and texts that no other tag has, so that one in another's place is noticed."""
    spec = known_tag(name)
    kind = spec.kind if spec else ValueKind.TEXT
    if name in SECRETS or kind is ValueKind.SECRET:
        return Value(ValueKind.SECRET, Secret(name.lower() + tail))
    return Value(kind, SAMPLES.get(kind, f"text of {name.lower()}"))
