"""Templates that people bring along: stored as they are, a new version for each new content."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, func, select, update

from engine.catalog.lookup import name_of
from engine.catalog.models import credential
from engine.catalog.rules import list_profiles
from engine.catalog.states import Action, CredentialState
from engine.record import audit
from engine.store.errors import KeyturnError, Kind
from engine.templating.header import LEGAL_NAME, TemplateFile, parse_file
from engine.templating.library import load_and_check
from engine.templating.linting import findings_of
from engine.templating.models import template
from engine.templating.names import LONGEST
from engine.templating.store import IMPORTED, SHIPPED, Template, newest, put, retire_others_of
from executors.contract import TemplateError
from executors.language.findings import Finding, Severity
from executors.language.parsing import parse
from executors.language.tree import executor_named
from executors.registry import load

MOST_NAMED: Final = 5  # of those that use a template, in a message


class BadTemplateName(KeyturnError):
    code = "bad_template_name"
    kind = Kind.INVALID

    def __init__(self) -> None:
        super().__init__(
            f"a template's name is lower-case words joined by '-', '.' or '/', {LONGEST} characters at most"
        )


class NameTaken(KeyturnError):
    """The release itself has a template of that name."""

    code = "name_taken"
    kind = Kind.CONFLICT

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is a template of this release; choose another name, or a prefix")


class ShippedTemplate(KeyturnError):
    code = "shipped_template"
    kind = Kind.CONFLICT

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} comes with this release and goes with it; only imported ones are retired")


class TemplateInUse(KeyturnError):
    code = "template_in_use"
    kind = Kind.CONFLICT

    def __init__(self, name: str, users: str) -> None:
        super().__init__(f"{name} is used by {users}; give them another template first")


class Change(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Imported:
    template: Template
    change: Change
    findings: tuple[Finding, ...]


def store_import(
    connection: Connection, actor: str, name: str, content: str, executor: str | None, action: Action | None
) -> Imported:
    """Store a template under its name; a content that is there already changes nothing.

    One with a header must be of that name and must load; one without is in the field's language, of the
    executor and action given, and may be of an executor that this release cannot run.

    Raises BadTemplateName, NameTaken, ExecutorUnavailable, and TemplateError for whatever cannot be run.
    """
    if len(name) > LONGEST or not LEGAL_NAME.fullmatch(name):
        raise BadTemplateName
    if "\0" in content:  # PostgreSQL keeps none
        raise TemplateError(0, "the text holds NUL characters; remove them")
    file = parse_file(content, name, executor=executor, action=action)
    findings = _checked(file, name) if file.tags is None else _checked_native(file, name)
    change = _change(connection, name, file.sha256)
    if change is not Change.UNCHANGED:
        put(connection, replace(file, name=name), content, source=IMPORTED, author=actor)
        retire_others_of(connection, name, file.sha256)
        details = {"sha256": file.sha256, "executor": file.executor, "template_action": file.action}
        audit.write(
            connection, actor=actor, action="template.import", object=f"template {name}", details=details
        )
    return Imported(newest(connection, name), change, findings)


def _checked_native(file: TemplateFile, name: str) -> tuple[Finding, ...]:
    if file.name != name:
        raise TemplateError(0, f"the header names it {file.name}; import it under that name")
    return findings_of(load_and_check(file, load(file.executor)))


def _checked(file: TemplateFile, name: str) -> tuple[Finding, ...]:
    if executor_named(file.executor) != file.executor:
        raise TemplateError(0, f"no executor {file.executor[:40]!r} has a template language")
    parsed = parse(file.body, file.executor, file.action, name)
    for each in parsed.findings:
        if each.severity is Severity.ERROR:
            raise TemplateError(each.line, each.message)
    return parsed.findings


def _change(connection: Connection, name: str, sha256: str) -> Change:
    """What storing this content would be. Raises NameTaken."""
    live = select(template.c.sha256, template.c.source).where(
        template.c.name == name, template.c.retired.is_(False)
    )
    rows = connection.execute(live).all()
    if any(row.source == SHIPPED for row in rows):
        raise NameTaken(name)
    if any(row.sha256 == sha256 for row in rows):
        return Change.UNCHANGED
    known = connection.scalar(select(func.count()).where(template.c.name == name))
    return Change.CHANGED if known else Change.NEW


def retire(connection: Connection, actor: str, name: str) -> Template:
    """Take an imported template out of use; its versions stay for what was pinned to them, and importing it
    again brings it back. Returns what was in use.

    Raises UnknownTemplate, ShippedTemplate, TemplateInUse.
    """
    was = newest(connection, name)
    if was.source == SHIPPED:
        raise ShippedTemplate(name)
    profiles = [each.name for each in list_profiles(connection) if name in each.templates.values()]
    users = [f"the profile {each}" for each in profiles]
    users += [f"the credential {each}" for each in _credentials_with(connection, name)]
    if users:
        more = f" and {len(users) - MOST_NAMED} more" if len(users) > MOST_NAMED else ""
        raise TemplateInUse(name, ", ".join(users[:MOST_NAMED]) + more)
    in_use = (template.c.name == name) & template.c.retired.is_(False)
    connection.execute(update(template).where(in_use).values(retired=True))
    audit.write(
        connection,
        actor=actor,
        action="template.retire",
        object=f"template {name}",
        details={"sha256": was.sha256},
    )
    return was


def _credentials_with(connection: Connection, name: str) -> list[str]:
    using = select(credential.c.id).where(
        credential.c.template == name, credential.c.state != CredentialState.RETIRED
    )
    return [name_of(connection, each) for each in connection.scalars(using.order_by(credential.c.id)).all()]
