"""A parsed ssh template: commands with their options, and the same ready to be sent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from executors.contract import (
    Outcome,
    Rendered,
    Section,
    TemplateError,
    Text,
    Values,
    join,
    tags_of,
)
from executors.ssh.encoders import ENCODERS
from executors.terminal.program import TERMINAL


class Way(StrEnum):
    """How a command reaches the target."""

    RUN = "run"  # exec channel, no terminal
    DIALOGUE = "dialogue"  # exec channel on a terminal
    SHELL = "shell"  # the login shell on a terminal, no command


@dataclass(frozen=True, slots=True)
class Answer:
    """When `prompt` appears, send `text` and a newline; one that is not `required` may never be asked."""

    prompt: Text
    text: Text
    required: bool


@dataclass(frozen=True, slots=True)
class Ending:
    """Output that holds `text` ends the command with `outcome`."""

    outcome: Outcome
    text: Text


@dataclass(frozen=True, slots=True)
class Telling:
    """Output that holds `text` says the fact and ends the section well, whatever the exit status."""

    name: str
    value: str
    text: Text


@dataclass(frozen=True, slots=True)
class Capture:
    """The first group of `pattern` is the fact `name`, translated by `results` if there are any."""

    name: str
    pattern: re.Pattern[str]
    results: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Command:
    """One directive with its options. `exits` maps exit statuses; None is every other non-zero one."""

    line: int
    way: Way
    text: Text = ()
    inputs: tuple[Text, ...] = ()
    answers: tuple[Answer, ...] = ()
    refusals: tuple[Ending, ...] = ()
    repeats: tuple[Ending, ...] = ()
    tellings: tuple[Telling, ...] = ()
    exits: Mapping[int | None, Outcome] = field(default_factory=dict)
    expects: tuple[Text, ...] = ()
    captures: tuple[Capture, ...] = ()
    until: Text = ()
    timeout: float | None = None

    @property
    def texts(self) -> tuple[Text, ...]:
        """Every text in which a tag may stand."""
        answers = [text for each in self.answers for text in (each.prompt, each.text)]
        endings = [each.text for each in (*self.refusals, *self.repeats)]
        tellings = [each.text for each in self.tellings]
        return (self.text, *self.inputs, *answers, *endings, *tellings, *self.expects, self.until)

    def render(self, values: Values) -> Script:
        """Put the values in their places. Raises TemplateError, with the line, for one that does not fit."""
        try:
            return Script(
                command=self,
                text=_rendered(self.text, values, "sh"),
                inputs=tuple(_rendered(text, values, "line") for text in self.inputs),
                answers=tuple(
                    (_needle(each.prompt, values), _rendered(each.text, values, "line"))
                    for each in self.answers
                ),
                refusals=tuple((_needle(each.text, values), each.outcome) for each in self.refusals),
                repeats={_needle(each.text, values): each.outcome for each in self.repeats},
                tellings=tuple((_needle(each.text, values), each) for each in self.tellings),
                expects=tuple(_needle(text, values) for text in self.expects),
                until=_needle(self.until, values) if self.until else "",
            )
        except TemplateError as error:
            raise TemplateError(self.line, error.reason) from None


@dataclass(frozen=True, slots=True)
class Script:
    """A command with the values of one operation in their places."""

    command: Command
    text: Rendered
    inputs: tuple[Rendered, ...]
    answers: tuple[tuple[str, Rendered], ...]
    refusals: tuple[tuple[str, Outcome], ...]
    repeats: Mapping[str, Outcome]
    tellings: tuple[tuple[str, Telling], ...]
    expects: tuple[str, ...]
    until: str

    @property
    def shown(self) -> str:
        """The directive for people, secrets masked."""
        return f"{self.command.way} {self.text.shown}".rstrip()

    def describe(self) -> list[str]:
        inputs = [f"  input {each.shown}" for each in self.inputs]
        answers = [
            f'  {"answer" if answer.required else "maybe"} "{prompt}" {text.shown}'
            for answer, (prompt, text) in zip(self.command.answers, self.answers, strict=True)
        ]
        return [self.shown, *answers, *inputs]


@dataclass(frozen=True, slots=True)
class SshProgram:
    """A parsed body. Immutable."""

    sections: Mapping[Section, tuple[Command, ...]]

    @property
    def tags(self) -> frozenset[str]:
        commands = [command for section in self.sections.values() for command in section]
        return frozenset[str]().union(*(tags_of(text) for command in commands for text in command.texts))

    @property
    def settings(self) -> Mapping[str, str]:
        """A program of nothing but shells is for a device that runs no commands: a proof gets a shell too."""
        ways = {command.way for commands in self.sections.values() for command in commands}
        return {TERMINAL: "yes"} if ways == {Way.SHELL} else {}

    def has(self, section: Section) -> bool:
        return bool(self.sections.get(section))

    def render(self, section: Section, values: Values) -> tuple[Script, ...]:
        """The whole section with values in place: a bad value is found before the first line is sent."""
        return tuple(command.render(values) for command in self.sections.get(section, ()))

    def describe(self, values: Values) -> Sequence[str]:
        """What a dry run shows, secrets masked. Raises TemplateError for a value that does not fit."""
        lines: list[str] = []
        for section in self.sections:
            lines.append(f"[{section}]")
            lines += [line for script in self.render(section, values) for line in script.describe()]
        return lines


def _rendered(text: Text, values: Values, default: str) -> Rendered:
    rendered = join(text, values, ENCODERS, default)
    try:
        rendered.wire.reveal().encode()
    except UnicodeEncodeError:
        raise TemplateError(
            0, "a value holds half a character (a lone surrogate), which UTF-8 cannot carry"
        ) from None
    return rendered


def _needle(text: Text, values: Values) -> str:
    """A text that is looked for in the output; an empty one would be found at once."""
    needle = join(text, values, ENCODERS, "raw").wire.reveal()
    if not needle:
        raise TemplateError(0, "the text to look for is empty")
    return needle
