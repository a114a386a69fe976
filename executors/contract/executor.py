"""The executor contract, version 0 (frozen as version 1 once three unlike executors exist).

An executor is four verbs: `parse` a template's body into a program, `connect`, `run` a section over that
connection, `prove` a secret on a fresh connection. It sequences nothing, retries nothing and knows nothing of
operations: the order in which the verbs are called is `engine.rotation`'s, the process they run in is
`engine.work`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from executors.contract.job import Login, Proof, ProofKind, ProofPlan, Report, SecretKind, Target
from executors.contract.parts import Values
from executors.contract.transcript import Transcript

CONTRACT_VERSION = 0


class Section(StrEnum):
    """`status` reads without changing, `change` changes, `persist` saves after the proof."""

    STATUS = "status"
    CHANGE = "change"
    PERSIST = "persist"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an executor can do; checked when a profile or template is stored, not first at run time.

    `alphabet` are the characters that a secret may hold on this executor's way to the target; "" means all
    printable.
    """

    actions: frozenset[str]
    proofs: frozenset[ProofKind]
    secret_kinds: frozenset[SecretKind]
    alphabet: str = ""


class Program(Protocol):
    """A parsed body. Immutable."""

    @property
    def tags(self) -> frozenset[str]:
        """Names of all tags used, in upper case."""

    def has(self, section: Section) -> bool: ...

    def describe(self, values: Values) -> Sequence[str]:
        """The lines that a dry run shows, secrets masked. Raises TemplateError if a value cannot stand where
        it is used."""


@runtime_checkable
class Connecting(Protocol):
    """A program that says something of the connection that it wants: whoever connects, or proves, for it puts
    this into the target's settings."""

    @property
    def settings(self) -> Mapping[str, str]: ...


class Connection(Protocol):
    """A logged-in connection to one target."""

    def run(self, program: Program, section: Section, values: Values) -> Report:
        """Run one section once. What the target refuses is in the report's outcome; Failure is for a broken
        connection."""

    def close(self) -> None:
        """Close politely; never raises for a connection that is already gone."""


@runtime_checkable
class Reusable(Protocol):
    """A connection that several jobs of one login may use, one after the other. Connections that do not say
    so serve one job only."""

    def at_rest(self) -> bool:
        """Whether it is alive and nothing of an earlier section is left on it: no prompt, no mode, no
        directory. Asks nothing of the target."""


class Executor(Protocol):
    name: str
    contract_version: int
    capabilities: Capabilities

    def parse(self, body: str, first_line: int = 1) -> Program:
        """Parse a body whose first line is `first_line` of its file. Raises TemplateError."""

    def connect(self, target: Target, login: Login, transcript: Transcript) -> Connection:
        """Connect and log in. Transport retries: none. Raises Failure."""

    def prove(self, target: Target, login: Login, plan: ProofPlan, transcript: Transcript) -> Proof:
        """Try `login` on a fresh connection, once. Does not raise Failure: what went wrong is the verdict."""
