"""Migrations that only tests have, after those of the engine; and whether a migration only expands."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from engine.store import migrations
from engine.store import upgrade as upgrading
from engine.store.database import Database

OWN = Path(migrations.__file__).parent / "versions"
HEAD = max(path.name for path in OWN.glob("v*.py"))[1:5]  # the newest revision; file names begin with theirs
LATER = f"{int(HEAD) + 1:04}"
MIGRATION = '''
"""What a later release might do."""
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{head}"
supports = "{supports}"


def upgrade():
    op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))
    op.add_column("device", sa.Column("later", sa.String(length=16), nullable=True))
    op.add_column("operation", sa.Column("weight", sa.Integer(), server_default="1", nullable=False))
'''


@contextmanager
def later_release(folder: Path, supports: str) -> Iterator[None]:
    """Inside, `upgrade` is that of a release with one migration more. `supports`: the oldest release that may
    work on what it makes."""
    folder.mkdir()
    migration = MIGRATION.format(revision=LATER, head=HEAD, supports=supports)
    (folder / f"v{LATER}_later.py").write_text(migration)
    config = upgrading._config

    def longer(connection: Connection) -> Config:
        made = config(connection)
        made.set_main_option("path_separator", "newline")
        made.set_main_option("version_locations", f"{OWN}\n{folder}")
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upgrading, "_config", longer)
        yield


def upgrade_to(database: Database, revision: str) -> None:
    """As the release with that revision left it, without the rows that it made."""
    with database.writing() as connection:
        command.upgrade(upgrading._config(connection), revision)


def narrowing(source: str) -> list[str]:
    """What of a migration an older release's code would stumble over; nothing if it says that it supports
    only its own."""
    tree = ast.parse(source)
    facts = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    if facts["supports"] == facts["revision"]:
        return []
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_operation(node)]
    made = {_text(call.args[0]) for call in calls if _name(call) == "create_table"}
    return [ast.unparse(call) for call in calls if not _expands(call, made)]


def _is_operation(call: ast.Call) -> bool:
    function = call.func
    return isinstance(function, ast.Attribute) and _text(function.value) == "op" and function.attr != "f"


def _name(call: ast.Call) -> str:
    assert isinstance(call.func, ast.Attribute)
    return call.func.attr


def _expands(call: ast.Call, made: set[str]) -> bool:
    """A table or a plain index more; a column that an older release's INSERT need not name."""
    name, keywords = _name(call), {each.arg: each.value for each in call.keywords}
    if name == "create_table":
        return True
    if name == "create_index":
        return _text(keywords.get("unique")) in ("", "False") or _text(call.args[1]) in made
    return name == "add_column" and _optional(call.args[1])


def _optional(column: ast.expr) -> bool:
    if not isinstance(column, ast.Call):
        return False
    keywords = {each.arg: _text(each.value) for each in column.keywords}
    return "server_default" in keywords or keywords.get("nullable") == "True"


def _text(node: ast.expr | None) -> str:
    return "" if node is None else str(node.value) if isinstance(node, ast.Constant) else ast.unparse(node)
