"""What a native `shell` takes for a prompt, and where it stays for the next one."""

from __future__ import annotations

import pytest

from executors.contract import Outcome, Secret, Section, TemplateError, Transcript, Value, ValueKind, Values
from executors.ssh import grammar
from executors.ssh.dialogue import Ended, converse
from executors.terminal.program import TERMINAL
from tests.unit.executors.ssh.scripted import Exits, Hears, Says, ScriptedStream, Silence, Turn

CHUNKS = pytest.mark.parametrize("chunk", [65536, 1], ids=["whole", "bytewise"])
SECRET: Values = {"NEW_PASSWORD": Value(ValueKind.SECRET, Secret("a#b(config)#"))}
TWO = 'shell\n  answer "#" first\n  until "#"\nshell\n  answer "#" second\n  until "#"\n'


def played(
    body: str, *turns: Turn, chunk: int = 65536, heard: str = "", values: Values | None = None
) -> Ended:
    """The first command of the body, against these turns, all of which happen."""
    script = grammar.parse(body).render(Section.CHANGE, values or {})[0]
    stream = ScriptedStream(turns, chunk)
    ended = converse(stream, script, Transcript(), silence=5.0, heard=heard)
    assert stream.finished
    return ended


@CHUNKS
def test_a_shell_stays_at_its_prompt_and_the_next_one_goes_on_there(chunk: int) -> None:
    body = 'shell\n  answer "#" show\n  until "#"\n'
    turns = (Says(b"sw1#"), Hears(b"show\n"), Says(b"show\r\nall is well\r\nsw1# "))
    first = played(body, *turns, chunk=chunk)
    assert (first.outcome, first.rest) == (Outcome.OK, "# ")
    assert first.rest is not None
    again = played(body, Hears(b"show\n"), Says(b"show\r\nsw1#"), chunk=chunk, heard=first.rest)
    assert (again.outcome, again.rest) == (Outcome.OK, "#")


@CHUNKS
def test_what_stands_in_the_middle_of_the_output_is_not_the_prompt(chunk: int) -> None:
    """Cisco's Nexus draws a bar of hashes while it saves."""
    bar = b"".join(b"[" + b"#" * n + b" " * (20 - n) + b"] %d%%\r" % (5 * n) for n in range(21))
    ended = played(
        'shell\n  answer "#" copy\n  expect "Copy complete"\n  until "#"\n',
        Says(b"sw1#"),
        Hears(b"copy\n"),
        Says(b"copy\r\n" + bar + b"\nCopy complete\r\nsw1#"),
        chunk=chunk,
    )
    assert (ended.outcome, ended.rest) == (Outcome.OK, "#")


@CHUNKS
def test_a_banner_that_holds_prompts_is_not_answered(chunk: int) -> None:
    ended = played(
        'shell\n  maybe "Password:" x\n  answer "#" show\n  until "#"\n',
        Says(b"####\r\nType your Password: never\r\n# sw9# #\r\nsw1#"),
        Hears(b"show\n"),
        Says(b"show\r\nsw1#"),
        chunk=chunk,
    )
    assert ended.outcome is Outcome.OK


@CHUNKS
@pytest.mark.parametrize("echo", ["set a#b(config)#\r\n", "set ************\r\n", ""])
def test_prompts_in_an_echoed_secret_are_none(chunk: int, echo: str) -> None:
    ended = played(
        'shell\n  answer "(config)#" set [#NEW_PASSWORD#]\n  answer "(config)#" end\n  until "#"\n',
        Says(b"sw1(config)#"),
        Hears(b"set a#b(config)#\n"),
        Says(echo.encode() + b"sw1(config)#"),
        Hears(b"end\n"),
        Says(b"end\r\nsw1#"),
        chunk=chunk,
        values=SECRET,
    )
    assert (ended.outcome, ended.message) == (Outcome.OK, "")


@CHUNKS
def test_what_is_said_before_a_line_is_repeated_is_no_prompt_for_the_next(chunk: int) -> None:
    ended = played(
        'shell\n  answer ">" enable\n  answer "#" show\n  until "#"\n',
        Says(b"sw1>"),
        Hears(b"enable\n"),
        Says(b"# late words of the banner #\r\nsw1>enable\r\nsw1#"),
        Hears(b"show\n"),
        Says(b"show\r\nsw1#"),
        chunk=chunk,
    )
    assert ended.outcome is Outcome.OK


