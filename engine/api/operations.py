"""Operations over HTTP: asking, looking, canceling, asking again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from engine.api.context import ApiContext, Context
from engine.api.identity import Readable, Requester, TranscriptReader
from engine.api.reveal import ask_and_open
from engine.api.schemas import MAX_ID, Bare, EventBody, OperationBody, ReasonBody
from engine.catalog.lookup import device_row, find_credential
from engine.operations import service
from engine.operations.errors import NoSuchOperation
from engine.operations.requests import Requested
from engine.operations.service import AttemptView, OperationView, TransitionView
from engine.operations.states import OperationState
from engine.record import urls
from engine.vault import sealing
from engine.vault.refs import credential_ref
from engine.vault.sealing import Purpose
from engine.vault.service import ask_transcript
from triggers.registry import Event, happened

router = APIRouter(tags=["operations"])

Id = Annotated[int, Path(ge=1, le=MAX_ID)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=128,
        pattern=r"^[\x21-\x7e]+$",
        description="The same request sent again with the same key is answered as the first was.",
    ),
]


class Accepted(BaseModel):
    """`joined`: the request was added to an operation that was there already."""

    operation: int
    joined: bool
    state: str


class OperationDetails(BaseModel):
    """An operation with all that happened to it."""

    id: int
    credential_id: int
    credential: str
    action: str
    state: str
    outcome: str | None
    reason: str | None
    trigger: str
    requester: str
    due: float
    needs_person: bool
    cancel_requested: bool
    parent_operation_id: int | None
    template_sha256: str | None
    created: float
    started: float | None
    finished: float | None
    attempts: list[AttemptView]
    transitions: list[TransitionView]


class Transcript(BaseModel):
    transcript: str


def accepted(context: ApiContext, requested: Requested, response: Response) -> Accepted:
    """Rings the doorbell. Call it after the commit: a worker must find what it is told of."""
    context.bell.ring(requested.operation_id)
    with context.database.reading() as connection:
        state = service.show(connection, requested.operation_id).state
    response.headers["Location"] = f"/api/v1/operations/{requested.operation_id}"
    return Accepted(operation=requested.operation_id, joined=requested.joined, state=state)


@router.post("/operations", status_code=202)
def request(
    body: OperationBody, context: Context, caller: Requester, response: Response, key: IdempotencyKey = None
) -> Accepted:
    """Ask for one. A request joins an operation of its kind that waits already.

    `callback` gets a notice of each state, if the engine's setting `callback_hosts` lists its host.
    """
    callback = body.callback and str(urls.callback(body.callback, context.settings.callback_hosts))
    with context.database.writing() as connection:
        event = Event(
            "manual",
            find_credential(connection, body.credential, body.kind),
            caller.name,
            body.action,
            body.due,
            body.priority,
            callback,
            key,
            body.expires,
        )
        [requested] = happened(connection, event)
    return accepted(context, requested, response)


@router.get("/operations", dependencies=[Readable])
def list_some(
    context: Context,
    state: Annotated[list[OperationState] | None, Query()] = None,
    credential: str | None = None,
    device: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[int, Query(ge=0, le=MAX_ID)] = 0,
) -> list[OperationView]:
    with context.database.reading() as connection:
        credential_id = None if credential is None else find_credential(connection, credential)
        device_id = None if device is None else device_row(connection, device).id
        return service.find(connection, state, credential_id, device_id, limit, after)


@router.get("/operations/{operation_id}", dependencies=[Readable])
def show(operation_id: Id, context: Context) -> OperationDetails:
    with context.database.reading() as connection:
        found = service.show(connection, operation_id)
        return OperationDetails.model_validate(
            {field: getattr(found, field) for field in OperationView.__dataclass_fields__}
            | {
                "attempts": service.attempts(connection, operation_id),
                "transitions": service.transitions(connection, operation_id),
            }
        )


@router.post("/operations/{operation_id}/attempts/{attempt_id}/transcript")
async def transcript(
    operation_id: Id, attempt_id: Id, body: ReasonBody, context: Context, caller: TranscriptReader
) -> Transcript:
    """What was said between engine and target, redacted.

    It may hold secrets that no redactor knows: reading it is a right of its own, and audited.
    """

    def ask(connection: Connection, public_key: bytes) -> tuple[int, sealing.Context]:
        found = service.show(connection, operation_id)
        if attempt_id not in {each.id for each in service.attempts(connection, operation_id)}:
            raise NoSuchOperation(operation_id)
        ref = credential_ref(connection, found.credential_id)
        request_id = ask_transcript(
            connection, found.credential_id, attempt_id, caller.name, body.reason, public_key
        )
        return request_id, ref.context(attempt_id, Purpose.REVEAL)

    opened = await ask_and_open(context, ask)
    return Transcript(transcript=opened.decode("utf-8", "replace"))


@router.post("/operations/{operation_id}/cancel", dependencies=[Bare])
def cancel(operation_id: Id, context: Context, caller: Requester) -> OperationView:
    """Stop it. Once something was sent it still ends by proof and never becomes `canceled`."""
    with context.database.writing() as connection:
        found = service.cancel(connection, operation_id, caller.name)
    context.bell.ring(operation_id)
    return found


@router.post("/operations/{operation_id}/retry", status_code=202, dependencies=[Bare])
def retry(operation_id: Id, context: Context, caller: Requester, response: Response) -> Accepted:
    """Ask again for what failed, or look now at what is in doubt."""
    with context.database.writing() as connection:
        requested = service.retry(connection, operation_id, caller.name)
    return accepted(context, requested, response)


@router.post("/events", status_code=202, tags=["events"])
def tell(
    body: EventBody, context: Context, caller: Requester, response: Response, key: IdempotencyKey = None
) -> list[Accepted]:
    """Tell what happened outside; the answer lists the operations that follow."""
    with context.database.writing() as connection:
        credential_id = find_credential(connection, body.credential, body.kind)
        event = Event(body.event, credential_id, caller.name, body.action, idempotency_key=key)
        requested = happened(connection, event)
    return [accepted(context, each, response) for each in requested]
