"""Credentials over HTTP. A secret comes in wrapped, and leaves in one reply to one caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from engine.access.service import Permission, allow
from engine.api.context import ApiContext, Context
from engine.api.identity import Administrator, Readable, Requester, Revealer
from engine.api.operations import Accepted, Id, IdempotencyKey, accepted
from engine.api.reveal import ask_and_open
from engine.api.schemas import Bare, CredentialBody, ReasonBody, RevealBody, SecretBody, fits
from engine.catalog import credentials, lifecycle
from engine.catalog.credentials import CredentialView, NewCredential
from engine.catalog.lookup import find_credential
from engine.catalog.states import Action, CredentialKind, CredentialState
from engine.operations.plan import plan_for
from engine.operations.requests import Requested
from engine.store.errors import KeyturnError
from engine.vault import sealing, service
from engine.vault.refs import credential_ref
from engine.vault.sealing import Purpose
from engine.vault.service import VersionView
from executors.contract import TemplateError
from executors.registry import ExecutorUnavailable
from triggers.registry import Event, happened

OBSTACLES = (KeyturnError, TemplateError, ExecutorUnavailable)

router = APIRouter(prefix="/credentials", tags=["credentials"])


@dataclass(frozen=True, slots=True)
class CredentialDetails(CredentialView):
    """With what serves a change of it; or `obstacle`, why it could not be changed now."""

    profile: str | None
    executor: str | None
    port: int | None
    template_used: str | None
    obstacle: str | None


class Enabled(BaseModel):
    """It is `managed` once the operation has succeeded, or now if there is none."""

    id: int
    state: CredentialState
    operation: int | None


class Stored(BaseModel):
    id: int
    version: int
    state: CredentialState


class Revealed(BaseModel):
    """While the credential is `changing`, this is the last proven version."""

    secret: str
    version: int
    state: CredentialState


@router.post("", status_code=201)
def add(body: CredentialBody, context: Context, caller: Administrator) -> CredentialView:
    """Register an account, `unverified`. Nothing changes it before a proof and an explicit enable."""
    given: dict[str, Any] = body.model_dump(exclude_none=True, exclude={"secret"})
    new = NewCredential(**given | {"tags": tuple(body.tags), "kind": body.kind})
    with context.database.writing() as connection:
        added = credentials.add_credential(connection, caller.name, new)
        if body.secret is not None:
            service.import_secret(connection, context.journal, added.id, body.secret, caller.name)
        return credentials.get_credential(connection, added.id)


@router.get("", dependencies=[Readable])
def list_some(
    context: Context, device: str | None = None, state: CredentialState | None = None
) -> list[CredentialView]:
    with context.database.reading() as connection:
        return credentials.list_credentials(connection, device_name=device, state=state)


@router.get("/named/{name:path}", dependencies=[Readable])
def named(name: str, context: Context, kind: CredentialKind | None = None) -> CredentialDetails:
    r"""By `[DOMAIN\]USER@DEVICE[/SERVICE]`, percent-encoded."""
    with context.database.reading() as connection:
        return _detailed(connection, find_credential(connection, name, kind))


@router.get("/{credential_id}", dependencies=[Readable])
def show(credential_id: Id, context: Context) -> CredentialDetails:
    with context.database.reading() as connection:
        return _detailed(connection, credential_id)


def _detailed(connection: Connection, credential_id: int) -> CredentialDetails:
    view = credentials.get_credential(connection, credential_id)
    known: dict[str, Any] = {field: getattr(view, field) for field in CredentialView.__dataclass_fields__}
    serving: dict[str, Any] = dict.fromkeys(CredentialDetails.__annotations__)
    try:
        plan = plan_for(connection, credential_id, Action.CHANGE_SECRET)
        serving |= {"profile": plan.profile, "executor": plan.executor, "port": plan.port}
        serving["template_used"] = plan.template.name if plan.template else None
    except OBSTACLES as error:
        serving["obstacle"] = str(error)
    return CredentialDetails(**known, **serving)


@router.put("/{credential_id}/secret")
def set_secret(credential_id: Id, body: SecretBody, context: Context, caller: Administrator) -> Stored:
    """Store what was set on the target by hand. It is unverified until a login proves it."""
    with context.database.writing() as connection:
        secret = fits(credentials.get_credential(connection, credential_id).kind, body.secret)
        version = service.import_secret(connection, context.journal, credential_id, secret, caller.name)
        state = credentials.get_credential(connection, credential_id).state
        looks: list[Requested] = []
        if state is CredentialState.IN_DOUBT:  # the operation in doubt has one more version to try
            looks = happened(connection, Event("manual", credential_id, caller.name, Action.VERIFY))
    for each in looks:
        context.bell.ring(each.operation_id)
    return Stored(id=credential_id, version=version, state=state)


@router.post("/{credential_id}/enable", dependencies=[Bare])
def enable(credential_id: Id, context: Context, caller: Administrator) -> Enabled:
    """Let the engine change it. Unless its secret was proven in this state, `operation` now proves it."""
    requested: Requested | None = None
    with context.database.writing() as connection:
        view = credentials.get_credential(connection, credential_id)
        state = lifecycle.enable(connection, caller.name, credential_id)
        if state is not CredentialState.MANAGED and view.current_version is not None:
            [requested] = happened(connection, Event("manual", credential_id, caller.name, Action.VERIFY))
    if requested is None:
        return Enabled(id=credential_id, state=state, operation=None)
    context.bell.ring(requested.operation_id)
    return Enabled(id=credential_id, state=state, operation=requested.operation_id)


@router.post("/{credential_id}/suspend")
def suspend(credential_id: Id, body: ReasonBody, context: Context, caller: Administrator) -> CredentialView:
    with context.database.writing() as connection:
        lifecycle.suspend(connection, caller.name, credential_id, body.reason)
        return credentials.get_credential(connection, credential_id)


@router.post("/{credential_id}/resume", dependencies=[Bare])
def resume(credential_id: Id, context: Context, caller: Administrator) -> CredentialView:
    with context.database.writing() as connection:
        lifecycle.resume(connection, caller.name, credential_id)
        return credentials.get_credential(connection, credential_id)


@router.post("/{credential_id}/retire", dependencies=[Bare])
def retire(credential_id: Id, context: Context, caller: Administrator) -> CredentialView:
    """Give the account up. Its versions stay readable."""
    with context.database.writing() as connection:
        lifecycle.retire(connection, caller.name, credential_id)
        return credentials.get_credential(connection, credential_id)


@router.get("/{credential_id}/history", dependencies=[Readable])
def history(credential_id: Id, context: Context) -> list[VersionView]:
    """Versions, newest first, without their secrets."""
    with context.database.reading() as connection:
        credentials.get_credential(connection, credential_id)
        return service.history(connection, credential_id)


@router.post("/{credential_id}/reveal")
async def reveal(credential_id: Id, body: RevealBody, context: Context, caller: Revealer) -> Revealed:
    """A person's view of the secret; audited with the reason. It needs a live worker."""
    if body.break_glass:
        allow(caller, Permission.BREAK_GLASS, f"credential {credential_id}")
    shown: dict[str, Any] = {}

    def ask(connection: Connection, public_key: bytes) -> tuple[int, sealing.Context]:
        shown["state"] = credentials.get_credential(connection, credential_id).state
        ref = credential_ref(connection, credential_id)
        request_id, shown["version"] = service.ask_reveal(
            connection, credential_id, caller.name, body.reason, public_key, body.break_glass
        )
        return request_id, ref.context(shown["version"], Purpose.REVEAL)

    secret = await ask_and_open(context, ask)
    return Revealed(secret=secret.decode(), **shown)


