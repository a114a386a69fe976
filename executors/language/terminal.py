"""What the dialects of terminals share: a table of directives, read line by line into steps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from executors.contract import Section
from executors.language.findings import Finding, finding
from executors.language.lines import Argument, Directive, argument, directive, first_word, seconds
from executors.language.patterns import Pattern, plain, regex, wildcard
from executors.language.source import Line
from executors.language.steps import (
    End,
    Forbid,
    NewLine,
    Option,
    Send,
    SetNewLine,
    SetTimeout,
    Sleep,
    Step,
    Timer,
    Wait,
)
from executors.language.tags import text_of

Read = Callable[[Directive, list[Finding]], Step | None]
SECTION = re.compile(r"\[(status|change|persist)\][ \t]*")
SWALLOWED = re.compile(
    r'(?:set-[a-z-]+|expect-regex|no-?expect|not-expect)\b|(?:exec|expect|write|read)[ \t]+"'
)
REGEX_SIGNS = re.compile(r"\[[^\]]+\][+{]|\\[dwsDWS.]|\.\*[A-Za-z]|\.\+|\([^)]*\|[^)]*\)|^/.*/[a-z]*$")


@dataclass(frozen=True, slots=True)
class SectionMark(Step):
    """What follows belongs to this section. The field's templates have none: all is `change`."""

    section: Section


def parse(
    lines: Iterable[Line], own: Mapping[str, Read], foreign: Mapping[str, Read], notes: list[Finding]
) -> tuple[Step, ...]:
    """Steps by the table `own`; directives of `foreign` dialects are understood, with a finding."""
    steps: list[Step] = []
    for line in lines:
        if not line.says_something:
            continue
        if mark := SECTION.fullmatch(line.text.strip()):
            steps.append(SectionMark(line.number, Section(mark[1])))
            continue
        found = directive(line)
        read = None if found is None else own.get(found.word) or foreign.get(found.word)
        if found is None or read is None:
            notes.append(finding("unknown-directive", line.number))
            continue
        if found.word not in own:
            notes.append(finding("foreign-directive", line.number, found.word))
        step = read(found, notes)
        if step is not None:
            steps.append(step)
    return tuple(steps)


def _one(found: Directive, notes: list[Finding]) -> Argument:
    """The argument of what is sent or waited for, with what is odd about it."""
    said = argument(found, notes)
    if said.raw and not said.quoted:
        swallowed = SWALLOWED.match(said.raw)
        notes.append(finding("swallowed-directive" if swallowed else "unquoted-argument", found.line))
    return said


def send_line(found: Directive, notes: list[Finding]) -> Step:
    return Send(found.line, _one(found, notes).text, newline=True)


def send_text(found: Directive, notes: list[Finding]) -> Step:
    return Send(found.line, _one(found, notes).text, newline=False)


def wildcard_of(found: Directive, notes: list[Finding]) -> Pattern:
    """A text with stars; noted if it looks like a regular expression."""
    said = _one(found, notes).string
    if REGEX_SIGNS.search(re.sub(r"\[#\w+#\]", "", said)):
        notes.append(finding("regex-in-wildcard", found.line))
    return wildcard(said)


def expect(found: Directive, notes: list[Finding]) -> Step:
    return Wait(found.line, wildcard_of(found, notes))


def expect_plain(found: Directive, notes: list[Finding]) -> Step:
    return Wait(found.line, plain(_one(found, notes).string))


def expect_regex(found: Directive, notes: list[Finding]) -> Step:
    pattern, codes = regex(_one(found, notes).regex)
    notes.extend(finding(code, found.line) for code in codes)
    return Wait(found.line, pattern)


def forbid(found: Directive, notes: list[Finding]) -> Step:
    return Forbid(found.line, wildcard_of(found, notes))


def forbid_spelt_otherwise(found: Directive, notes: list[Finding]) -> Step:
    notes.append(finding("negative-spelling", found.line, found.word))
    return forbid(found, notes)


def sleep(found: Directive, notes: list[Finding]) -> Step | None:
    time = seconds(found, notes)
    return None if time is None else Sleep(found.line, time)


def end(found: Directive, notes: list[Finding]) -> Step:
    if found.rest.strip():
        notes.append(finding("text-after-quote", found.line))
    return End(found.line)


def set_new_line(found: Directive, notes: list[Finding]) -> Step | None:
    said = argument(found, notes).string.strip().lower()
    if said not in set(NewLine):
        notes.append(finding("bad-choice", found.line, ", ".join(NewLine)))
        return None
    return SetNewLine(found.line, NewLine(said))


def timeout(timer: Timer) -> Read:
    def read(found: Directive, notes: list[Finding]) -> Step | None:
        time = seconds(found, notes)
        return None if time is None else SetTimeout(found.line, timer, time)

    return read


def option(count: int) -> Read:
    """A setting with so many arguments, the last one greedy."""

    def read(found: Directive, notes: list[Finding]) -> Step | None:
        values: list[str] = []
        rest = found.rest
        for _ in range(count - 1):
            word, rest = first_word(rest)
            values.append(word)
        if count:
            values.append(argument(Directive(found.line, found.word, rest), notes).string)
        if not all(values):
            notes.append(finding("missing-argument", found.line))
            return None
        return Option(found.line, found.word, tuple(text_of(value) for value in values))

    return read


def ssh_version(found: Directive, notes: list[Finding]) -> Step | None:
    said = argument(found, notes).string.strip()
    if said not in ("1", "2"):
        notes.append(finding("bad-choice", found.line, "1, 2"))
        return None
    return Option(found.line, found.word, (text_of(said),))


SHARED: Final[Mapping[str, Read]] = {
    "set-new-line-mode": set_new_line,
    "set-connect-timeout": timeout(Timer.CONNECT),
    "set-read-timeout": timeout(Timer.READ),
    "exec": send_line,
    "expect": expect,
    "expect-regex": expect_regex,
    "no-expect": forbid,
    "noexpect": forbid_spelt_otherwise,
    "not-expect": forbid_spelt_otherwise,
    "sleep": sleep,
    "end": end,
}
ALL: Final[Mapping[str, Read]] = {
    **SHARED,
    "set-ssh-version": ssh_version,
    "write": send_text,
    "send": send_text,
    "read": expect_plain,
    "set-username-prompt": option(1),
    "set-password-prompt": option(1),
    "set-no-authenticate": option(0),
    "set-prompt": option(1),
    "env": option(2),
}
"""What every terminal dialect understands, if only with a finding."""
