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
    Transcript,
    Value,
    ValueKind,
    Verdict,
)
from executors.ssh.connection import SshConnection, connect
from executors.ssh.login import NotLoggedIn, log_in, prepare
from executors.ssh.path import Path, reach
from executors.ssh.program import Answer, Command, Ending, Way

HARMLESS = Command(0, Way.RUN, (Literal("true"),))
SU_PROMPT = (Literal("Password:"),)
SU_REFUSED = (Literal("Authentication failure"),)
SU = Command(
    0,
    Way.DIALOGUE,
    (Literal("su - "), Tag("USERNAME"), Literal(" -c true")),
    answers=(Answer(SU_PROMPT, (Tag("SECRET"),), required=True),),
    refusals=(Ending(Outcome.BAD_LOGIN, SU_REFUSED),),
    exits={None: Outcome.PERMISSION_DENIED},
)


def prove(target: Target, login: Login, plan: ProofPlan, transcript: Transcript) -> Proof:
    """Never raises Failure."""
    if plan.kind is ProofKind.NONE:
        return Proof(Verdict.UNKNOWN, plan.kind, "not tried: the policy asks for no proof")
    try:
        if plan.kind is ProofKind.SU:
            verdict, detail = _su(target, login, plan.via, transcript)
        else:
            verdict, detail = _log_in(target, login, transcript)
    except Failure as failure:
        verdict, detail = Verdict.UNKNOWN, failure.message
    return Proof(verdict, plan.kind, transcript.redact(detail))


def _log_in(target: Target, login: Login, transcript: Transcript) -> tuple[Verdict, str]:
    key = prepare(login)
    path = reach(target, transcript)
    try:
        log_in(path.transport, target, login, key, transcript)
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
    return _su_verdict(ended.outcome), ended.message


def _su_verdict(outcome: Outcome) -> Verdict:
    """su(1) ends with another status than 0 after the right password of an account that may not work."""
    return {
        Outcome.OK: Verdict.OPENS,
        Outcome.BAD_LOGIN: Verdict.REFUSED,
        Outcome.PERMISSION_DENIED: Verdict.RESTRICTED,
    }.get(outcome, Verdict.UNKNOWN)
