"""Telling whether the database is older than the escrow journals, and bringing back what it has lost.

Crash residue is not a restore: a record whose commit was never marked may or may not have a row, and is
imported quietly if it has none. A *marked* record without a row, or an account whose epoch is behind its
journal, says that the database was restored from an older copy.

Others may be at work meanwhile. What a journal holds was claimed in the database before, so a database that
was not restored is never behind a journal that was read first; and a row that is still on its way is told by
its writer, who lives.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from sqlalchemy import Connection, func, insert, select, tuple_, update

from engine.catalog.lookup import full_name
from engine.catalog.models import account, authority, credential, device
from engine.catalog.states import CredentialState
from engine.record import audit, outbox
from engine.record.models import audit_entry
from engine.store.clock import now
from engine.store.models import SINGLE_ROW, engine_state
from engine.vault.journal import JournalView, Kind, Record
from engine.vault.models import secret_version
from engine.vault.refs import credential_ref

BATCH = 500  # names or ids in one statement

T = TypeVar("T")
Names = tuple[str, str, str]  # authority, account, slot


@dataclass(slots=True)
class Recovery:
    """`imported` are credentials (by id) that got versions back; `orphans` are records of accounts that the
    database does not know: register them again, and the next start brings their secrets back."""

    restored: bool = False
    imported: list[int] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database knows of one credential: its account's epoch, and the digests of its versions."""

    credential_id: int
    account_id: int
    epoch: int
    digests: frozenset[str]


def recover(connection: Connection, view: JournalView) -> Recovery:
    """Compare with the journals and import what is missing, in the caller's transaction, which must have
    begun after `view` was read. Idempotent; no secret is opened, so any process can do it."""
    first = _Comparison(connection, view, view.by_credential())
    if not (first.missing or first.behind or first.strange):
        return Recovery()
    _hold_still(connection, first)
    return _settle(connection, view, _Comparison(connection, view, first.differing))


class _Comparison:
    """`missing` records by credential; epochs of accounts that are `behind` their journal; `strange`
    records, of accounts that are not known."""

    def __init__(
        self, connection: Connection, view: JournalView, groups: Mapping[Names, Sequence[Record]]
    ) -> None:
        self._view = view
        self._groups = groups
        self._incarnation = connection.execute(select(engine_state.c.incarnation)).scalar_one()
        self.known = _known(connection, groups)
        self.missing: dict[Names, list[Record]] = {}
        self.strange: dict[Names, list[Record]] = {}
        highest = view.watermark()
        self.behind = {
            names: known.epoch
            for names, known in self.known.items()
            if highest.get((self._incarnation, *names[:2]), 0) > known.epoch
        }
        for names, records in groups.items():
            lacking = [record for record in records if self._lacks(names, record)]
            if lacking:
                (self.missing if names in self.known else self.strange)[names] = lacking

    @property
    def differing(self) -> dict[Names, Sequence[Record]]:
        return {names: self._groups[names] for names in {**self.behind, **self.missing, **self.strange}}

    @property
    def lost(self) -> bool:
        """Whether rows are gone that were committed: of registered accounts, or whole accounts."""
        lacking = (
            record for some in (self.missing, self.strange) for each in some.values() for record in each
        )
        return any(record.mark in self._view.marks for record in lacking)

    def _lacks(self, names: Names, record: Record) -> bool:
        known = self.known.get(names)
        if known is not None and record.mark.digest in known.digests:
            return False
        return not self._under_way(known, record)

    def _under_way(self, known: _Known | None, record: Record) -> bool:
        """Whether its writer may commit it yet. It lives, and nobody has taken the account over since; an
        import's writer holds the credential's lock, and so has ended when we hold that."""
        if record.mark in self._view.marks or record.mark not in self._view.living:
            return False
        if known is None:
            return True
        claimed = (record.incarnation, record.epoch) == (self._incarnation, known.epoch)
        return record.kind is Kind.CANDIDATE and claimed


