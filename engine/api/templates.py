"""Templates over HTTP: which there are, and what they say."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from engine.api.context import Context
from engine.api.identity import Readable
from engine.catalog.states import Action
from engine.templating.store import Template, list_templates, newest

router = APIRouter(prefix="/templates", tags=["templates"])


class TemplateLine(BaseModel):
    """A template without its content."""

    name: str
    version: int
    executor: str
    action: Action
    source: str
    sha256: str


@router.get("", dependencies=[Readable])
def list_all(context: Context) -> list[TemplateLine]:
    """The version in use of each."""
    with context.database.reading() as connection:
        found = list_templates(connection)
    return [
        TemplateLine(
            name=each.name,
            version=each.version,
            executor=each.executor,
            action=each.action,
            source=each.source,
            sha256=each.sha256,
        )
        for each in found
    ]


@router.get("/{name:path}", dependencies=[Readable])
def show(name: str, context: Context) -> Template:
    with context.database.reading() as connection:
        return newest(connection, name)
