"""Trials of templates that only an emulation has met. Code of 0002 ships no such template."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
supports = "0002"


def upgrade() -> None:
    op.create_table(
        "template_trial",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("template", sa.String(length=128), nullable=False),
        sa.Column("credential", sa.String(length=512), nullable=False),
        sa.Column("operation_id", sa.Integer(), nullable=False),
        sa.Column("requester", sa.String(length=255), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_template_trial")),
        sa.UniqueConstraint("sha256", name=op.f("uq_template_trial_sha256")),
    )
