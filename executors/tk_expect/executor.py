"""Tk Expect: `use ssh` or `use telnet`, with the small language or the Tcl subset on it."""

from __future__ import annotations

from executors import telnet
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
    TemplateError,
    Transcript,
)
from executors.language.parsing import Parsed
from executors.ssh import connection as ssh
from executors.ssh import proof as ssh_proof
from executors.telnet import executor as telnet_verbs
from executors.terminal import program
from executors.terminal.connection import TerminalConnection, timed
from executors.terminal.program import USE, FieldProgram
from executors.tk_expect.client import SshClient

SSH, TELNET = "ssh", "telnet"


class TkExpectExecutor:
    """Without a `use` line it is ssh, as the field's templates that lack it mean."""

    name = "tk_expect"
    contract_version = CONTRACT_VERSION
    capabilities = Capabilities(
        actions=telnet.TelnetExecutor.capabilities.actions,
        proofs=frozenset({ProofKind.LOGIN, ProofKind.NONE}),
        secret_kinds=frozenset({SecretKind.PASSWORD}),
    )

    def parse(self, body: str, first_line: int = 1) -> Program:
        """Raises TemplateError."""
        parsed = program.parse(body, "tk_expect", first_line, _logs_in)
        if (used := parsed.settings.get(USE, SSH)) not in (SSH, TELNET):
            raise TemplateError(
                _use_line(parsed), f"use {used}: this executor connects by ssh or telnet only"
            )
        return parsed

    def connect(self, target: Target, login: Login, transcript: Transcript) -> Connection:
        """Connect and, unless the script does it, log in, once. Raises Failure."""
        if target.settings.get(USE) == TELNET:
            return telnet_verbs.connect(target, login, transcript)
        if target.settings.get(program.LOGIN) != program.BY_SCRIPT:
            return ssh.connect(target, login, transcript)
        client = SshClient(timed(target), login, transcript)
        return TerminalConnection(client, transcript, client.close)

    def prove(self, target: Target, login: Login, plan: ProofPlan, transcript: Transcript) -> Proof:
        """Log in with `login` on a fresh connection, once. Never raises Failure."""
        if target.settings.get(USE) == TELNET:
            return telnet_verbs.prove(target, login, plan, transcript)
        return ssh_proof.prove(target, login, plan, transcript)


def _logs_in(parsed: Parsed) -> bool:
    """Over telnet a Tcl script begins where telnet(1) does, at the device's own login."""
    return program.opens_with_login(parsed) or (program.is_tcl(parsed) and program.used(parsed) == TELNET)


def _use_line(parsed: FieldProgram) -> int:
    return next(step.line for step in parsed.parsed.steps if getattr(step, "name", "") == USE)
