"""What an executor is handed: one target, one login, one program, its values. Nothing of the database, no
keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from executors.contract.outcomes import Outcome, Verdict
from executors.contract.secret import Secret


class SecretKind(StrEnum):
    PASSWORD = "password"  # noqa: S105 - the name of a kind
    SSH_KEY = "ssh_key"


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in and with what."""

    username: str
    secret: Secret
    kind: SecretKind = SecretKind.PASSWORD


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect. `host_keys` are the pinned ones ("ssh-ed25519 AAAA…"); none pinned means none
    trusted.

    `settings` is what a program says of the connection that it wants (`Connecting`), by its executor's names.
    """

    device: str
    address: str
    port: int
    host_keys: tuple[str, ...] = ()
    accept_any_host_key: bool = False  # honoured for loopback addresses only
    connect_timeout: float = 10.0  # seconds
    read_timeout: float = 20.0  # seconds without a byte
    jump: Hop | None = None
    cleartext: bool = (
        False  # a person decided that this device's secrets may be sent where others can read them
    )
    weak_algorithms: bool = False  # a person decided that its ssh may be of algorithms no longer safe
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hop:
    """A jump host on the way: it is connected to first, and the target through it."""

    target: Target
    login: Login


class ProofKind(StrEnum):
    LOGIN = "login"
    SU = "su"  # log in as another account of the target, then `su` with the secret
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ProofPlan:
    """How a secret of the account is tried. `via` is the login that `su` starts from."""

    kind: ProofKind = ProofKind.LOGIN
    via: Login | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    verdict: Verdict
    kind: ProofKind
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One directive as it went: where it stands, what it said (masked), how it ended, milliseconds taken."""

    line: int
    shown: str
    outcome: Outcome
    milliseconds: int


@dataclass(frozen=True, slots=True)
class Report:
    """How a section went. `facts` are what the section captured, such as `identity` and `status`."""

    outcome: Outcome
    message: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[StepRecord, ...] = ()
