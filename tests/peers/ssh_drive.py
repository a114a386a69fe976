"""Drives the ssh executor's verbs against a real sshd the way the engine does, with the shipped templates."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from pwd import getpwnam
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

import templates
from engine.templating.header import parse_file
from executors.contract import (
    Login,
    Proof,
    ProofPlan,
    Report,
    Secret,
    SecretKind,
    Section,
    Target,
    Transcript,
    Value,
    ValueKind,
    Verdict,
)
from executors.ssh import SshExecutor
from tests.peers.accounts import LocalAccounts
from tests.peers.sshd import SshServer

LINUX = Path(templates.__file__).parent / "linux"
SSH = SshExecutor()
_numbers = itertools.count(1)


def fresh(accounts: LocalAccounts, suffix: str, secret: str | None = None, **options: Any) -> str:
    """An account of its own for one test: the fixture keeps accounts for the whole run."""
    return accounts.add(f"{suffix}{next(_numbers)}", secret, **options)


def new_password() -> str:
    return f"Kt-{secrets.token_hex(8)}-Q9"


def password(user: str, text: str) -> Login:
    return Login(user, Secret(text))


def key(user: str, pem: str) -> Login:
    return Login(user, Secret(pem), SecretKind.SSH_KEY)


def key_pair() -> tuple[str, str]:
    """A private key as PEM text, and its line for authorized_keys."""
    private = ed25519.Ed25519PrivateKey.generate()
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    line = private.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return pem.decode(), line.decode() + "\n"


def authorize(user: str) -> str:
    """Let a new key in for this account, and return the key."""
    pem, line = key_pair()
    entry = getpwnam(user)
    folder = Path(entry.pw_dir) / ".ssh"
    folder.mkdir(mode=0o700)
    (folder / "authorized_keys").write_text(line)
    for path in (folder, folder / "authorized_keys"):
        os.chown(path, entry.pw_uid, entry.pw_gid)
    return pem


def at(server: SshServer, address: str = "127.0.0.1") -> Target:
    return Target("web1", address, server.port, host_keys=(server.host_key_line,), read_timeout=15.0)


def run(target: Target, login: Login, template: str, section: Section, values: Mapping[str, str]) -> Report:
    """Log in, run one section of a shipped template, close; no secret may be left in report or transcript."""
    file = parse_file((LINUX / f"{template}.template").read_bytes(), template)
    assert file.tags is not None
    typed = {
        name: Value(file.tags[name], Secret(text) if file.tags[name] is ValueKind.SECRET else text)
        for name, text in values.items()
    }
    hidden = [value.content for value in typed.values() if isinstance(value.content, Secret)]
    transcript = Transcript([*hidden, login.secret])
    program = SSH.parse(file.body, file.first_line_of_body)
    connection = SSH.connect(target, login, transcript)
    try:
        report = connection.run(program, section, typed)
    finally:
        connection.close()
    for secret in hidden:
        assert secret.reveal() not in transcript.text() + repr(report)
    return report


def change(target: Target, login: Login, template: str, **values: str) -> Report:
    return run(target, login, template, Section.CHANGE, values)


def status(target: Target, login: Login, template: str, **values: str) -> Report:
    return run(target, login, template, Section.STATUS, values)


def prove(target: Target, login: Login, plan: ProofPlan | None = None) -> Proof:
    proof = SSH.prove(target, login, plan or ProofPlan(), Transcript([login.secret]))
    assert login.secret.reveal() not in proof.detail
    return proof


def verdict(target: Target, user: str, text: str) -> Verdict:
    return prove(target, password(user, text)).verdict
