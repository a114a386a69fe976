"""Which of its two languages the ssh executor reads a body in."""

from __future__ import annotations

import pytest

from executors.contract import Section, TemplateError
from executors.ssh import SshExecutor
from executors.ssh.program import SshProgram
from executors.terminal.program import FieldProgram

SSH = SshExecutor()


@pytest.mark.parametrize(
    "body",
    [
        "run true\n",
        '[change]\n# exec "x"\ndialogue passwd\n  answer "New" [#NEW_PASSWORD#]\n  expect "done"\n',
        'shell\n  answer "#" x\n  expect "#"\n',
    ],
)
def test_a_body_with_a_command_of_its_own_is_native(body: str) -> None:
    assert isinstance(SSH.parse(body), SshProgram)


@pytest.mark.parametrize(
    "body",
    [
        'expect "$"\nexec "passwd"\nend\n',
        'set-connect-timeout 1\nexec clish\nexpect "*>"\n',
        '[status]\nexec "show clock"\nexpect "#"\n[change]\nexec "x"\n',
        '  expect "#"\nnoexpect "bad"',
        'use ssh\nexpect "$"\nexec "passwd"\n',
        '# a note\rexpect "$"\rexec "passwd"\r',
        '\ufeffexpect "$"\r\nexec "passwd"\r\n',
    ],
)
def test_a_body_of_the_fields_directives_is_the_fields(body: str) -> None:
    program = SSH.parse(body)
    assert isinstance(program, FieldProgram)
    assert program.has(Section.CHANGE)


def test_sections_of_the_fields_language_are_kept() -> None:
    program = SSH.parse('[status]\nexec "show"\n[persist]\nexec "write"\n')
    assert [section for section in Section if program.has(section)] == [Section.STATUS, Section.PERSIST]


@pytest.mark.parametrize(
    ("body", "line"),
    [("fly away\n", 1), ("[nowhere]\n", 1), ('expect "#"\nfly away\n', 2), ('exec "[#NO_SUCH#]"\n', 1)],
)
def test_what_is_neither_is_an_error_with_its_line(body: str, line: int) -> None:
    with pytest.raises(TemplateError) as caught:
        SSH.parse(body, first_line=7)
    assert caught.value.line == line + 6


def test_a_body_for_no_terminal_is_an_error() -> None:
    with pytest.raises(TemplateError, match="executor"):
        SSH.parse('start-at https://x/\nexec "x"\nclick a\nfill b c\n')