def _known(connection: Connection, names: Iterable[Names]) -> dict[Names, _Known]:
    found: dict[Names, _Known] = {}
    slot = credential.c.kind + "/" + credential.c.service
    columns = (authority.c.name, account.c.name, slot)
    for some in batches(names):
        rows = connection.execute(
            select(*columns, credential.c.id, account.c.id, account.c.epoch)
            .join(account, account.c.id == credential.c.account_id)
            .join(authority, authority.c.id == account.c.authority_id)
            .where(tuple_(*columns).in_(some))
        ).all()
        digests: dict[int, set[str]] = {row[3]: set() for row in rows}
        versions = select(secret_version.c.credential_id, secret_version.c.digest)
        for which, digest in connection.execute(
            versions.where(secret_version.c.credential_id.in_(list(digests)))
        ):
            digests[which].add(digest)
        for *key, which, account_id, epoch in rows:
            found[key[0], key[1], key[2]] = _Known(which, account_id, epoch, frozenset(digests[which]))
    return found


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """No statement grows beyond what a database takes as parameters."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def _hold_still(connection: Connection, seen: _Comparison) -> None:
    """Lock what is compared once more: others who compare, and whoever commits a version, in the order of
    everybody's locks. After a restore that is every account."""
    connection.execute(select(engine_state.c.id).with_for_update(key_share=True))
    accounts = select(account.c.id).order_by(account.c.id).with_for_update(key_share=True)
    credentials = select(credential.c.id).order_by(credential.c.id).with_for_update(key_share=True)
    if seen.lost or seen.behind:
        connection.execute(accounts).all()
        connection.execute(credentials).all()
        return
    touched = [known for names, known in seen.known.items() if names in seen.missing]
    for some in batches(sorted({known.account_id for known in touched})):
        connection.execute(accounts.where(account.c.id.in_(some))).all()
    for some in batches(sorted(known.credential_id for known in touched)):
        connection.execute(credentials.where(credential.c.id.in_(some))).all()


def _settle(connection: Connection, view: JournalView, found: _Comparison) -> Recovery:
    recovery = Recovery()
    for names, records in found.missing.items():
        recovery.restored |= any(record.mark in view.marks for record in records)
        recovery.imported.append(found.known[names].credential_id)
        for record in records:
            _bring_back(connection, recovery.imported[-1], record)
    for names, records in found.strange.items():
        name = "{1}@{0} {2}".format(*names)
        recovery.orphans.append(name)
        committed = [record for record in records if record.mark in view.marks]
        recovery.restored |= bool(committed) and _first_told(connection, name, committed[-1])
    recovery.restored |= bool(found.behind)
    if recovery.restored:
        _enter_restored(connection, view, recovery)
    return recovery


def _first_told(connection: Connection, name: str, newest: Record) -> bool:
    """Whether this database has not heard of the orphan yet: a person may leave it one, and is asked once.
    The audit record remembers, and is itself restored with the database."""
    told = select(audit_entry.c.details).where(
        audit_entry.c.action == "secret.orphaned", audit_entry.c.object == name
    )
    if any(details["digest"] == newest.mark.digest for details in connection.execute(told).scalars()):
        return False
    details: dict[str, str | int] = {"was": newest.version, "digest": newest.mark.digest}
    audit.write(connection, actor="engine", action="secret.orphaned", object=name, details=details)
    return True


def _bring_back(connection: Connection, credential_id: int, record: Record) -> None:
    """As a version that may be in force: it is probed when nothing else opens, and never forgotten. It stays
    sealed as it was, so nobody need open it."""
    mine = secret_version.c.credential_id == credential_id
    number = (connection.execute(select(func.max(secret_version.c.number)).where(mine)).scalar() or 0) + 1
    connection.execute(
        insert(secret_version).values(
            credential_id=credential_id,
            number=number,
            status="history",
            origin="restored",
            sealed=record.sealed,
            sealed_as=record.version,
            key_id=record.key_id,
            digest=record.mark.digest,
            created=now(),
        )
    )
    name = credential_ref(connection, credential_id).name
    details = {"version": number, "was": record.version, "kind": record.kind.value}
    audit.write(connection, actor="engine", action="secret.restored", object=name, details=details)


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
    outbox.notice(connection, "engine.restored", {"credentials": len(found.imported)})


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
