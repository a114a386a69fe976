"""Bearer tokens: `kt_<public id>_<256 random bits>`, stored as HMAC-SHA-256 under a pepper file.

A slow hash would add nothing to 256 random bits and would let anyone load the processor.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import stat
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, insert, select, update

from engine.access.errors import BadToken, Unauthenticated, UnusablePepper
from engine.access.models import token
from engine.access.service import Principal, Role
from engine.record import audit
from engine.store.clock import now
from executors.contract import Secret

PEPPER_BYTES: Final = 32
MAX_PRINCIPAL: Final = 255  # characters
_TOKEN: Final = re.compile(r"kt_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_PEPPER: Final = re.compile(r"[0-9a-f]{64}\n")

_log = logging.getLogger(__name__)


def pepper(path: Path) -> Secret:
    """The pepper kept at `path`, made there (mode 0400) if it is not there yet. Raises UnusablePepper."""
    if not path.exists():
        _make_pepper(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise UnusablePepper(
            f"{path} is open to others (mode {mode:04o}); set it to 0400 and renew the tokens"
        )
    text = path.read_text("ascii", errors="replace")
    if not _PEPPER.fullmatch(text):
        raise UnusablePepper(
            f"{path} is damaged; bring it back from a backup, or remove it and renew the tokens"
        )
    return Secret(text.strip())


def _make_pepper(path: Path) -> None:
    """Whole or not at all: written aside, then linked, which fails if another process was first."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(PEPPER_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(aside)
    except FileExistsError:
        pass  # the other's pepper is as good, and is the one that counts
    finally:
        aside.unlink()


def create(
    connection: Connection, key: Secret, actor: str, principal: str, role: Role, expires: float | None = None
) -> Secret:
    """A new token, shown once. `key` is the pepper, `expires` epoch seconds. Raises BadToken."""
    if not principal.strip() or not principal.isprintable() or len(principal) > MAX_PRINCIPAL:
        raise BadToken(f"a principal's name is 1 to {MAX_PRINCIPAL} printable characters")
    public_id = secrets.token_hex(8)
    made = Secret(f"kt_{public_id}_{secrets.token_urlsafe(32)}")
    values = {"public_id": public_id, "principal": principal, "role": role, "hash": _keyed(key, made)}
    connection.execute(insert(token).values(**values, created=now(), expires=expires))
    details = {"principal": principal, "role": role, "expires": expires}
    audit.write(connection, actor=actor, action="token.create", object=f"token {public_id}", details=details)
    return made


def authenticate(connection: Connection, key: Secret, presented: Secret) -> Principal:
    """Who holds the token. Raises Unauthenticated, the same for every reason."""
    shape = _TOKEN.fullmatch(presented.reveal())
    if shape is None:
        raise _refused("it does not look like a token", "")
    public_id = shape[1]
    found = select(token, (token.c.expires <= now()).label("over")).where(token.c.public_id == public_id)
    row = connection.execute(found).one_or_none()
    # Compared even where there is no such token, so that the time taken does not tell.
    stored = bytes(row.hash) if row is not None else bytes(hashlib.sha256().digest_size)
    right = hmac.compare_digest(stored, _keyed(key, presented))
    if row is None or not right:
        raise _refused("no such token", public_id)
    if row.revoked:
        raise _refused("revoked", public_id)
    if row.over:
        raise _refused("expired", public_id)
    return Principal(row.principal, Role(row.role))


def revoke(connection: Connection, actor: str, public_id: str) -> None:
    """Raises BadToken if there is no such token that is not revoked yet."""
    revoking = (
        update(token).where(token.c.public_id == public_id, token.c.revoked.is_(False)).values(revoked=True)
    )
    if connection.execute(revoking).rowcount != 1:
        raise BadToken("there is no such token, or it is revoked already; nothing has changed")
    audit.write(connection, actor=actor, action="token.revoke", object=f"token {public_id}")


def _keyed(key: Secret, made: Secret) -> bytes:
    return hmac.digest(bytes.fromhex(key.reveal()), made.reveal().encode(), "sha256")


def _refused(reason: str, public_id: str) -> Unauthenticated:
    _log.warning("a token was refused", extra={"reason": reason, "token": public_id})
    return Unauthenticated()
