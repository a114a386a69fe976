"""Parent links: which credential follows which, and how."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, select, update

from engine.catalog.errors import BadInput, ParentCycle, TooDeep
from engine.catalog.lookup import name_of
from engine.catalog.models import credential

MAX_DEPTH: Final = 8  # links between a credential and the top of its family


class Link(StrEnum):
    SAME = "same"  # another place that holds the parent's secret
    OWN = "own"  # another account that changes after its parent, to a secret of its own


def link_kind(parent: str | None, link: str | None) -> Link | None:
    """The kind is always said: guessing it would put one account's secret on another. Raises BadInput."""
    choices = "`--link same` (it holds the parent's secret) or `--link own` (it changes too, to its own)"
    if parent is None:
        if link is not None:
            raise BadInput("link", "there is no parent to link to; name one with `--parent`")
        return None
    if link not in tuple(Link):
        raise BadInput("link", f"a parent needs {choices}")
    return Link(link)


def set_parent(connection: Connection, credential_id: int, parent_id: int, link: Link) -> None:
    """Link within the caller's transaction. Raises ParentCycle, TooDeep."""
    above = _ancestors(connection, credential_id, parent_id)
    if above + _height(connection, credential_id) > MAX_DEPTH:
        raise TooDeep(
            f"{name_of(connection, credential_id)} would stand more than {MAX_DEPTH} links below the top of "
            "its family; link it to a credential nearer the top"
        )
    values = {"parent_id": parent_id, "link": link, "parent_version": None}
    connection.execute(update(credential).where(credential.c.id == credential_id).values(values))


def _ancestors(connection: Connection, credential_id: int, parent_id: int) -> int:
    """How many credentials stand above. Locks each, so that two links made at once cannot close a circle."""
    above, here = 0, parent_id
    while here is not None:
        if here == credential_id:
            child, parent = name_of(connection, credential_id), name_of(connection, parent_id)
            raise ParentCycle(
                f"{parent} follows {child} already, so {child} cannot follow it"
                if child != parent
                else f"{child} cannot be its own parent; leave out `--parent`"
            )
        above += 1
        locking = select(credential.c.parent_id).where(credential.c.id == here).with_for_update()
        here = connection.execute(locking).scalar_one()
    return above


def _height(connection: Connection, credential_id: int) -> int:
    """How many levels of children stand below; at most one more than is allowed is looked at."""
    level, height = [credential_id], 0
    while height <= MAX_DEPTH:
        level = list(connection.scalars(select(credential.c.id).where(credential.c.parent_id.in_(level))))
        if not level:
            break
        height += 1
    return height
