"""Writes migration 0001 anew from the tables: `python -m tests.write_first_migration`.

Only until the first release. From then on a change of the tables is a migration of its own, written by hand,
because databases exist that have run 0001.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.runtime.migration import MigrationContext
from sqlalchemy import JSON, create_engine

from engine.store import migrations
from engine.store.metadata import metadata
from tests.check_indexes import load_models

TARGET = Path(migrations.__path__[0]) / "versions" / "v0001_first.py"
HEAD = '''"""The first schema. Frozen at the first release; see tests/write_first_migration.py."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    {statements}
'''


def main() -> None:
    load_models()
    with create_engine("sqlite://").connect() as connection:
        context = MigrationContext.configure(connection, opts={"target_metadata": metadata})
        upgrading = produce_migrations(context, metadata).upgrade_ops
        assert upgrading is not None
        code = render_python_code(upgrading, migration_context=context, render_item=_render)
    statements = "\n".join(line for line in code.splitlines() if not line.lstrip().startswith("#"))
    TARGET.write_text(HEAD.format(statements=statements.strip()))
    for tidy in (["format", "--quiet"], ["check", "--fix", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *tidy, str(TARGET)], check=True)


def _render(kind: str, item: object, _: object) -> str | Literal[False]:
    return "JSON" if kind == "type" and isinstance(item, JSON) else False


if __name__ == "__main__":
    main()
