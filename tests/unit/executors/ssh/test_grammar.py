"""The grammar of ssh templates: what it takes, what it refuses in which line, values that it never reads."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import templates
from engine.templating.header import parse_file
from executors.contract import Outcome, Secret, Section, TemplateError, Value, ValueKind
from executors.ssh import SshExecutor, grammar
from executors.ssh.program import SshProgram, Way

LINUX = sorted((Path(templates.__file__).parent / "linux").glob("*.template"))
WRONG = [
    ("walk away", 1, "unknown directive"),
    ("run", 1, "needs a command"),
    ("dialogue ", 1, "needs a command"),
    ("shell now", 1, "takes no command"),
    ("  input x", 1, "without a command"),
    ("run a\n[persist]\n  input x", 3, "without a command"),
    ("run a\n  output x", 2, "unknown option"),
    ("dialogue a\n  input x", 2, "input belongs to run"),
    ('run a\n  input z\n  maybe "x" y', 3, "do not go together"),
    ('run a\n  maybe "x" y\n  input z', 3, "do not go together"),
    ('run a\n  answer "x y', 2, "not closed"),
    ("run a\n  answer x y", 2, "not closed"),
    ('run a\n  answer "x\\t" y', 2, "not closed"),
    ('run a\n  answer "" y', 2, "empty"),
    ('run a\n  answer "x"y', 2, "not closed"),
    ('run a\n  refuse sometimes "x"', 2, "unknown outcome"),
    ('run a\n  refuse ok "x"', 2, "no refusal"),
    ('run a\n  again OK "x"', 2, "unknown outcome"),
    ('run a\n  expect "x" y', 2, "nothing may follow"),
    ("run a\n  exit x ok", 2, "no exit status"),
    ("run a\n  exit 256 ok", 2, "no exit status"),
    ("run a\n  exit -1 ok", 2, "no exit status"),
    ("run a\n  exit ² ok", 2, "no exit status"),
    ("run a\n  exit 1", 2, "unknown outcome"),
    ("run a\n  exit 1 ok\n  exit 1 unknown", 3, "already"),
    ("run a\n  capture x (", 2, "does not compile"),
    ("run a\n  capture x abc", 2, "no group"),
    ("run a\n  capture X (a)", 2, "cannot name a fact"),
    ("run a\n  capture x ([#USERNAME#])", 2, "tag"),
    ("run a\n  map x a=b", 2, "must stand below"),
    ("run a\n  capture x (a)\n  map x", 3, "VALUE=RESULT"),
    ("run a\n  capture x (a)\n  map x a", 3, "NAME=VALUE"),
    ('run a\n  fact x "y"', 2, "NAME=VALUE"),
    ("run a\n  timeout soon", 2, "seconds"),
    ("run a\n  timeout 0", 2, "seconds"),
    ("run a\n  timeout 1e9", 2, "seconds"),
    ("run a\n  timeout 601", 2, "seconds"),
    ("# fine\n[cleanup]", 2, "unknown section"),
    ("[status] run a", 1, "line of its own"),
    ("[#NEW_PASSWORD#]", 1, "a tag cannot start"),
    ("[change]\n[change]", 2, "second time"),
    ("run a\n[change]", 2, "second time"),
    ("run a\x00b", 1, "control character"),
    ("run a\n  input x\x1b[A", 2, "control character"),
    ("run a\n  input [#X|base64#]", 2, "unknown encoder"),
]


def secret(text: str) -> Value:
    return Value(ValueKind.SECRET, Secret(text))


@pytest.mark.parametrize(("body", "line", "reason"), WRONG)
def test_what_is_malformed_is_refused_with_its_line(body: str, line: int, reason: str) -> None:
    with pytest.raises(TemplateError) as caught:
        grammar.parse(body, first_line=11)
    assert caught.value.line == line + 10
    assert reason in caught.value.reason


@given(st.text())
def test_any_text_is_either_a_program_or_a_template_error(body: str) -> None:
    with contextlib.suppress(TemplateError):
        assert isinstance(grammar.parse(body), SshProgram)


def test_options_belong_to_the_command_above() -> None:
    program = grammar.parse(
        "# a comment\n\trun late\n".replace("\t", "")
        + "  timeout 2.5\n\n   # another\n  exit 3 too_soon\n  exit * unknown\n"
        + '[status]\r\ndialogue early\r\n\texpect "a \\"quoted\\" \\\\ text"\r\n'
    )
    [late] = program.sections[Section.CHANGE]
    [early] = program.sections[Section.STATUS]
    assert (late.way, late.line, late.timeout) == (Way.RUN, 2, 2.5)
    assert late.exits == {3: Outcome.TOO_SOON, None: Outcome.UNKNOWN}
    assert early.render({}).expects == ('a "quoted" \\ text',)
    assert not program.has(Section.PERSIST)


def test_a_section_without_commands_is_no_section() -> None:
    assert not grammar.parse("[change]\n# nothing").has(Section.CHANGE)


def test_tags_are_named_wherever_they_stand() -> None:
    body = (
        'dialogue a [#A#]\n  answer "b [#b#]" [#C#]\n  refuse unknown "[#D#]"\n  expect "[#E#]"\n'
        "run x\n  input [#F#]"
    )
    assert grammar.parse(body).tags == frozenset("ABCDEF")


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\u2028\u2029")))
def test_a_value_in_a_command_is_one_word_of_the_shell(value: str) -> None:
    [script] = _program("run passwd [#NAME#] x").render(
        Section.CHANGE, {"NAME": Value(ValueKind.TEXT, value)}
    )
    assert shlex.split(script.text.wire.reveal()) == ["passwd", value, "x"]


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\u2028\u2029")))
def test_a_value_in_a_line_arrives_as_it_is(value: str) -> None:
    [script] = _program("run x\n  input a:[#NEW_PASSWORD#]").render(
        Section.CHANGE, {"NEW_PASSWORD": secret(value)}
    )
    assert script.inputs[0].wire.reveal() == f"a:{value}"
    assert script.inputs[0].shown == "a:********"


@given(st.text())
def test_a_value_is_sent_whole_or_not_at_all(value: str) -> None:
    program = _program("run x\n  input [#NEW_PASSWORD#]")
    with contextlib.suppress(TemplateError):
        [script] = program.render(Section.CHANGE, {"NEW_PASSWORD": secret(value)})
        assert script.inputs[0].wire.reveal() == value


def test_a_value_that_does_not_fit_is_not_quoted() -> None:
    with pytest.raises(TemplateError) as caught:
        _program("\n\nrun x\n  input [#V#]").describe({"V": secret("very-secret\n")})
    assert caught.value.line == 3
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "\x00", "\x03", "a\u2028b", "\x85", "\udc80"])
def test_a_value_that_would_end_its_line_is_refused(value: str) -> None:
    with pytest.raises(TemplateError):
        _program('dialogue x\n  answer "y" [#V#]').describe({"V": secret(value)})


def test_a_user_name_with_a_colon_cannot_stand_before_one() -> None:
    program = _program("run chpasswd\n  input [#USERNAME|field#]:x")
    with pytest.raises(TemplateError, match=r"line 1: .*colon"):
        program.describe({"USERNAME": Value(ValueKind.TEXT, "root:y")})


def test_a_tag_without_a_value_is_named_with_its_line() -> None:
    with pytest.raises(TemplateError, match=r"line 1: the tag \[#V#\] has no value here"):
        _program("run x [#V#]").describe({})


def test_a_text_to_look_for_may_not_become_empty() -> None:
    with pytest.raises(TemplateError, match="empty"):
        _program('run x\n  expect "[#V#]"').describe({"V": Value(ValueKind.TEXT, "")})


def test_a_description_shows_what_is_sent_but_no_secret() -> None:
    body = (
        '[status]\nrun id [#U#]\n[change]\ndialogue su [#U#]\n  answer "P [#U#]" [#S#]\n  maybe "Q" ok\n'
        "run x\n  input [#S#]"
    )
    lines = _program(body).describe({"U": Value(ValueKind.USERNAME, "o'neil"), "S": secret("hunter-2")})
    assert lines == [
        "[status]",
        "run id 'o'\\''neil'",
        "[change]",
        "dialogue su 'o'\\''neil'",
        '  answer "P o\'neil" ********',
        '  maybe "Q" ok',
        "run x",
        "  input ********",
    ]


@pytest.mark.parametrize("path", LINUX, ids=lambda path: path.stem)
def test_a_shipped_template_parses_and_declares_the_tags_it_uses(path: Path) -> None:
    file = parse_file(path.read_bytes(), path.name)
    program = grammar.parse(file.body, file.first_line_of_body)
    assert file.tags is not None
    assert program.tags == frozenset(file.tags)
    assert (file.name, file.executor, file.platform) == (path.stem, "ssh", "linux")
    assert file.action in SshExecutor.capabilities.actions
    assert program.has(Section.STATUS)


def test_the_library_for_linux_is_complete() -> None:
    assert len(LINUX) == 17


def _program(body: str) -> SshProgram:
    return grammar.parse(body)


def test_a_program_of_shells_alone_wants_its_secrets_proven_at_a_terminal() -> None:
    assert grammar.parse('shell\n  answer "# " x\n[status]\nshell').settings == {"terminal": "yes"}
    assert grammar.parse('run passwd\n[status]\nshell\n  answer "# " x').settings == {}
