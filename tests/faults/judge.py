"""Judges what the engine left behind. It reads the database and opens the vault without the engine.

Only the target's own record says what opens an account. *Lost*: no stored version of the credential does.
"""

from __future__ import annotations

import sqlite3
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString, Protocol

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from executors.fake.target import FakeTarget

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
VERSIONS = """
SELECT credential.username, authority.name, account.name, kind || '/' || service,
  coalesce(sealed_as, number), status, sealed
FROM secret_version JOIN credential ON credential.id = secret_version.credential_id
JOIN account ON account.id = credential.account_id JOIN authority ON authority.id = account.authority_id
ORDER BY CASE WHEN status = 'current' THEN 0 ELSE 1 END, number DESC
"""
LAST = """
SELECT username, operation.state, action
FROM operation JOIN credential ON credential.id = operation.credential_id
WHERE operation.id IN (SELECT max(id) FROM operation GROUP BY credential_id)
"""


@dataclass
class Verdict:
    """What is wrong. `lost` are accounts that nothing stored opens; `wrong` are other broken promises."""

    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def open_value(sealed: bytes, key: X25519PrivateKey, *names: str) -> str:
    """The format as `docs` describe it: byte, key id, wrapped data key, nonce, text; bound to its names."""
    bound = b"keyturn seal 1" + b"".join(struct.pack(">I", len(n.encode())) + n.encode() for n in names)
    header = sealed[:19]
    end = 19 + struct.unpack(">H", sealed[17:19])[0]
    data_key = SUITE.decrypt(sealed[19:end], key, info=bound)
    return AESGCM(data_key).decrypt(sealed[end : end + 12], sealed[end + 12 :], header + bound).decode()


class Rows(Protocol):
    """A connection to SQLite or PostgreSQL."""

    def execute(self, statement: LiteralString, /) -> Any: ...


def zone_key(path: Path) -> X25519PrivateKey:
    key = load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, X25519PrivateKey)
    return key


def judge(directory: Path) -> Verdict:
    target = FakeTarget(directory / "target")
    with closing(sqlite3.connect(directory / "keyturn.sqlite")) as db:
        found = judged(db, zone_key(directory / "keys" / "default.key"), target.opens)
        _budgets(db, target, found)
    return found


def judged(db: Rows, key: X25519PrivateKey, opens: Callable[[str, str], bool]) -> Verdict:
    """`opens`: whether the target's own record accepts this secret of this user."""
    found = Verdict()
    statuses: dict[str, Counter[str]] = {}
    opening: dict[str, str] = {}
    for user, authority, account, slot, number, status, sealed in db.execute(VERSIONS):
        statuses.setdefault(user, Counter())[status] += 1
        if user not in opening:  # to ask the target is dear
            secret = open_value(bytes(sealed), key, authority, account, slot, str(number), "secret")
            if opens(user, secret):
                opening[user] = status
    for user, (state, action) in {user: rest for user, *rest in db.execute(LAST)}.items():
        if state == "succeeded" and action != "deactivate" and opening.get(user) != "current":
            found.wrong.append(f"{user}: {action} succeeded, and the current version does not open it")
    _audited(db, found)
    for user, counts in statuses.items():
        if user not in opening:
            found.lost.append(user)
        if counts["current"] > 1 or counts["candidate"] + counts["sent"] > 1:
            found.wrong.append(f"{user}: two current or two pending versions: {dict(counts)}")
    return found


def _budgets(db: sqlite3.Connection, target: FakeTarget, found: Verdict) -> None:
    for (user,) in db.execute("SELECT DISTINCT username FROM credential").fetchall():
        if target.locked(user):
            found.wrong.append(f"{user}: locked out")


def _audited(db: Rows, found: Verdict) -> None:
    """Every change of a state has its entry, and no entry tells of a change that was not."""
    changes: Counter[tuple[int, str]] = Counter()
    for operation, before, after, by in db.execute("SELECT operation_id, before, after, by FROM transition"):
        if before is None:
            changes[operation, "operation.requested"] += 1
        elif after == "running":
            changes[operation, "operation.claimed"] += 1
        elif by.startswith("worker:"):
            changes[operation, f"operation.{after}"] += 1
    entries: Counter[tuple[int, str]] = Counter()
    told = {action for _, action in changes} | {"operation.claimed", "operation.succeeded"}
    for operation, action in db.execute("SELECT operation_id, action FROM audit_entry"):
        if action in told:
            entries[operation, action] += 1
    if changes != entries:
        found.wrong.append(f"transitions and audit differ: {(changes - entries) or (entries - changes)}")
    told_of = Counter(action for (action,) in db.execute("SELECT action FROM audit_entry"))
    for status, action in (("sent_at IS NOT NULL", "secret.sent"), ("number > 0", "secret.candidate")):
        made = "origin IN ('generated', 'parent')"
        query = f"SELECT count(*) FROM secret_version WHERE {made} AND {status}"
        (versions,) = db.execute(query).fetchone()
        if told_of[action] < versions:
            found.wrong.append(f"{versions} versions and {told_of[action]} entries {action}")
