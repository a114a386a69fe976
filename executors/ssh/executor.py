"""The executor itself: its name, what it can do, and the four verbs."""

from __future__ import annotations

from executors.contract import (
    CONTRACT_VERSION,
    Capabilities,
    Connection,
    Login,
    Program,
    Proof,
    ProofKind,
    ProofPlan,
    SecretKind,
    Target,
    Transcript,
)
from executors.ssh import connection, grammar, proof
from executors.terminal import program

ACTIONS = (
    "change_secret",
    "remove_old_secret",
    "verify",
    "reconcile",
    "activate",
    "deactivate",
    "run_task",
)


class SshExecutor:
    """Targets that speak SSH: Unix-like systems, and devices with an interactive shell."""

    name = "ssh"
    contract_version = CONTRACT_VERSION
    capabilities = Capabilities(
        actions=frozenset(ACTIONS),
        proofs=frozenset({ProofKind.LOGIN, ProofKind.SU, ProofKind.NONE}),
        secret_kinds=frozenset({SecretKind.PASSWORD, SecretKind.SSH_KEY}),
    )

    def parse(self, body: str, first_line: int = 1) -> Program:
        """Parse a body whose first line is `first_line` of its file, in this executor's own language or the
        field's, whichever it is. Raises TemplateError."""
        if grammar.is_own(body):
            return grammar.parse(body, first_line)
        return program.parse(body, self.name, first_line, logs_in=lambda _: False)

    def connect(self, target: Target, login: Login, transcript: Transcript) -> Connection:
        """Connect and log in, once. Raises Failure."""
        return connection.connect(target, login, transcript)

    def prove(self, target: Target, login: Login, plan: ProofPlan, transcript: Transcript) -> Proof:
        """Try `login` on a fresh connection, once. Never raises Failure."""
        return proof.prove(target, login, plan, transcript)
