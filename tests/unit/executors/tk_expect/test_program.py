"""Which connection a Tk Expect template uses, and who logs in over it."""

from __future__ import annotations

import pytest

from executors.contract import Connecting, TemplateError
from executors.tk_expect import TkExpectExecutor

TK = TkExpectExecutor()


def settings(body: str) -> dict[str, str]:
    program = TK.parse(body)
    assert isinstance(program, Connecting)
    return dict(program.settings)


@pytest.mark.parametrize(
    ("body", "use", "by_script"),
    [
        ('use ssh\nexpect "$"\nexec "passwd"\n', "ssh", False),
        ('use ssh\nexpect "*ssword: "\nexec "[#AUTH_PASSWORD#]"\n', "ssh", True),
        ('use ssh script\nexpect "assword:"\nsend "[#COE_SENHA#]\\r"\n', "ssh", True),
        (
            'use ssh script\nexpect {\n "yes/no" { send "yes\\r"; exp_continue }\n'
            ' "assword:" { send "[#CURRENT_PASSWORD#]\\r" }\n}\n',
            "ssh",
            True,
        ),
        ('use ssh script\nexpect "#"\nsend "passwd\\r"\n', "ssh", False),
        ('use telnet\nset-prompt "> "\nexec "[#USERNAME#]"\nexec "[#CURRENT_PASSWORD#]"\n', "telnet", True),
        ('use telnet\nexpect "#"\nexec "conf t"\n', "telnet", False),
        ('use telnet script\nexpect "Menu"\nsend "1\\r"\n', "telnet", True),
    ],
)
def test_the_first_line_that_is_typed_shows_who_logs_in(body: str, use: str, by_script: bool) -> None:
    found = settings(body)
    assert found["use"] == use
    assert (found.get("login") == "script") is by_script


def test_without_a_use_line_it_is_ssh() -> None:
    assert "use" not in settings('expect "$"\nexec "passwd"\n')


@pytest.mark.parametrize("other", ["tds", "sqlplus"])
def test_other_connections_are_an_error(other: str) -> None:
    with pytest.raises(TemplateError, match=f"use {other}") as caught:
        TK.parse(f'# note\nuse {other}\nexec "x"\n', first_line=5)
    assert caught.value.line == 6
