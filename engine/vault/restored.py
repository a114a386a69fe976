"""Telling whether the database is older than the escrow journals, and bringing back what it has lost.

Crash residue is not a restore: a record whose commit was never marked may or may not have a row, and is
imported quietly if it has none. A *marked* record without a row, or an account whose epoch is behind its
journal, says that the database was restored from an older copy.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, insert, select, update

from engine.catalog.lookup import full_name
from engine.catalog.models import account, authority, credential, device
from engine.catalog.states import CredentialState
from engine.record import audit
from engine.store.clock import now
from engine.store.models import SINGLE_ROW, engine_state
from engine.vault.journal import JournalView, Record
from engine.vault.keys import ZoneKeys
from engine.vault.models import secret_version
from engine.vault.refs import CredentialRef, credential_ref
from engine.vault.sealing import Context, Purpose, key_id, reseal


@dataclass(slots=True)
class Recovery:
    """`imported` are credentials (by id) that got versions back; `orphans` are records of accounts that the
    database does not know: register them again, and the next start brings their secrets back."""

    restored: bool = False
    imported: list[int] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)


def recover(connection: Connection, keys: ZoneKeys, view: JournalView) -> Recovery:
    """Compare with the journals and import what is missing, in the caller's transaction. Idempotent."""
    found = Recovery()
    for names, records in view.by_credential().items():
        missing, behind, credential_id = _missing(connection, names, records)
        lost = [record for record in missing if record.mark in view.marks]
        found.restored |= bool(lost) or behind
        if credential_id is None:
            found.orphans.append("{1}@{0} {2}".format(*names))
            found.restored = True
            continue
        for record in missing:
            _bring_back(connection, keys, credential_ref(connection, credential_id), record)
        if missing:
            found.imported.append(credential_id)
    if found.restored:
        _enter_restored(connection, view, found)
    return found


def _missing(
    connection: Connection, names: tuple[str, str, str], records: Sequence[Record]
) -> tuple[list[Record], bool, int | None]:
    """Records without a row, whether the account's epoch is behind, and the credential's id if it is
    known."""
    row = connection.execute(
        select(credential.c.id, account.c.epoch)
        .join(account, account.c.id == credential.c.account_id)
        .join(authority, authority.c.id == account.c.authority_id)
        .where(
            authority.c.name == names[0],
            account.c.name == names[1],
            credential.c.kind + "/" + credential.c.service == names[2],
        )
    ).first()
    if row is None:
        return list(records), False, None
    known = set(
        connection.execute(
            select(secret_version.c.digest).where(secret_version.c.credential_id == row.id)
        ).scalars()
    )
    missing = [record for record in records if record.mark.digest not in known]
    incarnation = connection.execute(select(engine_state.c.incarnation)).scalar_one()
    highest = max((r.epoch for r in records if r.incarnation == incarnation), default=0)
    return missing, highest > row.epoch, row.id


def _bring_back(connection: Connection, keys: ZoneKeys, ref: CredentialRef, record: Record) -> None:
    """As a version that may be in force: it is probed when nothing else opens, and never forgotten."""
    mine = secret_version.c.credential_id == ref.id
    number = (connection.execute(select(func.max(secret_version.c.number)).where(mine)).scalar() or 0) + 1
    was = Context(record.authority, record.account, record.credential, record.version, Purpose.SECRET)
    public = keys.public(ref.zone)
    connection.execute(
        insert(secret_version).values(
            credential_id=ref.id,
            number=number,
            status="history",
            origin="restored",
            sealed=reseal(record.sealed, keys.private(ref.zone), was, public, ref.context(number)),
            key_id=key_id(public),
            digest=record.mark.digest,
            created=now(),
        )
    )
    details = {"version": number, "was": record.version, "kind": record.kind.value}
    audit.write(connection, actor="engine", action="secret.restored", object=ref.name, details=details)


def _enter_restored(connection: Connection, view: JournalView, found: Recovery) -> None:
    """A new incarnation, and epochs above every one that a journal has seen: no stale worker can write any
    more."""
    for (_, name, user), epoch in view.watermark().items():
        which = (
            select(account.c.id)
            .join(authority, authority.c.id == account.c.authority_id)
            .where(authority.c.name == name, account.c.name == user)
        )
        connection.execute(
            update(account).where(account.c.id.in_(which), account.c.epoch <= epoch).values(epoch=epoch + 1)
        )
    connection.execute(
        update(engine_state)
        .where(engine_state.c.id == SINGLE_ROW)
        .values(incarnation=secrets.token_hex(16), restored=True)
    )
    details = {"credentials": len(found.imported), "orphans": len(found.orphans)}
    audit.write(connection, actor="engine", action="engine.restored", object="database", details=details)


@dataclass(frozen=True, slots=True)
class RestoredCredential:
    """`versions` were brought back from the journals; `state` is what was found out since."""

    credential: str
    state: str
    reason: str | None
    versions: int


@dataclass(frozen=True, slots=True)
class RestoredView:
    restored: bool
    credentials: list[RestoredCredential]


def restored_view(connection: Connection) -> RestoredView:
    """What a person looks at before the mode is ended."""
    rows = connection.execute(
        select(full_name(credential, device), credential.c.state, credential.c.reason, func.count())
        .join(device, device.c.id == credential.c.device_id)
        .join(secret_version, secret_version.c.credential_id == credential.c.id)
        .where(secret_version.c.origin == "restored")
        .group_by(full_name(credential, device), credential.c.state, credential.c.reason)
    )
    mode = connection.execute(select(engine_state.c.restored)).scalar_one()
    return RestoredView(mode, [RestoredCredential(*row) for row in rows])


def end_restored(connection: Connection, actor: str) -> None:
    """A person has seen what was brought back; changes may go on."""
    connection.execute(update(engine_state).where(engine_state.c.id == SINGLE_ROW).values(restored=False))
    audit.write(connection, actor=actor, action="engine.restored_ended", object="database")


def in_doubt_after_restore(connection: Connection, credential_ids: list[int]) -> None:
    """Which of their versions is in force is not known until a verification has found out."""
    connection.execute(
        update(credential)
        .where(
            credential.c.id.in_(credential_ids),
            credential.c.state.not_in((CredentialState.UNMANAGED, CredentialState.RETIRED)),
        )
        .values(state=CredentialState.IN_DOUBT, reason="the database was restored", since=now())
    )
