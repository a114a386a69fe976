"""Proof: try a secret once on a fresh connection and say what that showed."""

from __future__ import annotations

from executors.contract import (
    Failure,
    Literal,
    Login,
    Outcome,
    Proof,
    ProofKind,
    ProofPlan,
    SecretKind,
    Tag,
    Target,
    TemplateError,
    Transcript,
    Value,
    ValueKind,
    Verdict,
)
from executors.ssh.connection import SshConnection, connect
from executors.ssh.login import NotLoggedIn, log_in, prepare
from executors.ssh.path import Path, reach
from executors.ssh.program import Answer, Command, Ending, Way
from executors.ssh.shell import open_shell
from executors.terminal.connection import timed
from executors.terminal.greeting import heard_first
from executors.terminal.program import TERMINAL
from executors.terminal.words import ASKS_TO_CHANGE, ORDERS_TO_CHANGE

HARMLESS = Command(0, Way.RUN, (Literal("true"),))
SU_PROMPT = (Literal("Password:"),)
# What su(1) and PAM say, and what that says of the password. Every other failure says nothing of it:
# pam_wheel(8) denies whatever the password is.
SU_WORDS = {
    "Authentication failure": Outcome.BAD_LOGIN,
    "locked due to": Outcome.LOCKED_OUT,
    "required to change your password": Outcome.ACCOUNT_DISABLED,
    "account has expired": Outcome.ACCOUNT_DISABLED,
    "account is currently not available": Outcome.ACCOUNT_DISABLED,
}
SU_VERDICTS = {
    Outcome.OK: Verdict.OPENS,
    Outcome.BAD_LOGIN: Verdict.REFUSED,
    Outcome.LOCKED_OUT: Verdict.LOCKED,
    Outcome.ACCOUNT_DISABLED: Verdict.RESTRICTED,
}
SU = Command(
    0,
    Way.DIALOGUE,
    (Literal("su - "), Tag("USERNAME"), Literal(" -c true")),
    answers=(Answer(SU_PROMPT, (Tag("SECRET"),), required=True),),
    refusals=tuple(Ending(outcome, (Literal(words),)) for words, outcome in SU_WORDS.items()),
)


def prove(target: Target, login: Login, plan: ProofPlan, transcript: Transcript) -> Proof:
    """Try once. Never raises Failure: what went wrong is the verdict."""
    if plan.kind is ProofKind.NONE:
        return Proof(Verdict.UNKNOWN, plan.kind, "not tried: the policy asks for no proof")
    try:
        if plan.kind is ProofKind.SU:
            verdict, detail = _su(target, login, plan.via, transcript)
        else:
            verdict, detail = _log_in(target, login, transcript)
    except Failure as failure:
        verdict, detail = Verdict.UNKNOWN, failure.message
    except TemplateError as error:
        verdict, detail = Verdict.UNKNOWN, f"the secret cannot be typed at a prompt: {error.reason}"
    return Proof(verdict, plan.kind, transcript.redact(detail))


def _log_in(target: Target, login: Login, transcript: Transcript) -> tuple[Verdict, str]:
    key = prepare(login)
    path = reach(timed(target), login, transcript)
    try:
        log_in(path.transport, target, login, key, transcript)
        if TERMINAL in target.settings:
            return _try_shell(target, path, transcript)
        return _try_command(target, path, transcript)
    except NotLoggedIn as refusal:
        return refusal.verdict, refusal.message
    finally:
        path.close()


def _try_command(target: Target, path: Path, transcript: Transcript) -> tuple[Verdict, str]:
    """The secret is right by now; whether the account may also work is what the command shows."""
    try:
        ended = SshConnection(target, path, transcript).perform(HARMLESS.render({}))
    except Failure as failure:
        return Verdict.RESTRICTED, f"logged in, but no command could be run: {failure.message}"
    if ended.outcome is Outcome.OK:
        return Verdict.OPENS, ""
    return Verdict.RESTRICTED, f"logged in, but a harmless command {ended.message}"


def _try_shell(target: Target, path: Path, transcript: Transcript) -> tuple[Verdict, str]:
    """Devices with a shell of their own run no commands: what they say at its beginning has to do."""
    try:
        greeting = heard_first(open_shell(target, path.transport), transcript)
    except Failure as failure:
        return Verdict.RESTRICTED, f"logged in, but got no shell: {failure.message}"
    if ORDERS_TO_CHANGE.search(greeting.text) or ASKS_TO_CHANGE.search(greeting.text):
        return Verdict.RESTRICTED, "logged in, but the password must be changed first"
    if greeting.is_over:
        return Verdict.RESTRICTED, f"logged in, but the shell ended at once: {greeting.last_line}"
    return Verdict.OPENS, ""


def _su(target: Target, login: Login, via: Login | None, transcript: Transcript) -> tuple[Verdict, str]:
    if via is None or login.kind is not SecretKind.PASSWORD:
        return (
            Verdict.UNKNOWN,
            "su needs a password to try and another account to start from; name it in the profile",
        )
    if login.username.startswith("-"):
        return Verdict.UNKNOWN, "su would take this user name for an option"
    script = SU.render(
        {
            "USERNAME": Value(ValueKind.USERNAME, login.username),
            "SECRET": Value(ValueKind.SECRET, login.secret),
        }
    )
    with connect(target, via, transcript) as connection:
        ended = connection.perform(script)
    return SU_VERDICTS.get(ended.outcome, Verdict.UNKNOWN), ended.message
