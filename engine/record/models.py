"""What happened: audit entries in a hash chain, and notices waiting to go out."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from engine.store.metadata import Json, metadata, moment, partial_index

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
    Column("callback", Text),
    moment("delivered", nullable=True),
    Column("tries", Integer, nullable=False, default=0),
    moment("due"),
    Index("ix_outbox_due", "delivered", "due"),
)
