"""The lockout budget of an account: every try with a stored secret is charged before it is made.

A try is *in flight* from its charge until its end is known. A crash leaves it in flight, so it counts as
refused until the window is over. All workers share the row.

Targets forget refusals a while after the *last* one (pam_faillock(8): fail_interval), so the window begins
anew with each try, and once more when its refusal is known.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, case, or_, select, update

from engine.catalog.models import account
from engine.store.clock import now


@dataclass(frozen=True, slots=True)
class Budget:
    """`allowed` refused tries in `window` seconds."""

    allowed: int
    window: float


def charge(connection: Connection, account_id: int, budget: Budget) -> bool:
    """Charge one try. False: the budget of this window is spent, do not try."""
    over = or_(account.c.failures_since.is_(None), account.c.failures_since < now() - budget.window)
    free = or_(over, account.c.failures + account.c.in_flight < budget.allowed)
    charged = connection.execute(
        update(account)
        .where(account.c.id == account_id, free)
        .values(
            failures=case((over, 0), else_=account.c.failures),
            in_flight=case((over, 1), else_=account.c.in_flight + 1),
            failures_since=now(),
        )
        .returning(account.c.id)
    )
    return charged.first() is not None


def settle(connection: Connection, account_id: int, opened: bool | None) -> None:
    """Record how a charged try ended. One that opened clears the window; None: the target never judged it."""
    flight = case((account.c.in_flight > 0, account.c.in_flight - 1), else_=0)
    failures = {True: 0, None: account.c.failures, False: account.c.failures + 1}[opened]
    since = account.c.failures_since if opened is not False else now()
    connection.execute(
        update(account)
        .where(account.c.id == account_id)
        .values(in_flight=flight, failures=failures, failures_since=since)
    )


def abandoned(connection: Connection) -> None:
    """Whoever made the tries that are in flight is gone; each may have been refused at any moment until now."""
    connection.execute(update(account).where(account.c.in_flight > 0).values(failures_since=now()))


def left(connection: Connection, account_id: int, budget: Budget) -> tuple[int, float]:
    """How many refused tries are left in this window, and the moment when the window is over."""
    row = connection.execute(
        select(account.c.failures + account.c.in_flight, account.c.failures_since, now()).where(
            account.c.id == account_id
        )
    ).one()
    used, since, moment = row
    if since is None or since + budget.window < moment:
        return budget.allowed, moment
    return max(0, budget.allowed - used), since + budget.window
