"""Templates over HTTP: which there are, and what they say."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from engine.api.context import Context
from engine.api.identity import Administrator, Readable
from engine.catalog.states import Action
from engine.templating.imports import Change, store_import
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


class TemplateBody(BaseModel):
    """A whole file. What has no header is in the language of `executor`, for `action`."""

    model_config = ConfigDict(extra="forbid")

    content: str
    executor: str | None = None
    action: Action | None = None


class FindingLine(BaseModel):
    code: str
    line: int
    message: str


class ImportedLine(TemplateLine):
    """`change` is what storing it did; findings are those that `keyturn template lint` shows."""

    change: Change
    findings: list[FindingLine]


@router.get("", dependencies=[Readable])
def list_all(context: Context) -> list[TemplateLine]:
    """The version in use of each."""
    with context.database.reading() as connection:
        found = list_templates(connection)
    return [TemplateLine(**_line(each)) for each in found]


def _line(one: Template) -> dict[str, Any]:
    return {
        "name": one.name,
        "version": one.version,
        "executor": one.executor,
        "action": one.action,
        "source": one.source,
        "sha256": one.sha256,
    }


@router.get("/{name:path}", dependencies=[Readable])
def show(name: str, context: Context) -> Template:
    with context.database.reading() as connection:
        return newest(connection, name)


@router.put("/{name:path}")
def store(name: str, body: TemplateBody, context: Context, caller: Administrator) -> ImportedLine:
    """Store a template, or a new version of it; the same content again changes nothing."""
    with context.database.writing() as connection:
        done = store_import(connection, caller.name, name, body.content, body.executor, body.action)
    findings = [FindingLine(code=each.code, line=each.line, message=each.message) for each in done.findings]
    return ImportedLine(**_line(done.template), change=done.change, findings=findings)
