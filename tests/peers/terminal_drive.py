"""One job with a template in the field's language, from the login to the proofs, as the engine does it."""

from __future__ import annotations

from dataclasses import dataclass

from executors.contract import (
    Executor,
    Login,
    Outcome,
    Proof,
    ProofPlan,
    Report,
    Secret,
    Target,
    Value,
    ValueKind,
    Values,
)
from executors.session import Job, Session
from tests.peers.ssh_drive import password

PASSWD = """
exec "LC_ALL=C passwd"
expect "Current password:"
exec "[#CURRENT_PASSWORD#]"
expect "New password:"
exec "[#NEW_PASSWORD#]"
expect "Retype new password:"
exec "[#NEW_PASSWORD#]"
expect "updated successfully"
exec "exit"
end
"""


@dataclass(frozen=True, slots=True)
class Done:
    report: Report
    new: Proof
    old: Proof


def values(executor: Executor, body: str, user: str, old: str, new: str) -> Values:
    """For exactly the tags of the body."""
    known = {
        "USERNAME": Value(ValueKind.USERNAME, user),
        "CURRENT_PASSWORD": Value(ValueKind.SECRET, Secret(old)),
        "AUTH_PASSWORD": Value(ValueKind.SECRET, Secret(old)),
        "NEW_PASSWORD": Value(ValueKind.SECRET, Secret(new)),
    }
    return {name: known[name] for name in executor.parse(body).tags}


def change(executor: Executor, body: str, target: Target, user: str, old: str, new: str) -> Done:
    """Change, then try both; no secret may be left in what people read."""
    login = password(user, old)
    job = Job(executor.name, body, 1, target, login, values(executor, body, user, old, new), (), 120.0)
    with Session(executor, job) as session:
        report = session.prepare()
        if report.outcome is Outcome.OK:
            report = session.apply()
        done = Done(
            report, session.prove(Login(user, Secret(new)), ProofPlan()), session.prove(login, ProofPlan())
        )
        written = session.transcript() + repr(done)
    assert old not in written
    assert new not in written
    return done
