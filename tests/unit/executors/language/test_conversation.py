"""The dialogue with a terminal: what satisfies a wait, what it consumes, what fails, what is sent when."""

from __future__ import annotations

import pytest

from executors.contract import Outcome, Report, Secret, Section, TemplateError, Transcript, Value, ValueKind
from executors.language.parsing import parse
from executors.terminal.conversation import Conversation, connect_seconds, converse
from executors.terminal.screen import KEPT
from tests.unit.executors.language.played import Closes, Hears, PlayedTerminal, Rests, Says, Turn, values

GIVEN = values(USERNAME="bob", NEW_PASSWORD="n3w", AUTH_PASSWORD="adm1n")


def run(
    body: str, *turns: Turn, chunk: int = 65536, executor: str = "ssh", transcript: Transcript | None = None
) -> tuple[Report, PlayedTerminal]:
    terminal = PlayedTerminal(turns, chunk)
    steps = parse(body, executor, "change_secret").steps
    return converse(terminal, steps, GIVEN, transcript or Transcript(), terminal.clock), terminal


def says(text: str) -> Says:
    return Says(text.replace("\n", "\r\n").encode())


chunks = pytest.mark.parametrize("chunk", [65536, 3, 1])


# What satisfies a wait


@chunks
@pytest.mark.parametrize(
    ("pattern", "output"),
    [
        ("Success", "big Success!"),
        (":", "x:"),
        ("0", "10"),
        ("*#*", "host# "),
        ("New*password:", "New\nown password:"),
        ("*change the password?*", "Do you want to change the password? "),
        ("…press [ENTER]: ", "…press [ENTER]: "),
        ("*(config)#", "r1(config)#"),
        ("a.b", "a.b"),
    ],
)
def test_only_the_star_is_special_and_the_match_is_a_search(pattern: str, output: str, chunk: int) -> None:
    report, _ = run(f'expect "{pattern}"\n', says(output), Closes(), chunk=chunk)
    assert report.outcome is Outcome.OK


@chunks
@pytest.mark.parametrize(
    ("pattern", "output"),
    [("success", "Success"), ("a?b", "axb"), ("[ab]", "a"), ("a.b", "axb"), ("x*y", "y x")],
)
def test_what_does_not_stand_there_does_not_match(pattern: str, output: str, chunk: int) -> None:
    report, _ = run(f'expect "{pattern}"\n', says(output), chunk=chunk)
    assert report.outcome is Outcome.SCRIPT_MISMATCH


@chunks
def test_a_leading_star_does_not_swallow_the_second_prompt(chunk: int) -> None:
    body = 'expect "*password:"\nexec "a"\nexpect "*password:"\nexec "b"\nend'
    report, terminal = run(body, says("New password:Confirm password:"), Hears(b"a\nb\n"), chunk=chunk)
    assert report.outcome is Outcome.OK
    assert terminal.heard == b"a\nb\n"


@chunks
def test_a_match_consumes_what_came_before_it(chunk: int) -> None:
    report, _ = run('expect "two"\nexec "x"\nexpect "one"\n', says("one two"), Hears(b"x\n"), chunk=chunk)
    assert report.outcome is Outcome.TIMEOUT


@chunks
def test_a_star_in_a_value_is_a_star(chunk: int) -> None:
    given = values(USERNAME="a*b")
    terminal = PlayedTerminal([says("axb")], chunk)
    report = converse(
        terminal, parse('expect "[#USERNAME#]"', "ssh", "verify").steps, given, Transcript(), terminal.clock
    )
    assert report.outcome is Outcome.SCRIPT_MISMATCH


@chunks
def test_a_regular_expression_takes_a_value_literally(chunk: int) -> None:
    given = values(USERNAME="a.[b]")
    for output, outcome in (("uid=a.[b] ", Outcome.OK), ("uid=axb ", Outcome.SCRIPT_MISMATCH)):
        terminal = PlayedTerminal([says(output)], chunk)
        steps = parse('expect-regex "/uid=[#USERNAME#]\\s/"', "ssh", "verify").steps
        assert converse(terminal, steps, given, Transcript(), terminal.clock).outcome is outcome


