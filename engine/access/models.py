"""Who calls. People and applications hold bearer tokens for now; their hashes are keyed."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, LargeBinary, String, Table

from engine.store.metadata import identity, metadata, moment

token = Table(
    "token",
    metadata,
    identity(),
    Column("public_id", String(32), nullable=False, unique=True),
    Column("principal", String(255), nullable=False),
    Column("role", String(32), nullable=False),
    Column("hash", LargeBinary, nullable=False),  # HMAC-SHA-256 under the data directory's pepper
    Column("revoked", Boolean, nullable=False, default=False),
    moment("created"),
    moment("expires", nullable=True),
)
