"""The statements of the hot path, built once: building one anew costs ten times what running it costs.

Parameters: `which` is the id of the row that is asked for, or a version's number; `of` is the credential of
versions and operations; `account` and `device` are ids, `token` is the claim's epoch. Columns named in an
execution's parameters are set, beside those that a statement sets itself.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BindParameter, and_, bindparam, delete, exists, func, insert, or_, select, update

from engine.catalog.lookup import full_name
from engine.catalog.models import account, credential, device, host_key, zone
from engine.catalog.states import Action, CredentialState
from engine.operations.models import attempt, operation, shared_lease
from engine.operations.states import LIVE, OperationState
from engine.store.clock import now
from engine.store.models import engine_state
from engine.templating.models import template
from engine.vault.models import secret_version

STOPPED = (CredentialState.SUSPENDED, CredentialState.UNMANAGED, CredentialState.RETIRED)

_WHICH: BindParameter[Any] = bindparam("which")
_ACCOUNT = account.c.id == bindparam("account")
_OPERATION = operation.c.id == _WHICH
_CREDENTIAL = credential.c.id == _WHICH
_VERSIONS = secret_version.c.credential_id == bindparam("of")
_VERSION = secret_version.c.number == _WHICH

# Claiming

DUE = (
    select(
        operation,
        credential.c.auth_id,
        credential.c.become_id,
        credential.c.reconcile_id,
        credential.c.parent_id,
        credential.c.parent_version,
        credential.c.link,
        credential.c.state.label("credential_state"),
        credential.c.reason.label("credential_reason"),
        device.c.jump_credential_id,
        device.c.connection_limit,
        device.c.paused,
        zone.c.name.label("zone"),
        engine_state.c.incarnation,
        engine_state.c.paused.label("engine_paused"),
        engine_state.c.restored,
        engine_state.c.clock_high,
        account.c.lease_until.label("account_until"),
        now().label("moment"),
    )
    .join(credential, credential.c.id == operation.c.credential_id)
    .join(account, account.c.id == operation.c.account_id)
    .join(device, device.c.id == operation.c.device_id)
    .join(zone, zone.c.id == operation.c.zone_id)
    .join(engine_state, engine_state.c.id == 1)
    .where(_OPERATION)
)
DUE_LOCKED = DUE.with_for_update(key_share=True, of=(credential, operation))
LOCKED_ACCOUNTS = (
    select(account.c.id, account.c.lease_until, account.c.identity)
    .where(account.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(account.c.id)
    .with_for_update(key_share=True)
)
LOGGED_IN_ELSEWHERE = (
    select(shared_lease.c.id)
    .join(operation, operation.c.id == shared_lease.c.operation_id)
    .where(
        shared_lease.c.account_id == bindparam("account"),
        shared_lease.c.operation_id != _WHICH,
        operation.c.lease_until > now(),
    )
    .limit(1)
)
LOCKED_DEVICE = select(device.c.id).where(device.c.id == _WHICH).with_for_update(key_share=True)
AT_WORK_ON_DEVICE = (
    select(func.count())
    .select_from(operation)
    .where(
        operation.c.device_id == bindparam("device"),
        operation.c.state == OperationState.RUNNING,
        operation.c.lease_until > now(),
        operation.c.id != _WHICH,
    )
)
TAKE_ACCOUNT = (
    update(account)
    .where(_ACCOUNT, or_(account.c.lease_until.is_(None), account.c.lease_until <= now()))
    .values(epoch=account.c.epoch + 1, lease_until=now() + bindparam("lease"))
    .returning(account.c.epoch)
)
TAKE_OPERATION = (
    update(operation)
    .where(_OPERATION, operation.c.state == bindparam("before"))
    .values(
        state=OperationState.RUNNING,
        lease_until=now() + bindparam("lease"),
        attempts=operation.c.attempts + 1,
        needs_person=False,
        started=func.coalesce(operation.c.started, now()),
    )
    .returning(operation.c.attempts)
)
BEGIN_ATTEMPT = insert(attempt).values(started=now())
POSSIBLE_VERSIONS = (
    select(
        secret_version.c.number, secret_version.c.status, secret_version.c.sealed, secret_version.c.sealed_as
    )
    .where(_VERSIONS)
    .order_by(secret_version.c.number.desc())
)
CURRENT_VERSIONS = select(
    secret_version.c.credential_id,
    secret_version.c.number,
    secret_version.c.sealed,
    secret_version.c.sealed_as,
).where(
    secret_version.c.credential_id.in_(bindparam("ids", expanding=True)), secret_version.c.status == "current"
)
DEVICE = select(device).where(device.c.id == _WHICH)
HOST_KEYS = select(host_key.c.line).where(host_key.c.device_id == _WHICH)

# Reporting

TOKEN = (
    select(account.c.epoch, engine_state.c.incarnation)
    .join(engine_state, engine_state.c.id == 1)
    .join(credential, credential.c.id == _WHICH)
    .where(_ACCOUNT)
    .with_for_update(key_share=True, of=(account, credential))
)
_TEMPLATE_UNCHANGED = exists().where(
    template.c.id == operation.c.template_id,
    template.c.sha256 == operation.c.template_sha256,
    template.c.retired.is_(False),
)
_HELD = and_(
    _OPERATION,
    operation.c.state == OperationState.RUNNING,
    operation.c.epoch == bindparam("token"),
    operation.c.lease_until > now(),
    operation.c.cancel_requested.is_(False),
    exists().where(engine_state.c.paused.is_(False), engine_state.c.restored.is_(False)),
)
_FIRST = and_(
    or_(operation.c.expires.is_(None), operation.c.expires > now()),
    exists().where(device.c.id == operation.c.device_id, device.c.paused.is_(False)),
    exists().where(credential.c.id == operation.c.credential_id, credential.c.state.not_in(STOPPED)),
)
_SEND = update(operation).where(_HELD).values(refused=[], reply=None).returning(operation.c.id)
# By whether it is sent again, and whether a template is run.
PERMITTED = {
    (False, False): _SEND.where(_FIRST),
    (False, True): _SEND.where(_FIRST, _TEMPLATE_UNCHANGED),
    (True, False): _SEND,
    (True, True): _SEND.where(_TEMPLATE_UNCHANGED),
}
OPERATION = update(operation).where(_OPERATION)
COUNT_RESEND = (
    update(operation)
    .where(_OPERATION)
    .values(
        resent=operation.c.resent
        + select(func.count())
        .where(_VERSIONS, secret_version.c.number == bindparam("version"), secret_version.c.status == "sent")
        .scalar_subquery()
    )
)
FORGET_EVIDENCE = (
    update(operation)
    .where(
        operation.c.credential_id == bindparam("of"),
        operation.c.action == Action.VERIFY,
        operation.c.state == OperationState.SCHEDULED,
    )
    .values(refused=[], reply=None)
)

NEWEST_NUMBER = select(func.max(secret_version.c.number)).where(_VERSIONS)
STATUS_OF_VERSION = select(secret_version.c.status).where(_VERSIONS, _VERSION)
ADD_VERSION = insert(secret_version).values(created=now())
SET_VERSION = update(secret_version).where(_VERSIONS, _VERSION)
MARK_SENT = SET_VERSION.where(secret_version.c.status.in_(("candidate", "sent"))).values(
    status="sent", sent_at=now()
)
PROVE_VERSION = SET_VERSION.values(status="current", proven_at=now())
AGE_VERSIONS = update(secret_version).where(
    _VERSIONS, secret_version.c.status == bindparam("before"), secret_version.c.number != _WHICH
)

CREDENTIAL_STATE = select(credential.c.state, credential.c.enabled).where(_CREDENTIAL)
SET_CREDENTIAL = update(credential).where(_CREDENTIAL).values(since=now())
UNSETTLED_CREDENTIAL = SET_CREDENTIAL.where(
    credential.c.state.in_((CredentialState.CHANGING, CredentialState.IN_DOUBT))
)
FOUND = select(operation.c.found).where(_OPERATION)
CALLED_OFF = select(
    operation.c.cancel_requested,
    func.coalesce(operation.c.expires <= now(), False).label("expired"),
).where(_OPERATION)
FREE_OPERATION = (
    select(operation.c.id, operation.c.state, operation.c.credential_id, operation.c.found)
    .join(credential, credential.c.id == operation.c.credential_id)
    .where(
        _OPERATION,
        operation.c.state.in_((OperationState.SCHEDULED, *LIVE)),
        or_(operation.c.lease_until.is_(None), operation.c.lease_until <= now()),
    )
    .with_for_update(key_share=True, of=(credential, operation))
)
POSTPONE = update(operation).where(
    _OPERATION,
    operation.c.due <= now(),
    or_(operation.c.lease_until.is_(None), operation.c.lease_until <= now()),
)
ANY_SENT = select(secret_version.c.id).where(_VERSIONS, secret_version.c.status == "sent").limit(1)
NAME = (
    select(full_name(credential, device))
    .join(device, device.c.id == credential.c.device_id)
    .where(_CREDENTIAL)
)
ANY_CHILD = select(credential.c.id).where(credential.c.parent_id == _WHICH).limit(1)

FINISH_ATTEMPT = (
    update(attempt)
    .where(attempt.c.operation_id == _WHICH, attempt.c.epoch == bindparam("token"))
    .values(finished=now())
)
FREE_ACCOUNT = (
    update(account)
    .where(_ACCOUNT, account.c.epoch == bindparam("token"))
    .values(lease_owner=None, lease_until=None)
)
UNSHARE = delete(shared_lease).where(shared_lease.c.operation_id == _WHICH)