@CHUNKS
def test_a_device_that_repeats_nothing_is_understood_too(chunk: int) -> None:
    turns = (
        Says(b"sw1>"),
        Hears(b"enable\n"),
        Says(b"\r\nsw1#"),
        Hears(b"show\n"),
        Says(b"all # well\r\nsw1#"),
    )
    body = 'shell\n  answer ">" enable\n  answer "#" show\n  expect "well"\n  until "#"\n'
    assert played(body, *turns, chunk=chunk).outcome is Outcome.OK


@CHUNKS
def test_a_prompt_that_may_be_answered_is_not_the_end(chunk: int) -> None:
    turns = (Says(b"#"), Hears(b"passwd\n"), Says(b"passwd\r\nnew:"), Hears(b"x\n"), Says(b"\r\n#"))
    body = 'shell\n  maybe "#" passwd\n  maybe "new:" x\n  expect "new:"\n  until "#"\n'
    assert played(body, *turns, chunk=chunk).outcome is Outcome.OK


@CHUNKS
def test_a_prompt_that_comes_back_unanswered_says_that_something_went_wrong(chunk: int) -> None:
    ended = played(
        'shell\n  answer "#" configure\n  answer "(config)#" end\n  until "#"\n',
        Says(b"sw1#"),
        Hears(b"configure\n"),
        Says(b"configure\r\nno way\r\nsw1#"),
        Exits(None),
        chunk=chunk,
    )
    assert (ended.outcome, ended.rest) == (Outcome.SCRIPT_MISMATCH, None)
    assert "no way" in ended.message


def test_what_is_expected_must_have_been_said_by_the_time_the_prompt_is_back() -> None:
    turns = (Says(b"#"), Hears(b"save\n"), Says(b"save\r\n#"))
    ended = played('shell\n  answer "#" save\n  expect "[OK]"\n  until "#"\n', *turns)
    assert (ended.outcome, ended.rest) == (Outcome.SCRIPT_MISMATCH, None)
    assert "did not say '[OK]'" in ended.message


def test_what_is_captured_or_told_counts_when_the_prompt_is_back() -> None:
    turns = (Says(b"#"), Hears(b"show\n"), Says(b"show\r\nlevel 15\r\n#"))
    captured = played('shell\n  answer "#" show\n  capture level level (\\d+)\n  until "#"\n', *turns)
    assert (captured.facts, captured.rest, captured.settled) == ({"level": "15"}, "#", False)
    told = played('shell\n  answer "#" show\n  fact status=usable "level 15"\n  until "#"\n', *turns)
    assert (told.facts, told.rest, told.settled) == ({"status": "usable"}, "#", True)


def test_a_shell_that_ends_before_its_prompt_is_back_did_not_go_well() -> None:
    ended = played('shell\n  answer "#" save\n  until "#"\n', Says(b"#"), Hears(b"save\n"), Exits(None))
    assert ended.outcome is Outcome.SCRIPT_MISMATCH
    assert "ended before '#'" in ended.message


def test_a_shell_that_never_comes_back_to_its_prompt_is_given_up() -> None:
    turns = (Says(b"#"), Hears(b"save\n"), Says(b"save\r\nbusy"), Silence(), Silence())
    assert played('shell\n  answer "#" save\n  until "#"\n', *turns).outcome is Outcome.TIMEOUT


def test_a_refusal_that_begins_with_the_end_of_a_line_is_quoted_without_it() -> None:
    turns = (Says(b"#"), Hears(b"save\n"), Says(b"save\r\n% No.\r\n#"))
    ended = played('shell\n  answer "#" save\n  refuse not_saved "\\n% "\n  until "#"\n', *turns)
    assert (ended.outcome, ended.message) == (Outcome.NOT_SAVED, "% No.")


@pytest.mark.parametrize(
    ("body", "line", "reason"),
    [
        ('run true\n  until "#"\n', 2, "until belongs to shell; run ends by itself"),
        ('dialogue passwd\n  until "#"\n', 2, "until belongs to shell"),
        ('shell\n  until "#"\n  until ">"\n', 3, "until stands here for the second time"),
        ("shell\n  until #\n", 2, "in quotes is missing"),
    ],
)
def test_an_until_out_of_place_is_named(body: str, line: int, reason: str) -> None:
    with pytest.raises(TemplateError) as caught:
        grammar.parse(body)
    assert caught.value.line == line
    assert reason in caught.value.reason


def test_a_program_of_shells_asks_for_a_shell_when_it_is_proven() -> None:
    assert grammar.parse(TWO).settings == {TERMINAL: "yes"}
    assert grammar.parse("run true\n" + TWO).settings == {}
