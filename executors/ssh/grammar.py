"""The grammar of ssh templates: line based, parsed before any value is known.

    [status] | [change] | [persist]     a section; what stands before the first one belongs to [change]
    # …                                 a comment, wherever the first character that is not blank is "#"
    run COMMAND                         exec channel without a terminal
    dialogue COMMAND                    exec channel on a terminal, for programs that ask
    shell                               the login shell on a terminal, for devices
      input TEXT                        one line of standard input, which ends after the last (`run` only)
      answer "PROMPT" TEXT              when PROMPT appears, send TEXT; in this order, each one needed
      maybe "PROMPT" TEXT               the same, where the target may or may not ask (not beside `input`)
      again OUTCOME "PROMPT"            asked once more than answered: OUTCOME (without it script_mismatch)
      refuse OUTCOME "TEXT"             output with TEXT ends the command
      fact NAME=VALUE "TEXT"            output with TEXT says a fact and ends the section well
      exit N|* OUTCOME                  what an exit status means; others than 0 are script_mismatch
      expect "TEXT"                     the output must hold TEXT
      capture NAME REGEX                the first group of REGEX is the fact NAME
      map NAME VALUE=RESULT …           translates what the capture above found
      until "PROMPT"                    where a shell stays when all is answered, for the next shell to go on
      timeout SECONDS                   without a byte, instead of the target's own

Options are indented and belong to the command above. In quotes, `\\"` is a quote, `\\\\` a backslash and
`\\n` the end of a line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from executors.contract import Outcome, Section, Tag, TemplateError, Text, parse_text
from executors.contract.parts import TAG
from executors.language.dialect import TERMINAL_WORDS
from executors.language.source import LINE_END
from executors.ssh.encoders import ENCODERS
from executors.ssh.program import Answer, Capture, Command, Ending, SshProgram, Telling, Way

SECTION = re.compile(r"\[([^\[\]#]*)\]")
QUOTED = re.compile(r'"((?:[^"\\]|\\["\\n])*)"(?:[ \t]+(.*)|)')
ESCAPE = re.compile(r'\\(["\\n])')
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
NAME = re.compile(r"[a-z][a-z0-9_]*")
LONGEST_TIMEOUT = 600.0  # seconds
MAYBE_AND_INPUT = "maybe and input do not go together: run cannot tell when its input may be sent; use answer"

FIELD_WORDS = TERMINAL_WORDS | {"end", "sleep", "use"}

Option = Callable[[Command, str], Command]


def is_own(body: str) -> bool:
    """Whether the body is of this grammar: it starts a command, or no line of it is the field's either."""
    lines = [line for line in LINE_END.split(body) if line.strip() and not line.lstrip().startswith("#")]
    if any(line.split()[0] in set(Way) for line in lines if line[0] not in " \t"):
        return True
    return not any(line.split()[0].lower() in FIELD_WORDS for line in lines)


def parse(body: str, first_line: int = 1) -> SshProgram:
    """Parse a body whose first line is `first_line` of its file. Raises TemplateError."""
    parser = _Parser()
    for number, line in enumerate(body.split("\n"), first_line):
        try:
            parser.take(number, line.removesuffix("\r"))
        except ValueError as error:
            raise TemplateError(number, str(error)) from None
    return SshProgram(MappingProxyType({section: tuple(lines) for section, lines in parser.sections.items()}))


class _Parser:
    def __init__(self) -> None:
        self.sections: dict[Section, list[Command]] = {}
        self._section = Section.CHANGE
        self._open = False  # a command stands above, to which an option can belong

    def take(self, number: int, line: str) -> None:
        text = line.strip(" \t")
        if not text or text.startswith("#"):
            return
        if CONTROL.search(text):
            raise ValueError("a control character")
        if line[0] in " \t":
            self._take_option(text)
        elif line.startswith("["):
            self._take_section(text)
        else:
            self.sections.setdefault(self._section, []).append(_command(number, text))
            self._open = True

    def _take_section(self, text: str) -> None:
        match = SECTION.fullmatch(text)
        if match is None:
            raise ValueError(
                "a section is a line of its own such as [change], and a tag cannot start a directive"
            )
        if match[1] not in set(Section):
            raise ValueError(f"unknown section [{match[1]}]; known: {_list(Section)}")
        self._section = Section(match[1])
        if self._section in self.sections:
            raise ValueError(f"the section [{match[1]}] stands here for the second time")
        self.sections[self._section] = []
        self._open = False

    def _take_option(self, text: str) -> None:
        word, rest = _split(text)
        if not self._open:
            raise ValueError("an option without a command above it; a command starts at the margin")
        if word not in OPTIONS:
            raise ValueError(f"unknown option {word!r}; known: {_list(OPTIONS)}")
        commands = self.sections[self._section]
        commands[-1] = OPTIONS[word](commands[-1], rest)


def _command(number: int, text: str) -> Command:
    word, rest = _split(text)
    if word not in set(Way):
        raise ValueError(f"unknown directive {word!r}; known: {_list(Way)}; options are indented")
    way = Way(word)
    if way is Way.SHELL and rest:
        raise ValueError("shell takes no command; answer its prompts instead")
    if way is not Way.SHELL and not rest:
        raise ValueError(f"{way} needs a command")
    return Command(number, way, _text(rest))


def _input(command: Command, rest: str) -> Command:
    if command.way is not Way.RUN:
        raise ValueError(f"input belongs to run; {command.way} has a terminal, so answer its prompts")
    if not all(answer.required for answer in command.answers):
        raise ValueError(MAYBE_AND_INPUT)
    return replace(command, inputs=(*command.inputs, _text(rest)))


