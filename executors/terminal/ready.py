"""Steps with the values of one operation in their places, made before the first byte is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from executors.contract import COMMON_ENCODERS, Secret, TemplateError, Values, join
from executors.language import tcl
from executors.language.patterns import Matcher, Pattern, Wildcard
from executors.language.steps import Forbid, Option, Send, Step, Wait
from executors.language.tags import shown


@dataclass(frozen=True, slots=True)
class Typing:
    line: int
    wire: Secret
    shown: str
    newline: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """One clause: what is waited for and what is done then."""

    on: tcl.On
    matcher: Matcher | None
    body: tuple[Ready, ...]


@dataclass(frozen=True, slots=True)
class Awaiting:
    line: int
    shown: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Forbidding:
    line: int
    shown: str
    matcher: Matcher


@dataclass(frozen=True, slots=True)
class Prompting:
    """`set-prompt`: what separates lines that are sent one after the other."""

    line: int
    matcher: Matcher


Ready = Typing | Awaiting | Forbidding | Prompting | Step


def ready(steps: Sequence[Step], values: Values) -> tuple[Ready, ...]:
    """Raises TemplateError, with the line, for a value that cannot stand where it is used."""
    return tuple(_one(step, values) for step in steps)


def _one(step: Step, values: Values) -> Ready:
    try:
        if isinstance(step, Send):
            return _typing(step, values)
        if isinstance(step, Wait):
            choice = Choice(tcl.On.MATCH, step.pattern.compiled(values), ())
            return Awaiting(step.line, _words(step.pattern), (choice,))
        if isinstance(step, Forbid):
            return Forbidding(step.line, _words(step.pattern), step.pattern.compiled(values))
        if isinstance(step, tcl.Expect):
            choices = tuple(_choice(clause, values) for clause in step.clauses)
            patterns = [clause.pattern for clause in step.clauses if clause.pattern]
            return Awaiting(step.line, " or ".join(map(_words, patterns)), choices)
        if isinstance(step, Option) and step.name == "set-prompt":
            return Prompting(step.line, Wildcard(step.values).compiled(values))
    except TemplateError as error:
        raise TemplateError(error.line or step.line, error.reason) from None
    return step


def _choice(clause: tcl.Clause, values: Values) -> Choice:
    matcher = clause.pattern.compiled(values) if clause.pattern else None
    return Choice(clause.on, matcher, ready(clause.body, values))


def _typing(step: Send, values: Values) -> Typing:
    rendered = join(step.text, values, COMMON_ENCODERS, "line")
    try:
        rendered.wire.reveal().encode()
    except UnicodeEncodeError:
        raise TemplateError(
            0, "a value holds half a character (a lone surrogate), which UTF-8 cannot carry"
        ) from None
    return Typing(step.line, rendered.wire, rendered.shown, step.newline)


def _words(pattern: Pattern) -> str:
    """As in the template, tags by name: what is waited for may be a secret."""
    return "*".join(shown(text) for text in pattern.texts)