@chunks
def test_a_regular_expression_takes_all_that_belongs_to_it_however_it_is_cut(chunk: int) -> None:
    body = 'expect-regex "/[0-9]+/"\nexec "x"\nexpect "2"\n'
    report, _ = run(body, says("12"), Hears(b"x\n"), chunk=chunk)
    assert report.outcome is Outcome.TIMEOUT, "the 2 was consumed with the 1"


def test_read_waits_for_plain_text() -> None:
    assert run('read "a*b"\n', says("a*b"))[0].outcome is Outcome.OK
    assert run('read "a*b"\n', says("axb"))[0].outcome is Outcome.SCRIPT_MISMATCH


@chunks
def test_control_sequences_are_no_part_of_the_text(chunk: int) -> None:
    report, _ = run(
        'expect "New password:"\n', Says(b"\x1b[1mNew \x1b[0m\x1b]0;t\x07pass\x00word:"), chunk=chunk
    )
    assert report.outcome is Outcome.OK


@chunks
def test_invalid_utf8_is_no_reason_to_stop(chunk: int) -> None:
    assert run('expect "ok"\n', Says(b"\xff\xfe\xc3ok"), chunk=chunk)[0].outcome is Outcome.OK


# The echo


@chunks
def test_the_echo_of_a_command_satisfies_no_wait(chunk: int) -> None:
    body = 'expect "#"\nexec "cat n3w.conf"\nexpect "*[#NEW_PASSWORD#]"\n'
    report, _ = run(
        body,
        says("host# "),
        Hears(b"cat n3w.conf\n", b"cat n3w.conf\r\n"),
        says("other\nhost# "),
        chunk=chunk,
    )
    assert report.outcome is Outcome.SCRIPT_MISMATCH
    report, _ = run(
        body, says("host# "), Hears(b"cat n3w.conf\n", b"cat n3w.conf\r\n"), says("pw=n3w\n"), chunk=chunk
    )
    assert report.outcome is Outcome.OK


@chunks
def test_an_echo_behind_the_rest_of_the_prompt_is_one(chunk: int) -> None:
    body = 'expect "Welcome"\nexec "show bob"\nexpect "bob"\n'
    turns = (says("Welcome"), Hears(b"show bob\n"), says(" to R1\nR1> show bob\nno such user\nR1> "))
    assert run(body, *turns, chunk=chunk)[0].outcome is Outcome.SCRIPT_MISMATCH


@chunks
def test_the_same_words_in_an_answer_are_no_echo(chunk: int) -> None:
    body = 'expect "#"\nexec "n3w"\nexpect "is n3w"\n'
    turns = (says("# "), Hears(b"n3w\n"), says("\nYour password is n3w\n"))
    assert run(body, *turns, chunk=chunk)[0].outcome is Outcome.OK


@chunks
def test_a_longer_word_at_the_beginning_is_no_echo(chunk: int) -> None:
    body = 'expect "#"\nexec "1"\nexpect "10 rows"\n'
    assert run(body, says("# "), Hears(b"1\n"), says("10 rows"), chunk=chunk)[0].outcome is Outcome.OK


@chunks
def test_lines_typed_ahead_are_found_behind_their_prompts(chunk: int) -> None:
    body = 'expect "#"\nexec "one"\nexec "two"\nexpect "two"\n'
    turns = (says("R# "), Hears(b"one\ntwo\n"), says("one\nR# two\nR# "))
    assert run(body, *turns, chunk=chunk)[0].outcome is Outcome.SCRIPT_MISMATCH


# no-expect


@chunks
def test_no_expect_fails_at_once_if_the_text_comes(chunk: int) -> None:
    report, terminal = run(
        'set-read-timeout 60\nexec "x"\nno-expect "Error"\nexec "y"\n',
        Hears(b"x\n"),
        says("Error 5\n"),
        chunk=chunk,
    )
    assert report.outcome is Outcome.SCRIPT_MISMATCH
    assert "Error" in report.message
    assert terminal.heard == b"x\n"


