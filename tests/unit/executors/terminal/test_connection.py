"""Sections on one terminal, and what a terminal says first."""

from __future__ import annotations

import pytest

from executors.contract import Failure, Outcome, Section, Target, TemplateError, Transcript
from executors.ssh import SshExecutor, SshLegacyExecutor
from executors.terminal.connection import TerminalConnection, timed
from executors.terminal.greeting import heard_first
from tests.unit.executors.language.played import Closes, Hears, PlayedTerminal, Rests, Says, Turn, values

GIVEN = values(NEW_PASSWORD="n3w-Pass")


def opened(*turns: Turn) -> tuple[TerminalConnection, PlayedTerminal, list[str]]:
    terminal, closed = PlayedTerminal(turns), list[str]()
    connection = TerminalConnection(terminal, Transcript(), lambda: closed.append("yes"), terminal.clock)
    return connection, terminal, closed


def test_a_later_section_goes_on_where_the_one_before_stopped() -> None:
    program = SshExecutor().parse(
        '[change]\nexpect "#"\nexec "set [#NEW_PASSWORD#]"\nexpect "#"\nend\n'
        '[persist]\nexec "save"\nexpect "saved"\n'
    )
    connection, terminal, closed = opened(
        Says(b"r1#"), Hears(b"set n3w-Pass\n"), Says(b"\r\nr1#"), Hears(b"save\n"), Says(b"\r\nsaved\r\n")
    )
    assert connection.run(program, Section.CHANGE, GIVEN).outcome is Outcome.OK
    assert connection.run(program, Section.PERSIST, GIVEN).outcome is Outcome.OK
    assert terminal.is_over
    assert not closed


def test_a_section_that_there_is_not_is_an_error() -> None:
    connection, terminal, _ = opened(Says(b"r1#"))
    with pytest.raises(TemplateError, match=r"no section \[status\]"):
        connection.run(SshExecutor().parse('exec "x"\n'), Section.STATUS, GIVEN)
    assert terminal.heard == b""


def test_a_program_of_another_language_is_not_run() -> None:
    connection, terminal, _ = opened(Says(b"r1#"))
    with pytest.raises(TemplateError, match="field's language"):
        connection.run(SshExecutor().parse("run true\n"), Section.CHANGE, GIVEN)
    assert terminal.heard == b""


def test_a_closed_connection_runs_nothing() -> None:
    connection, terminal, closed = opened(Says(b"r1#"))
    connection.close()
    with pytest.raises(Failure, match="closed"):
        connection.run(SshExecutor().parse('exec "x"\n'), Section.CHANGE, GIVEN)
    assert (closed, terminal.heard) == (["yes"], b"")


def test_the_older_language_writes_whole_lines() -> None:
    connection, terminal, _ = opened(Says(b"r1#"), Hears(b"passwd\n"), Says(b"\r\nok"))
    program = SshLegacyExecutor().parse('read "*#"\nwrite "passwd"\nread "o*k"\n')
    assert connection.run(program, Section.CHANGE, GIVEN).outcome is Outcome.OK
    assert terminal.is_over


@pytest.mark.parametrize(("settings", "seconds"), [({}, 10.0), ({"connect-timeout": "30.0"}, 30.0)])
def test_a_program_may_say_how_long_connecting_takes(settings: dict[str, str], seconds: float) -> None:
    assert timed(Target("r1", "192.0.2.1", 22, settings=settings)).connect_timeout == seconds


def test_the_least_time_to_connect_is_five_seconds() -> None:
    settings = SshExecutor().parse('set-connect-timeout 1\nexec "x"\n').settings  # type: ignore[attr-defined]
    assert timed(Target("r1", "192.0.2.1", 22, settings=settings)).connect_timeout == 5


@pytest.mark.parametrize(
    ("turns", "text", "is_over"),
    [
        ([Rests(4), Says(b"\x1b[1mWelcome"), Rests(0.5), Says(b"\r\nr1# ")], "Welcome\nr1# ", False),
        ([Says(b"r1# "), Rests(2), Says(b"late")], "r1# ", False),
        ([Says(b"not available\r\n"), Closes()], "not available\n", True),
        ([], "", False),
    ],
)
def test_a_greeting_ends_where_the_terminal_rests(turns: list[Turn], text: str, is_over: bool) -> None:
    terminal = PlayedTerminal(turns)
    greeting = heard_first(terminal, Transcript(), terminal.clock)
    assert (greeting.text, greeting.is_over) == (text, is_over)


def test_a_greeting_without_end_is_cut() -> None:
    terminal = PlayedTerminal([Says(b"motd\r\n"), Rests(0.9)] * 1000)
    assert heard_first(terminal, Transcript(), terminal.clock).text.count("motd") < 40
