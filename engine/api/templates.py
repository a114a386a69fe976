"""Templates over HTTP: which there are, and what they say."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from engine.api.context import Context
from engine.api.identity import Administrator, Readable
from engine.catalog.states import Action
from engine.templating.header import Tier, parse_file
from engine.templating.imports import Change, retire, store_import
from engine.templating.store import SHIPPED, Template, list_templates, newest
from executors.contract import TemplateError

router = APIRouter(prefix="/templates", tags=["templates"])


class TemplateLine(BaseModel):
    """A template without its content. `tier` is None for one that nobody here has tried."""

    name: str
    version: int
    tier: Tier | None
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
        "tier": _tier(one),
        "executor": one.executor,
        "action": one.action,
        "source": one.source,
        "sha256": one.sha256,
    }


def _tier(one: Template) -> Tier | None:
    """What we have tried it on; what a header from elsewhere says of itself is no evidence."""
    if one.source != SHIPPED:
        return None
    try:
        return parse_file(one.content, one.name, executor=one.executor, action=one.action).tier
    except TemplateError:  # stored by a newer release, whose headers have keys that this one does not know
        return None


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


@router.post("/{name:path}/retire")
def take_out_of_use(name: str, context: Context, caller: Administrator) -> TemplateLine:
    """Take an imported template out of use, such as the old name of a renamed file; its versions stay."""
    with context.database.writing() as connection:
        return TemplateLine(**_line(retire(connection, caller.name, name)))