@chunks
def test_no_expect_waits_for_a_slow_error(chunk: int) -> None:
    turns = (says("# "), Hears(b"x\n", b"x\r\n"), Rests(20), says("Error\n"))
    body = 'set-read-timeout 30\nexpect "#"\nexec "x"\nno-expect "Error"\nend\n'
    assert run(body, *turns, chunk=chunk)[0].outcome is Outcome.SCRIPT_MISMATCH


@chunks
def test_no_expect_goes_on_when_the_target_is_quiet_and_consumes_nothing(chunk: int) -> None:
    body = 'set-read-timeout 60\nexec "x"\nno-expect "Error"\nexpect "fine"\nend\n'
    report, terminal = run(body, Hears(b"x\n"), says("fine\n"), chunk=chunk)
    assert report.outcome is Outcome.OK
    assert terminal.clock.time < 70


@chunks
def test_what_is_forbidden_stays_so_until_the_next_line_is_sent(chunk: int) -> None:
    body = 'set-read-timeout 30\nexec "x"\nno-expect "Error"\nexpect "#"\nexec "y"\nexpect "Error"\n'
    slow = (Hears(b"x\n"), says("working\n"), Rests(5), says("Error\n# "))
    assert run(body, *slow, chunk=chunk)[0].outcome is Outcome.SCRIPT_MISMATCH
    fine = (Hears(b"x\n"), says("done\n# "), Hears(b"y\n"), says("Error"))
    assert run(body, *fine, chunk=chunk)[0].outcome is Outcome.OK


@chunks
def test_the_known_broken_check_of_a_removed_user_always_fails(chunk: int) -> None:
    """Under the documented meaning of a search: the error's own text holds the name."""
    body = 'expect "#"\nexec "id [#USERNAME#]"\nno-expect "*[#USERNAME#]"\nend\n'
    turns = (says("# "), Hears(b"id bob\n", b"id bob\r\n"), says("id: 'bob': no such user\n# "))
    assert run(body, *turns, chunk=chunk)[0].outcome is Outcome.SCRIPT_MISMATCH


# Waiting again


@chunks
def test_the_same_prompt_again_is_satisfied_if_nothing_new_came(chunk: int) -> None:
    body = 'expect "*#*"\nsleep 20\nexpect "*#*"\nexec "x"\nend\n'
    report, terminal = run(body, says("host# "), Hears(b"x\n"), chunk=chunk)
    assert report.outcome is Outcome.OK
    assert terminal.clock.time >= 20


@chunks
def test_after_a_line_was_sent_the_old_prompt_satisfies_nothing(chunk: int) -> None:
    report, _ = run('expect "#"\nexec "x"\nexpect "#"\n', says("host# "), Hears(b"x\n"), chunk=chunk)
    assert report.outcome is Outcome.TIMEOUT


@chunks
def test_another_text_than_the_last_one_is_not_there_again(chunk: int) -> None:
    assert run('expect "#"\nexpect "done"\n', says("host# "), chunk=chunk)[0].outcome is not Outcome.OK


@chunks
def test_something_new_that_does_not_match_is_no_old_prompt(chunk: int) -> None:
    turns = (says("host# "), Rests(3), says("panic\n"))
    report, _ = run('expect "#"\nsleep 5\nexpect "#"\n', *turns, chunk=chunk)
    assert report.outcome is Outcome.SCRIPT_MISMATCH


# Sending


@pytest.mark.parametrize(("mode", "end"), [("unix", b"\n"), ('"windows"', b"\r\n"), ("mac", b"\r")])
def test_the_new_line_mode_ends_lines(mode: str, end: bytes) -> None:
    _, terminal = run(
        f'exec "a"\nset-new-line-mode {mode}\nexpect "#"\nexec "b"\nwrite "c"\n', Hears(b"a\n"), says("#")
    )
    assert terminal.heard == b"a\nb" + end + b"c"


