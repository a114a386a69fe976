"""The lockout budget of an account: every try with a stored secret is charged before it is made.

A try is *in flight* from its charge until its end is known. One whose end nobody will tell any more, after a
crash, counts as refused. All workers share the row.

Targets forget refusals a while after the *last* one (pam_faillock(8): fail_interval), so the window begins
anew with each try, and once more when its refusal is known.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, case, or_, select, update

from engine.catalog.models import account
from engine.store.clock import now

SOON = 1.0  # seconds in which a login in flight has usually ended


MANY = 1_000_000  # more than any budget


@dataclass(frozen=True, slots=True)
class Budget:
    """`allowed` refused tries in `window` seconds."""

    allowed: int
    window: float


_OVER = or_(account.c.failures_since.is_(None), account.c.failures_since < now() - bindparam("window"))
_FREE = or_(_OVER, account.c.failures + account.c.in_flight < bindparam("allowed"))
_THAT = account.c.id == bindparam("which")
_CHARGE = (
    update(account)
    .where(_THAT, _FREE)
    .values(
        failures=case((_OVER, 0), else_=account.c.failures),
        in_flight=case((_OVER, 1), else_=account.c.in_flight + 1),
        failures_since=now(),
    )
    .returning(account.c.id)
)
_LANDED = (
    update(account)
    .where(_THAT)
    .values(in_flight=case((account.c.in_flight > 0, account.c.in_flight - 1), else_=0))
)
_SETTLE = {
    True: _LANDED.values(failures=0),
    None: _LANDED,
    False: _LANDED.values(failures=account.c.failures + 1, failures_since=now()),
}
_LEFT = select(account.c.failures + account.c.in_flight, account.c.failures_since, now()).where(_THAT)


def charge(connection: Connection, account_id: int, budget: Budget) -> bool:
    """Charge one try. False: the budget of this window is spent, do not try."""
    values = {"which": account_id, "window": budget.window, "allowed": budget.allowed}
    return connection.execute(_CHARGE, values).first() is not None


def settle(connection: Connection, account_id: int, opened: bool | None) -> None:
    """Record how a charged try ended. One that opened clears the window; None: the target never judged it."""
    connection.execute(_SETTLE[opened], {"which": account_id})


def abandoned(connection: Connection, account_ids: Collection[int] | None = None) -> None:
    """Whoever made the tries that are in flight, of these accounts or of all, is gone; each may have been
    refused at any moment until now.

    Left in flight they would stay there: a login that opens clears refused tries only. Where others are
    logged in with the account too, theirs are counted as well, and cleared again as soon as one of them
    opens.
    """
    lost = {"failures": account.c.failures + account.c.in_flight, "in_flight": 0, "failures_since": now()}
    of_them = () if account_ids is None else (account.c.id.in_(account_ids),)
    connection.execute(update(account).where(account.c.in_flight > 0, *of_them).values(lost))


def next_try(connection: Connection, account_id: int, budget: Budget) -> float:
    """The moment to ask again: soon if tries in flight may yet open, otherwise when the window is over."""
    failures = connection.execute(select(account.c.failures).where(account.c.id == account_id)).scalar_one()
    _, window_end = left(connection, account_id, budget)
    if failures >= budget.allowed:
        return window_end
    return min(window_end, float(connection.execute(select(now())).scalar_one()) + SOON)


def left(connection: Connection, account_id: int, budget: Budget) -> tuple[int, float]:
    """How many refused tries are left in this window, and the moment when the window is over."""
    used, since, moment = connection.execute(_LEFT, {"which": account_id}).one()
    if since is None or since + budget.window < moment:
        return budget.allowed, moment
    return max(0, budget.allowed - used), since + budget.window


def spent(connection: Connection) -> None:
    """After a restore nobody knows what was refused since the copy: every window counts as used up."""
    connection.execute(update(account).values(failures=MANY, in_flight=0, failures_since=now()))