def _answer(command: Command, rest: str) -> Command:
    prompt, text = _quoted(rest)
    return replace(command, answers=(*command.answers, Answer(prompt, _text(text), required=True)))


def _maybe(command: Command, rest: str) -> Command:
    if command.inputs:
        raise ValueError(MAYBE_AND_INPUT)
    prompt, text = _quoted(rest)
    return replace(command, answers=(*command.answers, Answer(prompt, _text(text), required=False)))


def _again(command: Command, rest: str) -> Command:
    return replace(command, repeats=(*command.repeats, _ending(rest)))


def _refuse(command: Command, rest: str) -> Command:
    return replace(command, refusals=(*command.refusals, _ending(rest)))


def _fact(command: Command, rest: str) -> Command:
    assignment, quoted = _split(rest)
    name, value = _assignment(assignment)
    telling = Telling(_name(name), value, _only_quoted(quoted))
    return replace(command, tellings=(*command.tellings, telling))


def _exit(command: Command, rest: str) -> Command:
    status, outcome = _split(rest)
    if status != "*" and not (status.isascii() and status.isdigit() and int(status) <= 255):
        raise ValueError(f"{status!r} is no exit status: 0 to 255, or * for every other one")
    key = None if status == "*" else int(status)
    if key in command.exits:
        raise ValueError(f"the exit status {status} has a meaning already")
    return replace(command, exits=MappingProxyType({**command.exits, key: _outcome(outcome)}))


def _expect(command: Command, rest: str) -> Command:
    return replace(command, expects=(*command.expects, _only_quoted(rest)))


def _until(command: Command, rest: str) -> Command:
    if command.way is not Way.SHELL:
        raise ValueError(f"until belongs to shell; {command.way} ends by itself")
    if command.until:
        raise ValueError("until stands here for the second time; a shell stays at one prompt")
    return replace(command, until=_only_quoted(rest))


def _capture(command: Command, rest: str) -> Command:
    name, pattern = _split(rest)
    if TAG.search(pattern):
        raise ValueError("a tag cannot stand in a pattern")
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the pattern does not compile: {error}") from None
    if not compiled.groups:
        raise ValueError("the pattern has no group (…) to capture")
    return replace(command, captures=(*command.captures, Capture(_name(name), compiled)))


def _map(command: Command, rest: str) -> Command:
    name, results = _split(rest)
    if not command.captures or command.captures[-1].name != name:
        raise ValueError(f"map {name} must stand below capture {name}")
    if not results:
        raise ValueError("map needs VALUE=RESULT")
    table = MappingProxyType(dict(_assignment(pair) for pair in results.split()))
    return replace(command, captures=(*command.captures[:-1], replace(command.captures[-1], results=table)))


def _timeout(command: Command, rest: str) -> Command:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", rest, re.ASCII) or not 0 < float(rest) <= LONGEST_TIMEOUT:
        raise ValueError(f"a timeout is a number of seconds, more than 0 and at most {LONGEST_TIMEOUT:.0f}")
    return replace(command, timeout=float(rest))


OPTIONS: Mapping[str, Option] = {
    "input": _input,
    "answer": _answer,
    "maybe": _maybe,
    "again": _again,
    "refuse": _refuse,
    "fact": _fact,
    "exit": _exit,
    "expect": _expect,
    "capture": _capture,
    "map": _map,
    "until": _until,
    "timeout": _timeout,
}


def _split(text: str) -> tuple[str, str]:
    """The first word, and the rest without the blanks around it."""
    word, *rest = text.split(None, 1)  # no blanks at the ends, no other white space in a line
    return word, rest[0] if rest else ""


def _text(text: str) -> Text:
    parts = parse_text(text)
    for part in parts:
        if isinstance(part, Tag) and part.encoder is not None and part.encoder not in ENCODERS:
            raise ValueError(f"unknown encoder {part.encoder!r}; known: {_list(ENCODERS)}")
    return parts


def _quoted(text: str) -> tuple[Text, str]:
    """A text in quotes, and what follows it."""
    match = QUOTED.fullmatch(text)
    if match is None:
        raise ValueError(
            'a text in quotes is missing or not closed: "…", with \\", \\\\ and \\n as the only escapes'
        )
    if not match[1]:
        raise ValueError("the text to look for is empty")
    return _text(ESCAPE.sub(_unescaped, match[1])), match[2] or ""


def _unescaped(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]


def _only_quoted(text: str) -> Text:
    quoted, rest = _quoted(text)
    if rest:
        raise ValueError(f"nothing may follow the text in quotes, but {rest!r} does")
    return quoted


def _ending(rest: str) -> Ending:
    word, quoted = _split(rest)
    outcome = _outcome(word)
    if outcome is Outcome.OK:
        raise ValueError("ok is no refusal; use expect or fact")
    return Ending(outcome, _only_quoted(quoted))


def _outcome(word: str) -> Outcome:
    if word not in set(Outcome):
        raise ValueError(f"unknown outcome {word!r}; known: {_list(Outcome)}")
    return Outcome(word)


def _name(word: str) -> str:
    if not NAME.fullmatch(word):
        raise ValueError(f"{word!r} cannot name a fact: small letters, digits and _")
    return word


def _assignment(pair: str) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not (name and equals and value):
        raise ValueError(f"{pair!r} is not NAME=VALUE")
    return name, value


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