def test_an_empty_exec_is_a_bare_new_line() -> None:
    assert run('exec ""\n')[1].heard == b"\n"


@chunks
def test_a_second_line_waits_until_the_target_is_quiet(chunk: int) -> None:
    turns = (
        says("# "),
        Hears(b"a\n"),
        says("working"),
        Rests(0.3),
        says("done\n# "),
        Hears(b"b\n"),
        says("ok"),
    )
    report, terminal = run('expect "#"\nexec "a"\nexec "b"\nexpect "ok"\n', *turns, chunk=chunk)
    assert report.outcome is Outcome.OK
    assert terminal.clock.time > 0.5


def test_the_last_line_is_given_time_before_the_connection_closes() -> None:
    report, terminal = run('expect "#"\nexec "save"\nend\n', says("#"), Hears(b"save\n"), says("saved"))
    assert report.outcome is Outcome.OK
    assert terminal.clock.time > 0


def test_nothing_runs_after_end() -> None:
    report, terminal = run('expect "#"\nend\nexec "reboot"\n', says("#"))
    assert report.outcome is Outcome.OK
    assert terminal.heard == b""


# How it goes wrong


def test_a_target_that_never_answers_is_a_timeout() -> None:
    report, terminal = run('set-read-timeout 7\nexpect "#"\n')
    assert report.outcome is Outcome.TIMEOUT
    assert terminal.clock.time == pytest.approx(7)


def test_a_target_that_closes_is_unreachable() -> None:
    report, _ = run('expect "#"\n', says("bye"), Closes())
    assert report.outcome is Outcome.UNREACHABLE
    assert "bye" in report.message


def test_the_read_timeout_may_change_on_the_way() -> None:
    turns = (says("#"), Hears(b"x\n"), Rests(50), says("ok"))
    assert run('expect "#"\nexec "x"\nset-read-timeout 100\nexpect "ok"\n', *turns)[0].outcome is Outcome.OK
    assert run('expect "#"\nexec "x"\nexpect "ok"\n', *turns)[0].outcome is Outcome.TIMEOUT


def test_a_flood_keeps_what_came_last() -> None:
    report, _ = run('expect "the end"\n', Says(b"x" * (KEPT * 3)), says("the end"), chunk=4096)
    assert report.outcome is Outcome.OK


def test_a_flood_without_end_is_stopped() -> None:
    report, _ = run('set-read-timeout 600\nexpect "never"\n', Says(b"y" * (9 * 1024 * 1024)))
    assert report.outcome is Outcome.SCRIPT_MISMATCH
    assert "MiB" in report.message


def test_messages_and_transcript_are_redacted() -> None:
    transcript = Transcript([Secret("n3wsecret")])
    terminal = PlayedTerminal([says("#"), Hears(b"n3wsecret\n", b"n3wsecret\r\n"), says("bad: n3wsecret\n")])
    given = {"NEW_PASSWORD": Value(ValueKind.SECRET, Secret("n3wsecret"))}
    steps = parse('expect "#"\nexec "[#NEW_PASSWORD#]"\nexpect "ok"\n', "ssh", "change_secret").steps
    report = converse(terminal, steps, given, transcript, terminal.clock)
    assert "n3wsecret" not in report.message + transcript.text()
    assert "n3wsecret" not in "".join(step.shown for step in report.steps)


def test_a_value_that_would_end_the_line_is_refused_before_anything_is_sent() -> None:
    terminal = PlayedTerminal([])
    steps = parse('exec "hello"\nexec "[#USERNAME#]"\n', "ssh", "verify").steps
    with pytest.raises(TemplateError, match="line 2"):
        converse(terminal, steps, values(USERNAME="a\nreboot"), Transcript(), terminal.clock)
    assert terminal.heard == b""


