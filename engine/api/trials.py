"""Trials of templates over HTTP: what no real device has met changes one account first."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from engine.api.context import Context
from engine.api.identity import Administrator, Readable
from engine.api.operations import Accepted, accepted
from engine.api.schemas import Name
from engine.catalog.lookup import find_credential
from engine.catalog.states import CredentialKind
from engine.operations import trials
from engine.operations.trials import Trial
from triggers.registry import Event, happened

router = APIRouter(prefix="/trials", tags=["templates"])


class TrialBody(BaseModel):
    """`credential`: USER@DEVICE of the account that the template shall change."""

    model_config = ConfigDict(extra="forbid")

    template: Name
    credential: Name
    kind: CredentialKind | None = None


@router.get("", dependencies=[Readable])
def list_all(context: Context) -> list[Trial]:
    """Those that ended proven."""
    with context.database.reading() as connection:
        return trials.trials(connection)


@router.post("", status_code=202)
def begin(body: TrialBody, context: Context, caller: Administrator, response: Response) -> Accepted:
    """Change one credential with a template that only an emulation has met, from now on its own."""
    with context.database.writing() as connection:
        credential_id = find_credential(connection, body.credential, body.kind)
        action = trials.prepare(connection, caller.name, body.template, credential_id)
        [requested] = happened(connection, Event(trials.BY_A_PERSON, credential_id, caller.name, action))
    return accepted(context, requested, response)
