"""Templates in the database: every version that ever ran stays, the newest that is not retired is used."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, func, select, update

from engine.catalog.states import Action
from engine.record import audit
from engine.store.clock import now
from engine.store.errors import KeyturnError, Kind
from engine.store.statements import insert_unless_there
from engine.templating.header import TemplateFile, parse_file
from engine.templating.library import walk
from engine.templating.models import template

SHIPPED: Final = "shipped"
IMPORTED: Final = "imported"


class UnknownTemplate(KeyturnError):
    code = "unknown_template"
    kind = Kind.NOT_FOUND

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no template {name!r} in use; `keyturn template list` shows those there are"
        )


class TemplateChanged(KeyturnError):
    """What an operation pinned is not what is stored; nothing may run."""

    code = "template_changed"
    kind = Kind.CONFLICT

    def __init__(self, template_id: int) -> None:
        super().__init__(
            f"template version {template_id} is not the one that the operation pinned; "
            "find out who changed the database, then ask for the operation again"
        )


@dataclass(frozen=True, slots=True)
class Template:
    """One version. `content` is the whole file."""

    id: int
    name: str
    version: int
    sha256: str
    executor: str
    action: Action
    source: str
    content: str
    retired: bool
    created: float


def shipped_contents() -> Iterator[tuple[str, bytes]]:
    """Path and bytes of every template of the package `templates`."""
    for path, file in walk(files("templates"), ""):
        yield path, file.read_bytes()


def sync(
    connection: Connection, actor: str, contents: Iterable[tuple[str, bytes]] | None = None
) -> list[str]:
    """Bring the stored shipped templates to the release's; returns the names that changed.

    A content that is there already is used again under its old number, also after a downgrade; shipped ones
    that the release lacks are retired. Imported templates are left alone. Raises TemplateError.
    """
    given = shipped_contents() if contents is None else contents
    current = {(file := parse_file(data, path)).name: (file, data.decode()) for path, data in given}
    changed = [
        name
        for name, (file, text) in current.items()
        if put(connection, file, text, source=SHIPPED, author="keyturn")
    ]
    changed += _retire_others(connection, {file.name: file.sha256 for file, _ in current.values()})
    for name in sorted(set(changed)):
        audit.write(connection, actor=actor, action="template.sync", object=f"template {name}")
    return sorted(set(changed))


def put(connection: Connection, file: TemplateFile, text: str, *, source: str, author: str) -> bool:
    """Have this content in use. Whether it was not so before."""
    here = (template.c.name == file.name) & (template.c.sha256 == file.sha256)
    again = update(template).where(here, template.c.retired.is_(True)).values(retired=False)
    if connection.execute(again).rowcount:
        return True
    last = connection.scalar(select(func.max(template.c.version)).where(template.c.name == file.name))
    values = {
        "name": file.name,
        "version": max(file.version, (last or 0) + 1),
        "sha256": file.sha256,
        "executor": file.executor,
        "action": file.action,
        "source": source,
        "content": text,
        "author": author,
        "retired": False,
        "created": now(),
    }
    return insert_unless_there(connection, template, values, ["name", "sha256"]) is not None


def _retire_others(connection: Connection, in_use: dict[str, str]) -> list[str]:
    """Retire the shipped versions that are not the release's; returns their names."""
    live = select(template.c.id, template.c.name, template.c.sha256).where(
        template.c.source == SHIPPED, template.c.retired.is_(False)
    )
    gone = [row for row in connection.execute(live) if in_use.get(row.name) != row.sha256]
    for row in gone:
        connection.execute(update(template).where(template.c.id == row.id).values(retired=True))
    return [row.name for row in gone]


def retire_others_of(connection: Connection, name: str, sha256: str) -> None:
    """Of a template's versions leave the one of that content in use."""
    others = (template.c.name == name) & (template.c.sha256 != sha256)
    connection.execute(update(template).where(others, template.c.retired.is_(False)).values(retired=True))


_NEWEST = (
    select(template)
    .where(template.c.name == bindparam("which"), template.c.retired.is_(False))
    .order_by(template.c.version.desc())
    .limit(1)
)


def newest(connection: Connection, name: str) -> Template:
    """The version in use. Raises UnknownTemplate."""
    row = connection.execute(_NEWEST, {"which": name}).one_or_none()
    if row is None:
        raise UnknownTemplate(name)
    return _view(row)


def pinned(connection: Connection, template_id: int, sha256: str) -> Template:
    """Exactly what was pinned, checked against its content. Raises TemplateChanged."""
    row = connection.execute(select(template).where(template.c.id == template_id)).one_or_none()
    if row is None or hashlib.sha256(row.content.encode()).hexdigest() != sha256:
        raise TemplateChanged(template_id)
    return _view(row)


def list_templates(connection: Connection) -> list[Template]:
    """The newest version in use of each, by name."""
    statement = (
        select(template).where(template.c.retired.is_(False)).order_by(template.c.name, template.c.version)
    )
    return list({row.name: _view(row) for row in connection.execute(statement)}.values())


def _view(row: Row[Any]) -> Template:
    return Template(
        id=row.id,
        name=row.name,
        version=row.version,
        sha256=row.sha256,
        executor=row.executor,
        action=Action(row.action),
        source=row.source,
        content=row.content,
        retired=row.retired,
        created=row.created,
    )