@router.post("/{credential_id}/rotate", status_code=202, dependencies=[Bare])
def rotate(
    credential_id: Id,
    context: Context,
    caller: Requester,
    response: Response,
    key: IdempotencyKey = None,
) -> Accepted:
    """Change the secret on the target, prove the new one, make it current."""
    return _ask(context, caller.name, credential_id, Action.CHANGE_SECRET, key, response)


@router.post("/{credential_id}/verify", status_code=202, dependencies=[Bare])
def verify(
    credential_id: Id,
    context: Context,
    caller: Requester,
    response: Response,
    key: IdempotencyKey = None,
) -> Accepted:
    """Log in with the stored secret to see whether it opens."""
    return _ask(context, caller.name, credential_id, Action.VERIFY, key, response)


@router.post("/{credential_id}/reconcile", status_code=202, dependencies=[Bare])
def reconcile(
    credential_id: Id,
    context: Context,
    caller: Requester,
    response: Response,
    key: IdempotencyKey = None,
) -> Accepted:
    """Find the version that opens, or reset by the account that may."""
    return _ask(context, caller.name, credential_id, Action.RECONCILE, key, response)


def _ask(
    context: ApiContext,
    requester: str,
    credential_id: int,
    action: Action,
    key: str | None,
    response: Response,
) -> Accepted:
    with context.database.writing() as connection:
        credentials.get_credential(connection, credential_id)
        event = Event("manual", credential_id, requester, action, idempotency_key=key)
        [requested] = happened(connection, event)
    return accepted(context, requested, response)
