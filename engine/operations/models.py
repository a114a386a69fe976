"""The life of an operation, kept in the database and guarded there."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, String, Table, UniqueConstraint

from engine.store.metadata import Json, identity, metadata, moment, partial_index, reference

operation = Table(
    "operation",
    metadata,
    identity(),
    reference("credential_id", "credential"),
    reference("account_id", "account"),
    reference("device_id", "device"),
    reference("zone_id", "zone"),
    Column("action", String(32), nullable=False),
    Column("state", String(32), nullable=False),
    Column("outcome", String(32)),
    Column("reason", String(1000)),
    Column("trigger", String(32), nullable=False),
    Column("requester", String(255), nullable=False),
    Column("callback", String(2048)),
    Column("priority", Integer, nullable=False, default=0),
    moment("due"),
    moment("expires", nullable=True),
    Column("needs_person", Boolean, nullable=False, default=False),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    reference("parent_operation_id", "operation", nullable=True),
    Column("epoch", Integer),  # of the claim that runs it
    moment("lease_until", nullable=True),
    Column("attempts", Integer, nullable=False, default=0),
    Column("template_id", Integer),
    Column("template_sha256", String(64)),
    Column("committed", Boolean, nullable=False, default=False),  # only `persist` is missing
    Column(
        "resent", Integer, nullable=False, default=0
    ),  # candidates sent once more, since a person last decided
    Column("regenerated", Integer, nullable=False, default=0),  # candidates replaced after a policy's refusal
    Column("refused", Json, nullable=False),  # versions refused since the last change request …
    Column("reply", String(16)),  # … and what that request was told
    Column(
        "found", String(32)
    ),  # the credential's state before this operation; it goes back there without a change
    moment("created"),
    moment("started", nullable=True),
    moment("finished", nullable=True),
    # Live operations: one an account. Those not begun yet: one a credential and action, so that requests
    # join. One that waits
    # for its next attempt is not counted: its worker must be able to put it back, whatever was asked for
    # meanwhile.
    partial_index("uq_operation_live", "account_id", where="state IN ('running', 'in_doubt')"),
    partial_index(
        "uq_operation_scheduled", "credential_id", "action", where="state = 'scheduled' AND attempts = 0"
    ),
    partial_index(
        "ix_operation_due", "due", where="state IN ('scheduled', 'running', 'in_doubt')", unique=False
    ),
    partial_index(
        "ix_operation_parent", "parent_operation_id", where="parent_operation_id IS NOT NULL", unique=False
    ),
    partial_index("ix_operation_finished", "finished", where="finished IS NOT NULL", unique=False),
    Index("ix_operation_credential", "credential_id", "id"),
)

# Each request that asked for an operation, the first and those that joined.
request = Table(
    "request",
    metadata,
    identity(),
    reference("operation_id", "operation"),
    Column("requester", String(255), nullable=False),
    Column("trigger", String(32), nullable=False),
    Column("idempotency_key", String(128)),
    Column("joined", Boolean, nullable=False, default=False),
    Column("callback", String(2048)),
    moment("created"),
    partial_index(
        "uq_request_idempotency", "requester", "idempotency_key", where="idempotency_key IS NOT NULL"
    ),
    Index("ix_request_operation", "operation_id"),
)

transition = Table(
    "transition",
    metadata,
    identity(),
    reference("operation_id", "operation"),
    Column("before", String(32)),
    Column("after", String(32), nullable=False),
    Column("by", String(255), nullable=False),
    Column("reason", String(1000)),
    moment("at"),
    Index("ix_transition_operation", "operation_id"),
)

attempt = Table(
    "attempt",
    metadata,
    identity(),
    reference("operation_id", "operation"),
    Column("number", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("worker", String(128), nullable=False),
    Column("login", String(255)),  # USER@DEVICE that logged in
    Column("template_sha256", String(64)),
    Column("outcome", String(32)),
    Column("message", String(1000)),
    Column("proof", String(16)),
    Column("steps", Json),
    Column("transcript", LargeBinary),  # sealed like a secret
    moment("started"),
    moment("finished", nullable=True),
    UniqueConstraint("operation_id", "epoch"),
    partial_index("ix_attempt_transcript", "finished", where="transcript IS NOT NULL", unique=False),
)

# An operation holds one on every credential that it logs in with; changing one of those waits.
shared_lease = Table(
    "shared_lease",
    metadata,
    identity(),
    reference("operation_id", "operation"),
    reference("account_id", "account"),
    UniqueConstraint("operation_id", "account_id"),
    Index("ix_shared_lease_account", "account_id"),
)

# Written in the parent's commit; expanded afterwards, in batches, idempotently.
cascade = Table(
    "cascade",
    metadata,
    identity(),
    reference("credential_id", "credential"),
    Column("version", Integer, nullable=False),
    reference("operation_id", "operation"),
    Column("depth", Integer, nullable=False),
    Column("expanded_to", Integer, nullable=False, default=0),  # highest child credential id done
    Column("done", Boolean, nullable=False, default=False),
    UniqueConstraint("credential_id", "version"),
    Index("ix_cascade_operation", "operation_id"),
)
