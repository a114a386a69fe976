"""A device's consent to algorithms that are no longer safe; code of 0002 knows of none and refuses them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
supports = "0002"


def upgrade() -> None:
    op.add_column(
        "device", sa.Column("weak_algorithms", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
