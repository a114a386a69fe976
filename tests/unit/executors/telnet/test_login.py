"""The built-in login: what it takes for a prompt, and what the answer says about the secret."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from executors.contract import Failure, Login, Outcome, Secret, SecretKind, Transcript, Verdict
from executors.telnet.login import NotLoggedIn, Prompts, log_in
from tests.unit.executors.language.played import Closes, Hears, PlayedTerminal, Rests, Says, Turn

LOGIN = Login("ann", Secret("S3cret-1"))
NAME: list[Turn] = [Says(b"vm login: "), Hears(b"ann\n", b"ann\r\n")]
BOTH: list[Turn] = [*NAME, Says(b"Password: "), Hears(b"S3cret-1\n", b"\r\n")]

chunks = pytest.mark.parametrize("chunk", [65536, 3, 1])


class Played(PlayedTerminal):
    back = b""

    def put_back(self, data: bytes) -> None:
        self.back = data


def logged_in(
    *turns: Turn,
    chunk: int = 65536,
    prompts: Prompts | None = None,
    login: Login = LOGIN,
    transcript: Transcript | None = None,
) -> Played:
    terminal = Played(turns, chunk)
    words = transcript or Transcript([login.secret])
    log_in(terminal, "web1", login, prompts or Prompts(), 15.0, words, terminal.clock)
    assert terminal.is_over
    return terminal


def failure(*turns: Turn, chunk: int = 65536, login: Login = LOGIN) -> Failure:
    with pytest.raises(Failure) as caught:
        logged_in(*turns, chunk=chunk, login=login)
    assert "S3cret-1" not in caught.value.message
    return caught.value


def refusal(turns: Sequence[Turn], chunk: int = 65536) -> NotLoggedIn:
    found = failure(*turns, chunk=chunk)
    assert isinstance(found, NotLoggedIn)
    return found


@chunks
@pytest.mark.parametrize("prompt", ["$ ", "# ", "r1>", "host% ", "Your choice : ", "[ann@vm ~]"])
def test_a_prompt_at_which_the_target_rests_is_the_end(prompt: str, chunk: int) -> None:
    terminal = logged_in(*BOTH, Says(b"Welcome\r\n" + prompt.encode()), chunk=chunk)
    assert terminal.back.endswith(b"Welcome\r\n" + prompt.encode())


@chunks
def test_text_that_only_looks_like_a_prompt_is_not_the_end(chunk: int) -> None:
    banner = b"Last login: "
    terminal = logged_in(
        *BOTH,
        Says(banner),
        Rests(0.1),
        Says(b"Sun Nov 22 on pts/1\r\nCPU: 95%"),
        Rests(0.3),
        Says(b" busy\r\n$ "),
        chunk=chunk,
    )
    assert terminal.back.endswith(b"busy\r\n$ ")


def test_a_slow_target_has_its_time() -> None:
    slow: list[Turn] = [NAME[0], Rests(4), NAME[1], Rests(6), *BOTH[2:], Rests(7), Says(b"$ ")]
    assert logged_in(*slow).back == b"\r\n$ "


def test_a_target_without_names_asks_for_the_password_only() -> None:
    logged_in(Says(b"\r\nUser Access Verification\r\n\r\nPassword: "), BOTH[3], Says(b"rtr1> "))


@pytest.mark.parametrize(
    "asked", ["Username:", "User Name : ", "userid: ", "account name>", "Usuário: ", "host1 login: "]
)
def test_names_are_asked_for_in_many_words(asked: str) -> None:
    logged_in(Says(asked.encode()), *BOTH[1:], Says(b"$ "))


def test_a_template_names_its_own_prompts() -> None:
    prompts = Prompts.of({"username-prompt": "Dispositivo:", "password-prompt": "Wort? "})
    logged_in(
        Says(b"login: is not it\r\nDispositivo: "),
        NAME[1],
        Says(b"Wort? "),
        *BOTH[3:],
        Says(b"> "),
        prompts=prompts,
    )


@chunks
@pytest.mark.parametrize(
    ("said", "outcome", "verdict"),
    [
        ("\r\nLogin incorrect\r\nvm login: ", Outcome.BAD_LOGIN, Verdict.REFUSED),
        ("Password: ", Outcome.BAD_LOGIN, Verdict.REFUSED),
        ("% Bad passwords\r\nPassword: ", Outcome.BAD_LOGIN, Verdict.REFUSED),
        ("The account is locked due to 3 failed logins.\r\nPassword: ", Outcome.LOCKED_OUT, Verdict.LOCKED),
        ("Your account has expired\r\nlogin: ", Outcome.ACCOUNT_DISABLED, Verdict.RESTRICTED),
        (
            "You are required to change your password immediately.\r\nCurrent password: ",
            Outcome.ACCOUNT_DISABLED,
            Verdict.RESTRICTED,
        ),
        ("Enter new password: ", Outcome.ACCOUNT_DISABLED, Verdict.RESTRICTED),
        ("Your password has expired.\r\nr1# ", Outcome.ACCOUNT_DISABLED, Verdict.RESTRICTED),
    ],
)
def test_a_refusal_says_what_it_says(said: str, outcome: Outcome, verdict: Verdict, chunk: int) -> None:
    found = refusal([*BOTH, Rests(3), Says(said.encode())], chunk)
    assert (found.outcome, found.verdict) == (outcome, verdict)


@pytest.mark.parametrize("said", ["Login incorrect\r\n", "Authentication failed.\r\n", "Access denied\r\n"])
def test_a_refusal_may_end_the_connection_or_the_talk(said: str) -> None:
    assert refusal([*BOTH, Says(said.encode()), Closes()]).verdict is Verdict.REFUSED
    assert refusal([*BOTH, Says(said.encode())]).verdict is Verdict.REFUSED


def test_failures_of_others_before_are_no_refusal() -> None:
    told = b"Last failed login: Sun Nov 22\r\nThere were 2 failed login attempts since the last login.\r\n$ "
    assert logged_in(*BOTH, Says(told)).back.endswith(told)


@pytest.mark.parametrize(
    ("turns", "outcome"),
    [
        ([], Outcome.TIMEOUT),
        ([Closes()], Outcome.UNREACHABLE),
        ([Says(b"Welcome\r\n")], Outcome.TIMEOUT),
        ([*NAME], Outcome.TIMEOUT),
        ([*BOTH], Outcome.TIMEOUT),
        ([*BOTH, Says(b"Motd without end\r\n")], Outcome.TIMEOUT),
        ([*BOTH, Closes()], Outcome.UNREACHABLE),
        ([Says(b"x" * 300_000)], Outcome.SCRIPT_MISMATCH),
    ],
)
def test_where_nothing_was_judged_nothing_is_said_of_the_secret(
    turns: Sequence[Turn], outcome: Outcome
) -> None:
    found = failure(*turns)
    assert found.outcome is outcome
    assert not isinstance(found, NotLoggedIn)


@pytest.mark.parametrize("login", [Login("ann", Secret("two\nlines")), Login("a\rb", Secret("x"))])
def test_what_would_end_the_line_is_not_typed(login: Login) -> None:
    found = failure(login=login)
    assert found.outcome is Outcome.BAD_LOGIN
    assert "two" not in found.message


def test_a_key_cannot_log_in() -> None:
    assert "passwords only" in failure(login=Login("ann", Secret("x"), SecretKind.SSH_KEY)).message


def test_a_target_that_echoes_the_password_is_redacted() -> None:
    transcript = Transcript([LOGIN.secret])
    logged_in(*BOTH[:3], Hears(b"S3cret-1\n", b"S3cret-1\r\n"), Says(b"$ "), transcript=transcript)
    assert "S3cret-1" not in transcript.text()
