"""The parent changed: its children are asked to follow.

The parent's commit wrote one row; here it becomes operations, some at a time. A child in whatever state never
disturbs its parent or its siblings.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, or_, select, update

from engine.catalog.models import credential, device
from engine.catalog.states import Action, CredentialState
from engine.operations.models import cascade
from engine.operations.requests import Ask, insert_operation
from engine.record import audit
from triggers.registry import Event

BATCH = 200

FOLLOWING = (CredentialState.MANAGED, CredentialState.CHANGING, CredentialState.IN_DOUBT)


class ParentChanged:
    """The engine tells itself, by the cascade row of a commit; nobody outside does."""

    name = "parent_changed"
    from_outside = False

    def asks(self, connection: Connection, event: Event) -> Iterable[Ask]:  # noqa: ARG002 - the trigger's contract
        return ()


def expand(connection: Connection, limit: int = BATCH) -> int:
    """Ask for the next children of one cascade; how many rows were looked at. 0: nothing is left to do.

    Idempotent: the place reached moves in the transaction that asks for the children up to there.
    """
    row = connection.execute(
        select(cascade)
        .where(cascade.c.done.is_(False))
        .order_by(cascade.c.id)
        .limit(1)
        .with_for_update(skip_locked=True, key_share=True)
    ).first()
    if row is None:
        return 0
    children = connection.execute(
        select(credential.c.id, credential.c.link, credential.c.state, credential.c.username, device.c.name)
        .join(device, device.c.id == credential.c.device_id)
        .where(credential.c.parent_id == row.credential_id, credential.c.id > row.expanded_to)
        .order_by(credential.c.id)
        .limit(limit)
    ).all()
    for child in children:
        _ask(connection, row, child)
    reached = children[-1].id if children else row.expanded_to
    connection.execute(
        update(cascade).where(cascade.c.id == row.id).values(expanded_to=reached, done=len(children) < limit)
    )
    return len(children) or 1


def _ask(connection: Connection, row: Row[Any], child: Row[*tuple[Any, ...]]) -> None:
    if child.state not in FOLLOWING:
        audit.write(
            connection,
            actor="engine",
            action="cascade.skipped",
            object=f"{child.username}@{child.name}",
            operation_id=row.operation_id,
            details={"state": child.state},
        )
        return
    ask = Ask(
        credential_id=child.id,
        action=Action.CHANGE_SECRET,
        requester=f"operation:{row.operation_id}",
        trigger=ParentChanged.name,
        parent_operation_id=row.operation_id,
    )
    insert_operation(connection, ask)
    if child.link == "same":  # cascades may be expanded out of order; a newer version is never given up again
        older = or_(credential.c.parent_version.is_(None), credential.c.parent_version < row.version)
        connection.execute(
            update(credential).where(credential.c.id == child.id, older).values(parent_version=row.version)
        )
