"""What one login may change next: due operations of a device that can go over the connection it has."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, bindparam, case, func, not_, or_, select

from engine.catalog.models import account, credential, device
from engine.catalog.states import Action
from engine.operations.admission import CHANGING
from engine.operations.claims import Claim
from engine.operations.models import operation
from engine.operations.states import LIVE, OperationState
from engine.store.clock import now
from engine.store.models import engine_state

TRIES = 5  # operations looked at; each may be gone when its turn comes

_OTHER = operation.alias()
_LIVE_ON_ACCOUNT = (
    select(_OTHER.c.id)
    .where(_OTHER.c.account_id == operation.c.account_id, _OTHER.c.state.in_(LIVE))
    .exists()
)
_ALLOWED = and_(
    engine_state.c.paused.is_(False),
    device.c.paused.is_(False),
    or_(engine_state.c.restored.is_(False), operation.c.committed),
)
_LOGS_IN = case(
    (operation.c.action == Action.RECONCILE, func.coalesce(credential.c.reconcile_id, credential.c.auth_id)),
    else_=credential.c.auth_id,
)
_FITS = and_(
    operation.c.action.in_(CHANGING),
    operation.c.account_id != bindparam("account"),  # a change of the login itself ends its connections
    func.coalesce(_LOGS_IN, 0) == bindparam("login"),
)
_WAITING = (
    select(operation.c.priority, operation.c.id, _FITS.label("fits"))
    .join(credential, credential.c.id == operation.c.credential_id)
    .join(account, account.c.id == operation.c.account_id)
    .join(device, device.c.id == operation.c.device_id)
    .join(engine_state, engine_state.c.id == 1)
    .where(
        operation.c.device_id == bindparam("device"),
        operation.c.state == OperationState.SCHEDULED,
        operation.c.due <= now(),
        or_(operation.c.lease_until.is_(None), operation.c.lease_until < now()),
        or_(account.c.lease_until.is_(None), account.c.lease_until < now()),
        _ALLOWED,
        not_(_LIVE_ON_ACCOUNT),
    )
    .order_by(operation.c.priority.desc(), _FITS.desc(), operation.c.due, operation.c.id)
    .limit(TRIES)
)


def following(connection: Connection, claim: Claim) -> Sequence[int]:
    """Operations that the claim's login may go on with on the claim's device, the first due first.

    None where something more urgent waits at the device for another login: the connection is its place.
    """
    login = claim.logins.get("auth")
    if login is None:
        return ()
    login_of = {"login": login.credential.id, "account": login.credential.account_id}
    waiting = connection.execute(_WAITING, {"device": claim.device.id, **login_of}).all()
    return [number for priority, number, fits in waiting if fits and priority == waiting[0].priority]
