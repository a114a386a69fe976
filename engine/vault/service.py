"""Secret versions in the database: importing one, listing them, handing one out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from sqlalchemy import Connection, Row, and_, delete, func, insert, literal, or_, select, update

from engine.catalog.models import credential, device, zone
from engine.catalog.states import CredentialState
from engine.record import audit, outbox
from engine.store.clock import now
from engine.store.errors import KeyturnError, Kind
from engine.store.models import engine_state
from engine.vault.journal import JournalWriter, Record
from engine.vault.journal import Kind as RecordKind
from engine.vault.keys import ZoneKeys
from engine.vault.models import reveal_request, secret_version
from engine.vault.refs import CredentialRef, credential_ref, sealed_version
from engine.vault.sealing import Context, Purpose, key_id, reseal, seal
from executors.contract import Secret

REVEAL_LIFE = 60.0  # seconds until an unread answer goes


class NoSecret(KeyturnError):
    code = "no_secret"
    kind = Kind.NOT_FOUND


class InDoubt(KeyturnError):
    code = "in_doubt"
    kind = Kind.CONFLICT


class RevealRefused(KeyturnError):
    code = "reveal_refused"
    kind = Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version without its secret. Moments are seconds since 1970-01-01 UTC."""

    number: int
    status: str
    origin: str
    proof: str | None
    parent_version: int | None
    created: float
    sent_at: float | None
    proven_at: float | None


def import_secret(
    connection: Connection, journal: JournalWriter, credential_id: int, secret: Secret, actor: str
) -> int:
    """Store a secret that somebody set, as current and not proven; the escrow journal has it first.

    While a candidate of ours may be in force it joins the history instead: the next look tries it too, and
    adopts it if it is the one that opens. Returns the version number. Raises JournalFull, JournalBroken.
    """
    ref = credential_ref(connection, credential_id)
    number, record = _prepare_import(connection, ref, secret)
    journal.append([record])
    mine = secret_version.c.credential_id == credential_id
    pending = connection.execute(
        select(secret_version.c.id).where(mine, secret_version.c.status == "sent")
    ).first()
    status = "current" if pending is None else "history"
    if pending is None:
        for before, after in (("previous", "history"), ("current", "previous")):
            connection.execute(
                update(secret_version).where(mine, secret_version.c.status == before).values(status=after)
            )
    connection.execute(
        insert(secret_version).values(
            credential_id=credential_id,
            number=number,
            status=status,
            origin="imported",
            sealed=record.sealed,
            key_id=record.key_id,
            digest=record.mark.digest,
            created=now(),
        )
    )
    kept = (
        CredentialState.SUSPENDED,
        CredentialState.UNMANAGED,
        CredentialState.RETIRED,
        CredentialState.IN_DOUBT,
    )
    connection.execute(
        update(credential)
        .where(credential.c.id == credential_id, credential.c.state.not_in(kept))
        .values(state=CredentialState.UNVERIFIED, reason=None, since=now())
    )
    details: dict[str, str | int] = {"version": number, "as": status}
    audit.write(connection, actor=actor, action="secret.imported", object=ref.name, details=details)
    return number


def _prepare_import(connection: Connection, ref: CredentialRef, secret: Secret) -> tuple[int, Record]:
    """The next number and the journal's record. Locks the credential, so that numbers do not collide."""
    connection.execute(
        select(credential.c.id).where(credential.c.id == ref.id).with_for_update(key_share=True)
    )
    mine = secret_version.c.credential_id == ref.id
    number = (connection.execute(select(func.max(secret_version.c.number)).where(mine)).scalar() or 0) + 1
    public = zone_key(connection, ref.zone)
    incarnation, moment = connection.execute(select(engine_state.c.incarnation, now())).one()
    record = Record(
        kind=RecordKind.IMPORTED,
        incarnation=incarnation,
        epoch=0,
        authority=ref.authority,
        account=ref.account,
        credential=ref.slot,
        version=number,
        sealed=seal(secret, public, ref.context(number)),
        key_id=key_id(public),
        at=moment,
    )
    return number, record


def zone_key(connection: Connection, name: str) -> X25519PublicKey:
    raw = connection.execute(select(zone.c.public_key).where(zone.c.name == name)).scalar_one()
    return X25519PublicKey.from_public_bytes(raw)


def history(connection: Connection, credential_id: int) -> list[VersionView]:
    """All versions, newest first."""
    columns = [secret_version.c[field] for field in VersionView.__dataclass_fields__]
    rows = connection.execute(
        select(*columns)
        .where(secret_version.c.credential_id == credential_id)
        .order_by(secret_version.c.number.desc())
    )
    return [VersionView(*row) for row in rows]


# Revealing: the asking process makes a one-use key; a worker of the zone re-seals one version to it.


