"""The executor itself: its name, what it can do, and the four verbs."""

from __future__ import annotations

from executors.contract import (
    CONTRACT_VERSION,
    Capabilities,
    Connection,
    Failure,
    Login,
    Program,
    Proof,
    ProofKind,
    ProofPlan,
    SecretKind,
    Target,
    Transcript,
    Verdict,
)
from executors.telnet.login import NotLoggedIn, Prompts, log_in
from executors.telnet.wire import Wire, reach
from executors.terminal import program
from executors.terminal.channel import SystemClock
from executors.terminal.connection import TerminalConnection, timed

ACTIONS = frozenset({"change_secret", "verify", "reconcile", "activate", "deactivate", "run_task"})


class TelnetExecutor:
    """Devices that know nothing better. Each has to allow it: `Target.cleartext`."""

    name = "telnet"
    contract_version = CONTRACT_VERSION
    capabilities = Capabilities(
        actions=ACTIONS,
        proofs=frozenset({ProofKind.LOGIN, ProofKind.NONE}),
        secret_kinds=frozenset({SecretKind.PASSWORD}),
    )

    def parse(self, body: str, first_line: int = 1) -> Program:
        """Parse a body in the field's language. Raises TemplateError."""
        return program.parse(
            body,
            self.name,
            first_line,
            lambda parsed: (
                parsed.script_logs_in or program.is_tcl(parsed) or program.opens_with_login(parsed)
            ),
        )

    def connect(self, target: Target, login: Login, transcript: Transcript) -> Connection:
        """Connect and, unless the script does it, log in, once. Raises Failure."""
        return connect(target, login, transcript)

    def prove(self, target: Target, login: Login, plan: ProofPlan, transcript: Transcript) -> Proof:
        """Log in with `login` on a fresh connection, once. Never raises Failure."""
        return prove(target, login, plan, transcript)


def connect(target: Target, login: Login, transcript: Transcript) -> TerminalConnection:
    """Raises Failure."""
    wire = reach(timed(target), transcript)
    if target.settings.get(program.LOGIN) == program.BY_SCRIPT:
        transcript.note("the script logs in")
    else:
        _log_in(wire, target, login, transcript)
    return TerminalConnection(wire, transcript, wire.close)


def prove(target: Target, login: Login, plan: ProofPlan, transcript: Transcript) -> Proof:
    """Never raises Failure: what went wrong is the verdict."""
    if plan.kind is not ProofKind.LOGIN:
        return Proof(Verdict.UNKNOWN, plan.kind, f"not tried: telnet proves by login, not by {plan.kind}")
    verdict, detail = Verdict.OPENS, ""
    try:
        wire = reach(timed(target), transcript)
        _log_in(wire, target, login, transcript)
        wire.close()
    except NotLoggedIn as refusal:
        verdict, detail = refusal.verdict, refusal.message
    except Failure as failure:
        verdict, detail = Verdict.UNKNOWN, failure.message
    return Proof(verdict, plan.kind, transcript.redact(detail))


def _log_in(wire: Wire, target: Target, login: Login, transcript: Transcript) -> None:
    """The wire is closed if it fails."""
    prompts = Prompts.of(target.settings)
    try:
        log_in(wire, target.device, login, prompts, target.read_timeout, transcript, SystemClock())
    except BaseException:
        wire.close()
        raise
