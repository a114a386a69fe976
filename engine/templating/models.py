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

template_trial = Table(
    "template_trial",  # the first change on a real device that a template's content made, proven
    metadata,
    identity(),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("template", String(128), nullable=False),
    Column("credential", String(512), nullable=False),  # USER@DEVICE, as it was called then
    Column("operation_id", Integer, nullable=False),  # may have been purged
    Column("requester", String(255), nullable=False),
    moment("created"),
)
