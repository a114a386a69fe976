"""The mirror: of each template a device that offers what each wait needs, and records what arrives.

What it proves: for every terminal template in tests/golden/field, with every hostile value in all of its
tags at once, the conversation that runs in production sends each byte that was written down by hand in
`NAME.lines` and no other; it begins no line before the device has asked for it; and it comes to its end. So
with a device that echoes and one that does not, with output in one piece and byte by byte, with escape
sequences and other lines around what is waited for, and with values that are themselves what the template
waits for or forbids.

What the device says is made of the parsed waits, what it must hear is not made of the parse at all.
test_golden_field.py is the other half: there what the device says was written by hand as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice, product
from pathlib import Path

import pytest

from executors.contract import Literal, Outcome, Report, Tag, TemplateError, Transcript, Values
from executors.emulated.channel import ConsoleChannel
from executors.emulated.console import Console
from executors.emulated.scripted import Offer, ScriptedDevice, Turn, dialogue_of
from executors.language import tcl
from executors.language.parsing import Parsed
from executors.language.patterns import Wildcard
from executors.language.steps import Forbid, Send, Wait, walk
from executors.terminal.conversation import converse
from tests.unit.executors.language.field import (
    CASES,
    HOSTILE,
    REFUSED,
    TERMINAL_CASES,
    all_values,
    heard_by_hand,
    parsed,
)

NOISE = "\x1b[2K\x1b]0;busy\x07one moment\n\x1b[1m"

each = pytest.mark.parametrize("path", TERMINAL_CASES, ids=lambda path: path.name)


class Listener(ConsoleChannel):
    """Records every byte, and each line that was begun while the device still had words to be read."""

    def __init__(self, console: Console, chunk: int) -> None:
        super().__init__(console, chunk=chunk)
        self.heard = b""
        self.early: list[bytes] = []

    def send(self, data: bytes) -> None:
        goes_on = self.heard and not self.heard.endswith((b"\r", b"\n"))
        if self.unread.strip() and not goes_on:
            self.early.append(data)
        self.heard += data
        super().send(data)


def mirrored(
    program: Parsed, given: Values, *, echoes: bool, chunk: int, noisy: bool
) -> tuple[Report, Listener, ScriptedDevice]:
    dialogue = dialogue_of(program.steps, given)
    device = ScriptedDevice(with_noise(dialogue) if noisy else dialogue, echoes=echoes)
    listener = Listener(device.open(), chunk)
    return converse(listener, program.steps, given, Transcript(), listener.clock), listener, device


def with_noise(dialogue: tuple[Turn, ...]) -> list[Turn]:
    return [Offer(NOISE + turn.text) if isinstance(turn, Offer) else turn for turn in dialogue]


@each
def test_the_device_hears_no_line_that_was_not_written_by_hand(path: Path) -> None:
    program = parsed(path)
    for value, way in zip(HOSTILE, ways(path), strict=False):
        check(path, program, all_values(value), *way)


@each
def test_values_that_look_like_what_is_waited_for_mislead_nobody(path: Path) -> None:
    program = parsed(path)
    for value in looks_like(program):
        for echoes in (False, True):
            check(path, program, all_values(value), echoes, 65536, False)


def ways(path: Path) -> Iterator[tuple[bool, int, bool]]:
    """Without end, all ways in turn; each template begins with another one, so that each value meets all."""
    every = list(product((False, True), (65536, 7, 1), (False, True)))
    return islice(cycle(every), TERMINAL_CASES.index(path), None)


def check(path: Path, program: Parsed, given: Values, echoes: bool, chunk: int, noisy: bool) -> None:
    report, listener, device = mirrored(program, given, echoes=echoes, chunk=chunk, noisy=noisy)
    told = (given["NEW_PASSWORD"].reveal(), echoes, chunk, noisy, report)
    assert listener.heard == heard_by_hand(path, given), told
    assert report.outcome is Outcome.OK, told
    assert listener.early == [] or takes_anything(program), told
    assert device.finished, told


def takes_anything(program: Parsed) -> bool:
    """Whether a wait is satisfied by any character: then the line's end in an echo will do."""
    waits = [step.pattern for step in walk(program.steps) if isinstance(step, Wait)]
    return any(isinstance(pattern, Wildcard) and not pattern.pieces for pattern in waits)


def looks_like(program: Parsed) -> list[str]:
    """The plain words of the template's own waits, alone and as the end of a value."""
    found = set()
    for step in walk(program.steps):
        pattern = step.pattern if isinstance(step, Wait | Forbid | tcl.Clause) else None
        if isinstance(pattern, Wildcard):
            found |= {part.text for piece in pattern.pieces for part in piece if isinstance(part, Literal)}
    return sorted(found | {f"x {word}" for word in found})


@each
def test_a_value_that_no_line_can_carry_is_refused_before_anything_is_sent(path: Path) -> None:
    program = parsed(path)
    typed = {part.name for step in walk(program.steps) if isinstance(step, Send) for part in tags_of(step)}
    plain = all_values("plain9")
    for name in typed:
        for value in REFUSED:
            device = ScriptedDevice(dialogue_of(program.steps, plain))
            listener = Listener(device.open(), 65536)
            given = {**plain, name: all_values(value)["NEW_PASSWORD"]}
            with pytest.raises(TemplateError) as refused:
                converse(listener, program.steps, given, Transcript(), listener.clock)
            assert listener.heard == b""
            assert refused.value.line > 0
            assert value not in str(refused.value)


def tags_of(step: Send) -> list[Tag]:
    return [part for part in step.text if isinstance(part, Tag)]


def test_there_are_enough_templates() -> None:
    assert len(TERMINAL_CASES) >= 120
    assert len(CASES) >= 150