def ask_reveal(
    connection: Connection,
    credential_id: int,
    principal: str,
    reason: str,
    public_key: bytes,
    break_glass: bool = False,
) -> tuple[int, int]:
    """Ask for the last proven version, or the one that was set. Returns (request, version number).

    Raises NoSecret; InDoubt unless `break_glass`, which hands out the candidate and raises an alarm.
    """
    row = connection.execute(
        select(credential.c.state, engine_state.c.restored)
        .join(engine_state, engine_state.c.id == 1)
        .where(credential.c.id == credential_id)
    ).one()
    doubtful = row.state == CredentialState.IN_DOUBT or row.restored
    if doubtful and not break_glass:
        raise InDoubt(
            "which secret is in force is not known now; the operation that finds out is on its way "
            "(`keyturn operation list --state in_doubt`)"
        )
    wanted = ("sent", "candidate", "current") if break_glass and doubtful else ("current",)
    number = connection.execute(
        select(func.max(secret_version.c.number)).where(
            secret_version.c.credential_id == credential_id,
            or_(
                secret_version.c.status.in_(wanted),
                and_(literal(doubtful), secret_version.c.origin == "restored"),
            ),
        )
    ).scalar()
    if number is None:
        raise NoSecret("no secret is stored for this credential; `keyturn credential set` stores one")
    if break_glass:
        name = credential_ref(connection, credential_id).name
        outbox.notice(connection, "secret.break_glass", {"principal": principal, "credential": name})
    request_id = _ask(connection, principal, reason, public_key, credential_id=credential_id, number=number)
    return request_id, number


def ask_transcript(
    connection: Connection,
    credential_id: int,
    attempt_id: int,
    principal: str,
    reason: str,
    public_key: bytes,
) -> int:
    """Ask for an attempt's transcript: it may hold secrets that no redactor knows, so it is handed out
    like one."""
    return _ask(connection, principal, reason, public_key, credential_id=credential_id, attempt_id=attempt_id)


def _ask(connection: Connection, principal: str, reason: str, public_key: bytes, **what: Any) -> int:
    statement = insert(reveal_request).values(
        principal=principal, reason=reason, public_key=public_key, expires=now() + REVEAL_LIFE, **what
    )
    return int(connection.execute(statement.returning(reveal_request.c.id)).scalar_one())


@dataclass(frozen=True, slots=True)
class SealedTranscript:
    """An attempt's transcript, bound to the epoch of its claim."""

    epoch: int
    sealed: bytes


def answer(
    connection: Connection, keys: ZoneKeys, request_id: int, transcript: SealedTranscript | None = None
) -> None:
    """The worker's side: write the audit entry, then re-seal. `transcript` is what was asked for, if it
    was that."""
    row = connection.execute(
        select(reveal_request)
        .where(
            reveal_request.c.id == request_id,
            reveal_request.c.sealed.is_(None),
            reveal_request.c.expires > now(),
        )
        .with_for_update()
    ).first()
    if row is None:
        return
    ref = credential_ref(connection, row.credential_id)
    kept, reply = _asked_for(connection, ref, row, transcript)
    action = "secret.revealed" if row.attempt_id is None else "transcript.read"
    details = {"reason": row.reason, "version": row.number or 0, "attempt": row.attempt_id or 0}
    audit.write(connection, actor=row.principal, action=action, object=ref.name, details=details)
    values: dict[str, Any] = {"refused": "there is nothing to hand out"}
    if kept is not None:
        if row.attempt_id is None:
            what = {"credential": ref.name, "version": row.number}
            by = {"principal": row.principal, "reason": row.reason}
            outbox.notice(connection, "secret.revealed", {**what, **by})
        sealed, context = kept
        to = X25519PublicKey.from_public_bytes(row.public_key)
        bound = ref.context(reply, Purpose.REVEAL)
        values = {"sealed": reseal(sealed, keys.private(ref.zone), context, to, bound)}
    connection.execute(update(reveal_request).where(reveal_request.c.id == request_id).values(**values))


def _asked_for(
    connection: Connection, ref: CredentialRef, row: Row[Any], transcript: SealedTranscript | None
) -> tuple[tuple[bytes, Context] | None, int]:
    """What is handed out with what opens it, if there is something; and the number that the answer is bound
    to."""
    if row.attempt_id is not None:
        bound = ref.context(0 if transcript is None else transcript.epoch, Purpose.TRANSCRIPT)
        return None if transcript is None else (transcript.sealed, bound), row.attempt_id
    version = sealed_version(connection, row.credential_id, row.number)
    return None if version is None else (version.sealed, version.context), row.number


def unanswered(connection: Connection, own_zone: str, limit: int = 100) -> Sequence[int]:
    """Requests that wait for a worker of this zone."""
    waiting = (
        select(reveal_request.c.id)
        .join(credential, credential.c.id == reveal_request.c.credential_id)
        .join(device, device.c.id == credential.c.device_id)
        .join(zone, zone.c.id == device.c.zone_id)
        .where(
            zone.c.name == own_zone,
            reveal_request.c.sealed.is_(None),
            reveal_request.c.refused.is_(None),
            reveal_request.c.expires > now(),
        )
        .order_by(reveal_request.c.id)
        .limit(limit)
    )
    return connection.execute(waiting).scalars().all()


def delete_expired(connection: Connection) -> None:
    """An answer that nobody came for goes, too."""
    connection.execute(delete(reveal_request).where(reveal_request.c.expires < now()))


def take(connection: Connection, request_id: int) -> bytes | None:
    """The answer, once; None while there is none. Raises RevealRefused."""
    delete_expired(connection)
    row = connection.execute(
        select(reveal_request.c.sealed, reveal_request.c.refused).where(reveal_request.c.id == request_id)
    ).first()
    if row is None:
        raise RevealRefused("the answer was not read in time; ask again")
    if row.sealed is None and row.refused is None:
        return None
    connection.execute(delete(reveal_request).where(reveal_request.c.id == request_id))
    if row.refused is not None:
        raise RevealRefused(row.refused)
    return bytes(row.sealed)
