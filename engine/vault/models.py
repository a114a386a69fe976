"""Secret versions at rest, and the one-use keys by which a zone hands one out."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, String, Table, UniqueConstraint

from engine.store.metadata import identity, metadata, moment, partial_index, reference

# Rows are never deleted by the change protocol. `status` is one of VersionStatus.
secret_version = Table(
    "secret_version",
    metadata,
    identity(),
    reference("credential_id", "credential"),
    Column("number", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("origin", String(16), nullable=False),  # generated | imported | parent | restored
    Column("sealed", LargeBinary, nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("digest", String(32), nullable=False),  # of the escrow journal's record of it
    Column("sealed_as", Integer),  # the number it was sealed as, where a restore gave it another
    Column("parent_version", Integer),  # of a `same` child: the parent's version that this one is
    Column("proof", String(16)),  # kind of proof, once shown
    moment("created"),
    moment("sent_at", nullable=True),
    moment("proven_at", nullable=True),
    UniqueConstraint("credential_id", "number"),
    UniqueConstraint("credential_id", "digest"),
    partial_index("uq_secret_version_current", "credential_id", where="status = 'current'"),
    partial_index("uq_secret_version_pending", "credential_id", where="status IN ('candidate', 'sent')"),
)

reveal_request = Table(
    "reveal_request",
    metadata,
    identity(),
    reference("credential_id", "credential"),
    Column("number", Integer),  # a secret version …
    Column("attempt_id", Integer),  # … or an attempt's transcript
    Column("public_key", LargeBinary, nullable=False),  # one-use, made by the API process
    Column("principal", String(255), nullable=False),
    Column("reason", String(500), nullable=False),
    Column("candidate", Boolean, nullable=False, default=False),  # break-glass: a version that is not proven
    Column("sealed", LargeBinary),  # the answer
    Column("refused", String(500)),
    moment("expires"),
)

# One version re-sealed for another zone, whose worker asked: for a link across zones. A worker of the
# version's own zone fills it; `refused` says why not.
handover = Table(
    "handover",
    metadata,
    identity(),
    reference("credential_id", "credential"),
    Column("number", Integer, nullable=False),
    reference("zone_id", "zone"),  # that it is for
    reference("operation_id", "operation"),  # that needs it
    Column("sealed", LargeBinary),
    Column("refused", String(500)),
    moment("created"),
    UniqueConstraint("credential_id", "number", "zone_id"),
    Index("ix_handover_operation", "operation_id"),
    partial_index("ix_handover_wanted", "id", where="sealed IS NULL AND refused IS NULL", unique=False),
)
