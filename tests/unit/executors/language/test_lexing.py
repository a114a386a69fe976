"""Lines, arguments and tags: what is read from a line before any value is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.contract import Literal, Section, Tag
from executors.language.lines import argument, directive
from executors.language.parsing import parse
from executors.language.source import Line
from executors.language.steps import End, NewLine, Send, SetNewLine, SetTimeout, Sleep, Step, Timer, Wait
from executors.language.tags import shown, text_of


def arg(line: str) -> str:
    found = directive(Line(1, line))
    assert found
    return argument(found, []).string


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('exec "abc"', "abc"),
        ('exec   "abc"   ', "abc"),
        ("exec abc def  ", "abc def"),
        ('exec "edit "[#USERNAME#]""', 'edit "[#USERNAME#]"'),
        ('exec "echo \\$?"', "echo $?"),
        ('exec "a \\"b\\" c"', 'a "b" c'),
        ('exec "\\\\\\\\("', "\\\\("),
        ('exec "C:\\dir\\n"', "C:\\dir\\n"),
        ('exec "set ds [$AdminConfig getid x]"', "set ds [$AdminConfig getid x]"),
        ('expect "*]', "*]"),
        ('expect "*config)#*', "*config)#*"),
        ('expect "*#"', "*#"),
        ('expect "COMMAND EXECUTED"]', "COMMAND EXECUTED"),
        ('exec "%#sample"', "%#sample"),
        ("exec \u201cshow\u201d", "show"),
        ('exec "', ""),
        ("exec", ""),
        ('exec ""', ""),
        ('exec"glued"', "glued"),
        ('exec\t"tab"', "tab"),
        ('EXEC "x"', "x"),
        ('exec "ends with \\\\"', "ends with \\"),
        ('exec "left open \\"', 'left open "'),
        ("exec 'single'", "'single'"),
        ("exec \\$x", "\\$x"),
    ],
)
def test_an_argument_is_read_greedily_and_unescaped_in_quotes_alone(line: str, said: str) -> None:
    assert arg(line) == said


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[#USERNAME#]", (Tag("USERNAME"),)),
        ("[#username#]", (Tag("USERNAME"),)),
        ("[[#SECRET_IDENTIFIER#]].", (Literal("["), Tag("SECRET_IDENTIFIER"), Literal("]."))),
        ("[#COE_SENHA#]", (Tag("AUTH_PASSWORD"),)),
        ("[ENTER] [name='x'] [$Admin x]", (Literal("[ENTER] [name='x'] [$Admin x]"),)),
        ("[#a b#]", (Literal("[#a b#]"),)),
        ("[#[#IP#]#]", (Literal("[#"), Tag("IP"), Literal("#]"))),
    ],
)
def test_tags_are_innermost_and_in_any_case(text: str, parts: tuple[Literal | Tag, ...]) -> None:
    assert text_of(text) == parts


@pytest.mark.parametrize(
    ("body", "tag"),
    [
        ('exec "[#PASSWORD#]"', "NEW_PASSWORD"),
        ('exec "[#PASSWORD#]"\nexec "[#NEW_PASSWORD#]"', "CURRENT_PASSWORD"),
    ],
)
def test_password_means_the_new_one_where_no_other_is_named(body: str, tag: str) -> None:
    assert tag in parse(body, "ssh", "change_secret").tags


def test_password_means_the_current_one_where_nothing_is_changed() -> None:
    assert parse('exec "[#PASSWORD#]"', "ssh", "deactivate").tags == {"CURRENT_PASSWORD"}


def steps(body: str | bytes, executor: str = "ssh") -> tuple[Step, ...]:
    return parse(body, executor, "change_secret").steps


def test_a_comment_begins_a_line_and_only_there() -> None:
    found = steps('# no\n  ## no\nexec "a # b"\nexpect "*#"\n')
    assert [shown(text) for step in found for text in step.texts] == ["a # b", "#"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_marks_make_no_difference(end: str, mark: bytes) -> None:
    body = 'set-read-timeout 7\nexec "a"\nend'
    assert steps(mark + body.replace("\n", end).encode()) == steps(body)


def test_every_setting_and_directive_of_ssh_is_read() -> None:
    body = 'set-new-line-mode "mac"\nset-connect-timeout 9\nset-read-timeout 2.5\n'
    body += 'exec "a"\nwrite "b"\nsleep 3\nend'
    assert steps(body) == (
        SetNewLine(1, NewLine.MAC),
        SetTimeout(2, Timer.CONNECT, 9),
        SetTimeout(3, Timer.READ, 2.5),
        Send(4, (Literal("a"),), newline=True),
        Send(5, (Literal("b"),), newline=False),
        Sleep(6, 3),
        End(7),
    )


def test_write_and_read_of_the_legacy_dialect_are_exec_and_expect() -> None:
    legacy = steps('read "*x*"\nwrite "y"\nread "/[$]/"', "ssh_legacy")
    assert legacy == steps('expect "*x*"\nexec "y"\nexpect-regex "/[$]/"')


def test_send_of_telnet_has_no_new_line() -> None:
    assert steps('send "x"', "telnet") == (Send(1, (Literal("x"),), newline=False),)


@pytest.mark.parametrize(
    ("body", "script"),
    [
        ('expect "*:"\nexec "[#USERNAME#]"\n', True),
        ('expect "Username:"\nexec "[#AUTH_USER#]"\n', True),
        ('expect "*login: "\nexec "[#USERNAME#]"\n', True),
        ('expect "*>"\nexec "enable"\n', False),
        ('expect "*#"\nexec "[#USERNAME#]"\n', False),
        ('set-no-authenticate\nexpect "*>"\nexec "enable"\n', True),
        ('expect "*:"\nexec "4"\n', False),
    ],
)
def test_a_telnet_script_that_answers_the_login_prompt_does_the_login(body: str, script: bool) -> None:
    assert parse(body, "telnet", "change_secret").script_logs_in is script


def test_sections_are_a_line_of_their_own() -> None:
    parsed = parse('exec "a"\n[persist]\nexec "b"\n[status]\nexec "c"\n', "ssh", "change_secret")
    sections = {
        section: [shown(text) for step in parsed.section(section) for text in step.texts]
        for section in Section
    }
    assert sections == {Section.CHANGE: ["a"], Section.PERSIST: ["b"], Section.STATUS: ["c"]}
    assert not parse('exec "a"', "ssh", "change_secret").has(Section.PERSIST)


def test_a_wait_with_an_empty_text_is_a_wait() -> None:
    [step] = steps('expect ""')
    assert isinstance(step, Wait)


@given(st.text(max_size=60))
def test_an_argument_is_read_back_as_it_was_written(text: str) -> None:
    """Whatever is escaped by the rules is what is sent."""
    written = text.replace("\\", "\\\\").replace('"', '\\"')
    clean = "".join(char for char in text if char.isprintable())
    if text == clean and "[#" not in text:
        [step] = steps(f'exec "{written}"\n')
        assert isinstance(step, Send)
        assert shown(step.text) == text
