"""Command lines of network devices: modes with tables of commands, abbreviated as the device allows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Final

from executors.emulated.account import Refusal
from executors.emulated.console import Interrupted, Talk
from executors.emulated.session import Session
from executors.emulated.trouble import Point

Act = Callable[[Any, "re.Match[str]"], "Talk[None] | None"]
ELEMENT = re.compile(
    r"<(?P<name>\w+)(?P<rest>\*?)>|(?P<least>(?:[^\s<>\[\]|\\]|\\.)+)(?:\|(?P<more>[^\s<>\[\]]+))?"
)
WORD: Final = r'(?:"(?:[^"\\]|\\.)*"|[^\s"]\S*)'

NO_ACCOUNT: Final = "no such account\n"
FORCED_TRIES: Final = 3
MOST_MISSING: Final = 4  # words


@dataclass(frozen=True)
class Command:
    pattern: re.Pattern[str]
    act: Act
    privilege: int


@dataclass(frozen=True)
class Mode:
    """`prompt` may name {host}, {user} and {where} (the object that is being edited)."""

    prompt: str
    commands: tuple[Command, ...]


def command(syntax: str, act: Act, privilege: int = 0) -> Command:
    """`conf|igure t|erminal`: words with the part that may be left out; `<name>`: a word, quoted or not;
    `<name*>`: the rest of the line; `[a b]`: optional words; `\\[`: a bracket.
    """
    return Command(_pattern(syntax), act, privilege)


@cache
def _pattern(syntax: str) -> re.Pattern[str]:
    out, at, blank, rest = "", 0, False, False
    while at < len(syntax):
        found = ELEMENT.match(syntax, at)
        if found is None:
            blank |= syntax[at].isspace()
            out += {"[": "(?:", "]": ")?"}.get(syntax[at], "")
            at += 1
            continue
        # The blank belongs to the word behind it, so that an optional word takes its blank along.
        out += (r"\s+" if blank else "") + _element(found)
        at, blank, rest = found.end(), False, bool(found["rest"])
    return re.compile(out + ("" if rest else r"\s*"), re.DOTALL)


def _element(found: re.Match[str]) -> str:
    if found["name"]:
        return f"(?P<{found['name']}>{'.+' if found['rest'] else WORD})"
    pattern = re.escape(re.sub(r"\\(.)", r"\1", found["least"]))
    more = found["more"] or ""
    return pattern + "".join(f"(?:{re.escape(char)}" for char in more) + ")?" * len(more)


def value(text: str) -> str:
    """A value as most command lines read it: quotes taken off, a backslash before a character taken off."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


class Cli(Session):
    """A device with modes. Words are data of the class; `{caret}` stands under what is not understood."""

    modes: ClassVar[Mapping[str, Mode]]
    first: ClassVar[str] = "exec"
    invalid: ClassVar[str]
    incomplete: ClassVar[str] = ""
    forbidden: ClassVar[str] = ""  # "" if commands above one's privilege do not exist
    goodbye: ClassVar[str] = ""
    comment: ClassVar[str] = ""
    lock_held: ClassVar[str]  # {holder} has the configuration lock
    expired: ClassVar[str]  # before the questions for a new password at login
    new_prompts: ClassVar[tuple[str, str]]
    differ: ClassVar[str]  # the two answers were not the same
    refused: ClassVar[Mapping[Refusal, str]]

    mode = ""
    where = ""
    level = 0

    def work(self) -> Talk[None]:
        self.enter(self.first)
        self.level = self.starting_level()
        while self.mode:
            try:
                self.at(Point.PROMPT)
                line = yield from self.ask(self.prompt, helps=True)
                yield from self.obey(line)
            except Interrupted:
                self.interrupted()
        self.say(self.goodbye)

    def run_one(self, command: str) -> Talk[None]:
        self.enter(self.first)
        self.level = self.starting_level()
        yield from self.obey(command)

    def forced_change(self) -> Talk[bool]:
        self.say(self.expired)
        for _ in range(FORCED_TRIES):
            if (yield from self.new_for(self.user.name)):
                return True
        return False

    def new_for(self, name: str) -> Talk[bool]:
        """Ask for a new password and set it."""
        new = yield from self.twice(*self.new_prompts)
        if new is None:
            self.say(self.differ)
            return False
        return self.answered(self.change(name, new))

    def answered(self, refusal: Refusal | None) -> bool:
        """Say why a password is not taken. True if it is."""
        self.say(self.refused.get(refusal, NO_ACCOUNT) if refusal else "")
        return refusal is None

    def is_held(self) -> bool:
        """Whether somebody else has the configuration lock, and say so."""
        holder = self.device.lock_holder
        if holder is not None:
            self.say(self.lock_held.format(holder=holder))
        return holder is not None

    def starting_level(self) -> int:
        return self.user.privilege

    def interrupted(self) -> None:
        """Control-C was typed, at a command line or at a question."""

    @property
    def prompt(self) -> str:
        return self.modes[self.mode].prompt.format(
            host=self.device.platform.hostname, user=self.user.name, where=self.where
        )

    def enter(self, mode: str, where: str = "") -> None:
        self.mode, self.where = mode, where

    def leave(self, _: re.Match[str] | None = None) -> None:
        self.mode = ""

    def quiet(self, _: re.Match[str]) -> None:
        """A command that is taken and has nothing to say."""

    def unpaged(self, _: re.Match[str]) -> None:
        self.pages = False

    def obey(self, line: str) -> Talk[None]:
        line = line.lstrip()
        if not line or (self.comment and line.startswith(self.comment)):
            return
        found = self._found(line)
        if found is None:
            self.say(self._not_understood(line))
            return
        done, match = found
        if self.level < done.privilege:
            self.say(self.forbidden.format(line=line.strip(), user=self.user.name))
            return
        talk = done.act(self, match)
        if talk is not None:
            yield from talk

    def _found(self, line: str) -> tuple[Command, re.Match[str]] | None:
        for each in self.modes[self.mode].commands:
            if self.level < each.privilege and not self.forbidden:
                continue
            match = each.pattern.fullmatch(line)
            if match is not None:
                return each, match
        return None

    def _not_understood(self, line: str) -> str:
        word = line.split(maxsplit=1)[0]
        if self.incomplete and any(
            self._found(line.rstrip() + " x" * more) for more in range(1, MOST_MISSING)
        ):
            return self.incomplete.format(line=line.strip(), word=word)
        caret = " " * len(self.prompt.rpartition("\n")[2]) + "^"
        return self.invalid.format(caret=caret, line=line.strip(), word=word)
