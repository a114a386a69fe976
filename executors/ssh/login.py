"""Logging in: one try with one secret, and what the server's answer says about that secret."""

from __future__ import annotations

import io
import re
import time
from typing import TYPE_CHECKING, TypeAlias

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from executors.contract import Failure, Login, Outcome, SecretKind, Target, Transcript, Verdict
from executors.ssh.transport import Judged, Stopped, Transport
from executors.terminal.words import EXPIRED, LOCKED, MUST_CHANGE

if TYPE_CHECKING:
    from executors.ssh.weak import WeakTransport

TOO_MANY = re.compile(r"too many authentication failures", re.I)
AnyTransport: TypeAlias = "Transport | WeakTransport"


class NotLoggedIn(Failure):
    """The server did not let the account in; `verdict` is what that says about the secret."""

    def __init__(self, outcome: Outcome, verdict: Verdict, message: str) -> None:
        super().__init__(outcome, message)
        self.verdict = verdict


def prepare(login: Login) -> paramiko.PKey | None:
    """Read the key of a key login, before anybody is bothered. Raises Failure if it cannot be used."""
    if login.kind is not SecretKind.SSH_KEY:
        return None
    text = login.secret.reveal()
    load = (
        serialization.load_ssh_private_key
        if "OPENSSH PRIVATE KEY" in text
        else serialization.load_pem_private_key
    )
    try:
        key = load(text.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _unusable(login) from None
    return _paramiko_key(login, key)


def _paramiko_key(login: Login, key: object) -> paramiko.PKey:
    if isinstance(key, rsa.RSAPrivateKey):
        return paramiko.RSAKey(key=key)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return paramiko.ECDSAKey(vals=(key, key.public_key()))
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise _unusable(login)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return paramiko.Ed25519Key(file_obj=io.StringIO(pem.decode()))


def _unusable(login: Login) -> Failure:
    return NotLoggedIn(
        Outcome.BAD_LOGIN,
        Verdict.UNKNOWN,
        f"the stored key of {login.username} cannot be used: "
        "give an RSA, ECDSA or Ed25519 private key without passphrase",
    )


def log_in(
    transport: AnyTransport, target: Target, login: Login, key: paramiko.PKey | None, transcript: Transcript
) -> None:
    """One try; no agent, no key files. Raises NotLoggedIn (the server refuses) or Failure (no answer).

    A server that wants a second factor after the right secret is a refusal too: RESTRICTED.
    """
    started = time.monotonic()
    try:
        more = _Attempt(transport, login, key).make()
    except (paramiko.AuthenticationException, paramiko.SSHException, OSError, EOFError) as error:
        waited = time.monotonic() - started >= transport.auth_timeout
        raise _failure(transport, target, login, error, waited, transcript) from None
    if more:
        raise NotLoggedIn(
            Outcome.PERMISSION_DENIED,
            Verdict.RESTRICTED,
            f"{target.device}: the secret of {login.username} is right, "
            f"but the server wants {', '.join(more)} as well",
        )
    transcript.note(f"logged in at {target.device} as {login.username}")


class _Attempt:
    """Asks first which methods there are, so that the secret is tried once, by one: sshd counts tries."""

    def __init__(self, transport: AnyTransport, login: Login, key: paramiko.PKey | None) -> None:
        self._transport = transport
        self._login = login
        self._key = key
        self._asked = ""

    def make(self) -> list[str]:
        """Try; returns the methods that are wanted beyond the one that succeeded."""
        allowed = self._allowed()
        user = self._login.username
        if self._key is not None:
            _need("publickey", allowed)
            return list(self._transport.auth_publickey(user, self._key))
        if "password" in allowed:
            return list(self._transport.auth_password(user, self._login.secret.reveal(), fallback=False))
        _need("keyboard-interactive", allowed)
        return list(self._transport.auth_interactive(user, self._answers))

    def _allowed(self) -> list[str]:
        try:
            self._transport.auth_none(self._login.username)
        except paramiko.BadAuthenticationType as refusal:
            return list(refusal.allowed_types)
        except paramiko.AuthenticationException as error:
            raise paramiko.SSHException(str(error)) from None  # no secret was tried, so none was refused
        raise NotLoggedIn(
            Outcome.UNTRUSTED_HOST,
            Verdict.UNKNOWN,
            f"the server lets {self._login.username} in without any secret",
        )

    def _answers(self, title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
        """The secret answers one hidden question, once. Runs in paramiko's thread."""
        if not prompts:
            return []
        asked = " ".join([title, instructions, *(prompt for prompt, _ in prompts)])
        if asked == self._asked:
            raise Judged("the same question came again")
        if self._asked:
            raise Stopped(MUST_CHANGE.search(asked) is not None)
        if len(prompts) != 1 or prompts[0][1]:
            raise Stopped(must_change=False)
        self._asked = asked
        return [self._login.secret.reveal()]


def _need(method: str, allowed: list[str]) -> None:
    if method not in allowed:
        raise NotLoggedIn(
            Outcome.PERMISSION_DENIED,
            Verdict.UNKNOWN,
            f"the server does not take {method} from this account, only: {', '.join(allowed)}",
        )


def _failure(
    transport: AnyTransport,
    target: Target,
    login: Login,
    error: Exception,
    waited: bool,
    transcript: Transcript,
) -> Failure:
    """What a failed try means."""
    who = f"{target.device}: {login.username}"
    said = transport.said()
    quoted = f": {transcript.redact(said)}" if said else ""
    if isinstance(error, Stopped):
        return _stopped(who, error)
    if LOCKED.search(said) or TOO_MANY.search(said):
        return NotLoggedIn(
            Outcome.LOCKED_OUT, Verdict.LOCKED, f"{who} is not let in after too many tries{quoted}"
        )
    if EXPIRED.search(said):
        # sshd with PAM judges the account after the secret, and hangs up with the reason as a banner.
        message = f"{who} has the right secret, but the account is expired or disabled{quoted}"
        return NotLoggedIn(Outcome.ACCOUNT_DISABLED, Verdict.RESTRICTED, message)
    if isinstance(error, paramiko.BadAuthenticationType):
        return NotLoggedIn(
            Outcome.PERMISSION_DENIED, Verdict.UNKNOWN, f"{who}: the server withdrew the method"
        )
    if isinstance(error, paramiko.AuthenticationException) and _was_judged(transport, error, waited):
        return NotLoggedIn(Outcome.BAD_LOGIN, Verdict.REFUSED, f"{who} was refused; check its secret{quoted}")
    if waited:
        return Failure(
            Outcome.TIMEOUT, f"{who}: no answer to the login within {transport.auth_timeout:g} seconds"
        )
    return Failure(Outcome.UNREACHABLE, f"{who}: the connection broke during the login: {error}{quoted}")


def _was_judged(transport: AnyTransport, error: paramiko.AuthenticationException, waited: bool) -> bool:
    """paramiko raises the same class when the server hung up or stayed silent."""
    return isinstance(error, Judged) or (transport.is_active() and not waited)


def _stopped(who: str, stop: Stopped) -> Failure:
    if stop.must_change:
        message = f"{who} has the right secret, but must change it first; reset it with another account"
        return NotLoggedIn(Outcome.ACCOUNT_DISABLED, Verdict.RESTRICTED, message)
    return NotLoggedIn(Outcome.PERMISSION_DENIED, Verdict.UNKNOWN, f"{who}: the server {stop}")
