"""Past one process: workers, zones' handovers, receivers of notices, what may be purged.

`supports` is the oldest revision whose code may work on the schema that this one makes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
supports = "0002"

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "duty",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("done", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duty")),
        sa.UniqueConstraint("name", name=op.f("uq_duty_name")),
    )
    op.create_table(
        "outbox_head",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_head")),
    )
    op.create_table(
        "receiver",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("format", sa.String(length=16), nullable=False),
        sa.Column("options", JSON, nullable=False),
        sa.Column("kinds", JSON, nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("sent", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("settled", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("due", sa.Double(), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.Column("delivered_at", sa.Double(), nullable=True),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receiver")),
        sa.UniqueConstraint("name", name=op.f("uq_receiver_name")),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("notice_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("receiver_id", sa.Integer(), nullable=True),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("due", sa.Double(), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("finished", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["notice_id"], ["outbox.id"], name=op.f("fk_delivery_notice_id")),
        sa.ForeignKeyConstraint(["receiver_id"], ["receiver.id"], name=op.f("fk_delivery_receiver_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("notice_id", "receiver_id", name=op.f("uq_delivery_notice_id_receiver_id")),
    )
    op.create_index(
        "ix_delivery_due",
        "delivery",
        ["due"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "ix_delivery_finished",
        "delivery",
        ["finished"],
        unique=False,
        sqlite_where=sa.text("finished IS NOT NULL"),
        postgresql_where=sa.text("finished IS NOT NULL"),
    )
    op.create_index("ix_delivery_receiver", "delivery", ["receiver_id", "state"], unique=False)
    op.create_table(
        "worker",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("zone_id", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("release", sa.String(length=32), nullable=False),
        sa.Column("threads", sa.Integer(), nullable=False),
        sa.Column("busy", sa.Integer(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("started", sa.Double(), nullable=False),
        sa.Column("beat", sa.Double(), nullable=False),
        sa.Column("stopped", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["zone_id"], ["zone.id"], name=op.f("fk_worker_zone_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
        sa.UniqueConstraint("name", name=op.f("uq_worker_name")),
    )
    op.create_index("ix_worker_zone", "worker", ["zone_id"], unique=False)
    op.create_table(
        "handover",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("credential_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("zone_id", sa.Integer(), nullable=False),
        sa.Column("operation_id", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("refused", sa.String(length=500), nullable=True),
        sa.Column("created", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"], name=op.f("fk_handover_credential_id")),
        sa.ForeignKeyConstraint(["operation_id"], ["operation.id"], name=op.f("fk_handover_operation_id")),
        sa.ForeignKeyConstraint(["zone_id"], ["zone.id"], name=op.f("fk_handover_zone_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handover")),
        sa.UniqueConstraint(
            "credential_id", "number", "zone_id", name=op.f("uq_handover_credential_id_number_zone_id")
        ),
    )
    op.create_index(
        "ix_handover_wanted",
        "handover",
        ["id"],
        unique=False,
        sqlite_where=sa.text("sealed IS NULL AND refused IS NULL"),
        postgresql_where=sa.text("sealed IS NULL AND refused IS NULL"),
    )
    op.create_index(
        "ix_attempt_transcript",
        "attempt",
        ["finished"],
        unique=False,
        sqlite_where=sa.text("transcript IS NOT NULL"),
        postgresql_where=sa.text("transcript IS NOT NULL"),
    )
    op.add_column(
        "engine_state", sa.Column("installation", sa.String(length=32), server_default="", nullable=False)
    )
    op.add_column(
        "engine_state", sa.Column("supports", sa.String(length=32), server_default="", nullable=False)
    )
    op.create_index(
        "ix_operation_finished",
        "operation",
        ["finished"],
        unique=False,
        sqlite_where=sa.text("finished IS NOT NULL"),
        postgresql_where=sa.text("finished IS NOT NULL"),
    )
    op.add_column(
        "outbox", sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
    )
    op.drop_index(op.f("ix_outbox_due"), table_name="outbox")
    op.create_index(
        "ix_outbox_unnumbered",
        "outbox",
        ["id"],
        unique=False,
        sqlite_where=sa.text("sequence IS NULL"),
        postgresql_where=sa.text("sequence IS NULL"),
    )
    op.create_index("uq_outbox_sequence", "outbox", ["sequence"], unique=True)
    op.drop_column("outbox", "callback")  # that release delivered to nobody, and by now nobody waits
    op.drop_column("outbox", "tries")
    op.drop_column("outbox", "delivered")
    op.drop_column("outbox", "due")
    op.add_column("secret_version", sa.Column("sealed_as", sa.Integer(), nullable=True))
    op.create_index("ix_handover_operation", "handover", ["operation_id"], unique=False)
    op.create_index("ix_request_operation", "request", ["operation_id"], unique=False)
    op.create_index("ix_cascade_operation", "cascade", ["operation_id"], unique=False)
    op.create_index(
        "ix_operation_parent",
        "operation",
        ["parent_operation_id"],
        unique=False,
        sqlite_where=sa.text("parent_operation_id IS NOT NULL"),
        postgresql_where=sa.text("parent_operation_id IS NOT NULL"),
    )
    op.add_column("device", sa.Column("cleartext", sa.Boolean(), server_default=sa.false(), nullable=False))
