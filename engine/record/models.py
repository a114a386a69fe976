"""What happened: audit entries in a hash chain, and notices waiting to go out."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
)

from engine.store.metadata import Json, identity, metadata, moment, partial_index, reference

# A busy site writes more entries than 32 bits count. Only Integer makes a rowid on SQLite, which has 64.
Count = BigInteger().with_variant(Integer(), "sqlite")

# Written in the transaction of the change that they record; numbered and chained by one appender afterwards.
audit_entry = Table(
    "audit_entry",
    metadata,
    Column("id", Count, primary_key=True),
    moment("at"),
    Column("actor", String(255), nullable=False),
    Column("action", String(64), nullable=False),
    Column("object", String(512), nullable=False),
    Column("operation_id", Integer),
    Column("epoch", Integer),
    Column("outcome", String(32)),
    Column("details", Json, nullable=False),
    Column("sequence", Count, unique=True),
    Column("previous_hash", String(64)),
    Column("hash", String(64)),
    partial_index("ix_audit_entry_unsealed", "id", where="sequence IS NULL", unique=False),
)

# One row: the head of the chain and who may append.
audit_chain = Table(
    "audit_chain",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sequence", Count, nullable=False),
    Column("hash", String(64), nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Count, primary_key=True),
    moment("at"),
    Column("kind", String(64), nullable=False),
    Column("operation_id", Integer),
    Column("payload", Json, nullable=False),
    # Given after the commit, without gaps, in the order in which receivers get it.
    Column("sequence", Count),
    Index("uq_outbox_sequence", "sequence", unique=True),
    partial_index("ix_outbox_unnumbered", "id", where="sequence IS NULL", unique=False),
)

# One row: the last number given.
outbox_head = Table(
    "outbox_head",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sequence", Count, nullable=False),
)

# Where notices go. Workers of `zone` deliver, one at a time (`lease_owner`). A syslog receiver is a stream:
# `sent` is the last sequence written to it, `settled` the last whose loss need not be feared any more.
receiver = Table(
    "receiver",
    metadata,
    identity(),
    Column("name", String(64), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),  # syslog | webhook
    Column("zone", String(64), nullable=False),
    Column("url", String(2048), nullable=False),  # udp:// tcp:// tls:// http:// https://
    Column("format", String(16), nullable=False),  # rfc5424 | cef | cloudevents
    Column("options", Json, nullable=False),
    Column("kinds", Json, nullable=False),  # ["operation.*", …]
    Column("secret", LargeBinary),  # sealed to the zone: a webhook's signing key
    Column("enabled", Boolean, nullable=False, default=True),
    Column("sent", Count, nullable=False, default=0),
    Column("settled", Count, nullable=False, default=0),
    Column("lease_owner", String(128)),
    moment("lease_until", nullable=True),
    Column("failures", Integer, nullable=False, default=0),  # in a row
    moment("due"),
    Column("error", String(500)),
    moment("delivered_at", nullable=True),  # the last time that something arrived
    moment("created"),
)

# One notice on its way to one webhook or requester; the id stays the same through all tries.
delivery = Table(
    "delivery",
    metadata,
    Column("id", Count, primary_key=True),
    Column("notice_id", Count, ForeignKey("outbox.id"), nullable=False),
    reference("receiver_id", "receiver", nullable=True),  # None: to a requester's callback
    Column("url", String(2048), nullable=False),
    Column("state", String(16), nullable=False, default="waiting"),  # waiting | delivered | dead
    Column("tries", Integer, nullable=False, default=0),
    Column("lease_owner", String(128)),
    moment("lease_until", nullable=True),
    moment("due"),
    Column("error", String(500)),
    moment("created"),
    moment("finished", nullable=True),
    UniqueConstraint("notice_id", "receiver_id"),
    partial_index("ix_delivery_due", "due", where="state = 'waiting'", unique=False),
    partial_index("ix_delivery_finished", "finished", where="finished IS NOT NULL", unique=False),
    Index("ix_delivery_receiver", "receiver_id", "state"),
)
