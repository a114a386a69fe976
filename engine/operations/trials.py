"""Trials: what only an emulation has met changes one account of a real device before anything else uses it.

A trial is a person's change of one credential whose own template it is. The first that ends proven is kept
for good, by the content's SHA-256: another content needs a trial of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, select, update

from engine.catalog.lookup import name_of
from engine.catalog.models import credential
from engine.catalog.states import Action
from engine.operations.plan import Plan
from engine.record import audit
from engine.store.clock import now
from engine.store.errors import KeyturnError, Kind
from engine.store.statements import insert_unless_there
from engine.templating.header import Tier, parse_file
from engine.templating.models import template_trial
from engine.templating.store import newest

BY_A_PERSON: Final = "manual"  # the trigger
_TRIED = select(template_trial.c.id).where(template_trial.c.sha256 == bindparam("sha256"))


class TemplateUntried(KeyturnError):
    """A profile or an event would use a template that no real device has met."""

    code = "template_untried"
    kind = Kind.CONFLICT


class NoTrialNeeded(KeyturnError):
    """The template is proven already, or changes no secret."""

    code = "no_trial_needed"
    kind = Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class Trial:
    """The first change that a template's content made on a real device. `created`: as of the database."""

    template: str
    sha256: str
    credential: str
    operation_id: int
    requester: str
    created: float


def prepare(connection: Connection, actor: str, name: str, credential_id: int) -> Action:
    """Make the template the credential's own. What is asked for next, by a person, is its trial: the action
    that is returned. Raises UnknownTemplate, NoTrialNeeded.
    """
    used = newest(connection, name)
    file = parse_file(used.content, name, executor=used.executor, action=used.action)
    if file.tier is not Tier.EMULATED or used.action is Action.VERIFY:
        raise NoTrialNeeded(f"the template {name} needs no trial: every policy may use it")
    connection.execute(update(credential).where(credential.c.id == credential_id).values(template=name))
    audit.write(
        connection,
        actor=actor,
        action="credential.template",
        object=f"credential {name_of(connection, credential_id)}",
        details={"template": name},
    )
    return used.action


def trials(connection: Connection) -> list[Trial]:
    """All, oldest first."""
    wanted = [template_trial.c[field] for field in Trial.__dataclass_fields__]
    return [Trial(*row) for row in connection.execute(select(*wanted).order_by(template_trial.c.id))]


def check(connection: Connection, plan: Plan, trigger: str) -> None:
    """Before anything is sent. Raises TemplateUntried."""
    used = plan.template
    if used is None or not plan.emulated or plan.action is Action.VERIFY:
        return
    if plan.own_template and trigger == BY_A_PERSON:
        return
    if connection.execute(_TRIED, {"sha256": used.sha256}).first() is None:
        raise TemplateUntried(
            f"the template {used.name} has met an emulation of the product only, never a real device: try it "
            f"on one credential, `keyturn template trial {used.name} USER@DEVICE`; when that change is "
            "proven every policy may use it"
        )


def record(connection: Connection, plan: Plan, changed: str, operation_id: int, requester: str) -> None:
    """A change with the plan's template has ended proven."""
    used = plan.template
    if used is None or not plan.emulated:
        return
    made = {
        "sha256": used.sha256,
        "template": used.name,
        "credential": changed,
        "operation_id": operation_id,
        "requester": requester,
        "created": now(),
    }
    if insert_unless_there(connection, template_trial, made, ["sha256"]) is not None:
        audit.write(
            connection,
            actor=requester,
            action="template.tried",
            object=f"template {used.name}",
            operation_id=operation_id,
            details={"credential": changed, "sha256": used.sha256},
        )