def test_a_tag_without_a_value_is_refused_before_anything_is_sent() -> None:
    terminal = PlayedTerminal([])
    with pytest.raises(TemplateError, match="IP"):
        converse(terminal, parse('exec "[#IP#]"', "ssh", "verify").steps, {}, Transcript(), terminal.clock)


def test_one_second_to_connect_becomes_five() -> None:
    assert connect_seconds(parse("set-connect-timeout 1", "ssh", "verify").steps, 10) == 5
    assert connect_seconds(parse("set-connect-timeout 20", "ssh", "verify").steps, 10) == 20
    assert connect_seconds(parse('exec "x"', "ssh", "verify").steps, 10) == 10


@chunks
def test_a_second_section_goes_on_where_the_first_one_stopped(chunk: int) -> None:
    body = 'set-new-line-mode windows\nexpect "#"\nexec "a"\nexpect "#"\n'
    body += '[persist]\nexpect "#"\nexec "write"\nexpect "OK"'
    parsed = parse(body, "ssh", "change_secret")
    terminal = PlayedTerminal(
        [says("r1# "), Hears(b"a\r\n", b"a\r\n"), says("r1# "), Hears(b"write\r\n"), says("OK\n")], chunk
    )
    conversation = Conversation(terminal, Transcript(), terminal.clock)
    for section in (Section.CHANGE, Section.PERSIST):
        assert conversation.run(parsed.section(section), GIVEN).outcome is Outcome.OK
    assert terminal.heard == b"a\r\nwrite\r\n"


# Tk Expect


@chunks
def test_lines_are_separated_by_the_prompt_that_set_prompt_names(chunk: int) -> None:
    body = 'use telnet\nset-prompt "> "\nexec "a"\nexec "b"\nexpect "DONE"\n'
    turns = (
        says("login > "),
        Rests(3),
        Hears(b"a\n"),
        says("wait\n"),
        Rests(1.5),
        says("> "),
        Hears(b"b\n"),
        says("DONE"),
    )
    report, terminal = run(body, *turns, chunk=chunk, executor="tk_expect")
    assert report.outcome is Outcome.OK
    assert terminal.is_over


TCL = """use ssh script
set timeout 5
expect {
    "*assword:" { send "[#NEW_PASSWORD#]\\r"; exp_continue }
    incorrect { send_user "no"; exit 1 }
    -re {[$#] $} { }
    timeout { exit 2 }
    eof { exit 3 }
}
send -- "bye\\r"
"""


@chunks
@pytest.mark.parametrize(
    ("turns", "outcome"),
    [
        (
            (
                says("password:"),
                Hears(b"n3w\r"),
                says("again password:"),
                Hears(b"n3w\r"),
                says("ok\n$ "),
                Hears(b"bye\r"),
            ),
            "ok",
        ),
        ((says("password:"), Hears(b"n3w\r"), says("Login incorrect\n")), "exit 1"),
        ((says("password:"), Hears(b"n3w\r")), "exit 2"),
        ((says("password:"), Hears(b"n3w\r"), Closes()), "exit 3"),
    ],
)
def test_clauses_choose_what_follows(turns: tuple[Turn, ...], outcome: str, chunk: int) -> None:
    report, terminal = run(TCL, *turns, chunk=chunk, executor="tk_expect")
    assert (report.outcome is Outcome.OK) == (outcome == "ok")
    assert outcome == "ok" or outcome in report.message
    assert terminal.is_over


def test_an_expect_without_a_timeout_clause_fails_instead_of_going_on() -> None:
    report, terminal = run('use ssh script\nexpect "x"\nsend "secret\\r"\n', executor="tk_expect")
    assert report.outcome is Outcome.TIMEOUT
    assert terminal.heard == b""


def test_going_round_has_an_end() -> None:
    body = 'use ssh script\nexpect { "x" { exp_continue } timeout { exit 1 } }\n'
    report, _ = run(body, Says(b"x" * 1000), executor="tk_expect")
    assert report.outcome is Outcome.SCRIPT_MISMATCH
