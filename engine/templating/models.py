"""Templates by version: an operation pins name, version and hash of what it runs."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, String, Table, Text, UniqueConstraint

from engine.store.metadata import identity, metadata, moment

template = Table(
    "template",
    metadata,
    identity(),
    Column("name", String(128), nullable=False),
    Column("version", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("executor", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("source", String(16), nullable=False),  # shipped | imported
    Column("content", Text, nullable=False),  # the whole file
    Column("author", String(255), nullable=False, default=""),
    Column("approved_by", String(255)),
    Column("retired", Boolean, nullable=False, default=False),
    moment("created"),
    UniqueConstraint("name", "version"),
    UniqueConstraint("name", "sha256"),
)
