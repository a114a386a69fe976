"""What a telnet template wants of its login, read from its text."""

from __future__ import annotations

import pytest

from executors.contract import (
    Connecting,
    Failure,
    Login,
    Outcome,
    ProofKind,
    ProofPlan,
    Secret,
    Target,
    TemplateError,
    Transcript,
    Verdict,
)
from executors.telnet import TelnetExecutor

TELNET = TelnetExecutor()
LOGIN = Login("ann", Secret("S3cret-1"))


def settings(body: str) -> dict[str, str]:
    program = TELNET.parse(body)
    assert isinstance(program, Connecting)
    return dict(program.settings)


@pytest.mark.parametrize(
    "body",
    [
        'set-no-authenticate\nexpect "#"\n',
        'expect "*:"\nexec "[#USERNAME#]"\nexpect "*:"\nexec "[#CURRENT_PASSWORD#]"\nend\n',
        'expect "user:"\nexec "[#AUTH_USER#]"\n',
        'use telnet script\nexpect "menu"\nsend "1\\r"\n',
        'use telnet script\nsend "\\r"\nexpect "login"\nsend "[#USERNAME#]\\t[#CURRENT_PASSWORD#]\\r"\n',
    ],
)
def test_a_script_that_logs_in_is_left_to_it(body: str) -> None:
    assert settings(body)["login"] == "script"


@pytest.mark.parametrize(
    "body",
    [
        'expect "*#"\nexec "passwd [#USERNAME#]"\n',
        'expect ">"\nexec "enable"\nexpect "*assword:"\nexec "[#AUTH_PASSWORD#]"\n',
        'exec "conf t"\n',
    ],
)
def test_any_other_script_starts_behind_the_login(body: str) -> None:
    assert "login" not in settings(body)


def test_prompts_and_the_time_to_connect_are_known_before_the_login() -> None:
    found = settings(
        'set-username-prompt "Dispositivo:"\nset-password-prompt "Senha:"\nset-connect-timeout 30\nexec "x"\n'
    )
    assert found["username-prompt"] == "Dispositivo:"
    assert found["password-prompt"] == "Senha:"
    assert float(found["connect-timeout"]) == 30


@pytest.mark.parametrize(
    ("body", "line", "why"),
    [
        ("fly away\n", 1, "directive"),
        ('set-username-prompt "[#HOSTNAME#]:"\nexec "x"\n', 1, "no tag"),
        ('exec "[#NO_SUCH#]"\n', 1, "tag"),
        ("", 1, "nothing"),
    ],
)
def test_what_cannot_run_is_an_error_with_its_line(body: str, line: int, why: str) -> None:
    with pytest.raises(TemplateError, match=why) as caught:
        TELNET.parse(body)
    assert caught.value.line == line


def test_cleartext_is_refused_before_a_connection_is_made() -> None:
    target = Target("web1", "127.0.0.1", 23)
    with pytest.raises(Failure, match="allow it for this device: cleartext") as caught:
        TELNET.connect(target, LOGIN, Transcript())
    assert caught.value.outcome is Outcome.UNTRUSTED_HOST
    proof = TELNET.prove(target, LOGIN, ProofPlan(), Transcript())
    assert proof.verdict is Verdict.UNKNOWN


def test_a_proof_by_su_is_not_tried() -> None:
    proof = TELNET.prove(Target("web1", "127.0.0.1", 23), LOGIN, ProofPlan(ProofKind.SU), Transcript())
    assert proof.verdict is Verdict.UNKNOWN
