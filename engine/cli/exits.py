"""Exit codes of every command, in one table. Scripts rely on them: a code never changes its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    USAGE = 2  # click's own
    INPUT_REFUSED = 3
    NO_ENGINE = 4
    NOT_READY = 5
    NOT_PERMITTED = 6
    IN_DOUBT = 7
    WAIT_TIMEOUT = 8
    CANCELED = 9
    TARGET_UNREACHABLE = 10
    LOGIN_REFUSED = 11
    TARGET_REFUSED = 12
    UNTRUSTED_HOST = 13
    TEMPLATE = 14
    NOT_SAVED = 15
    NOT_PROVEN = 16
    AUDIT_BROKEN = 17


MEANING: Final[Mapping[Exit, str]] = MappingProxyType(
    {
        Exit.OK: "done; for an operation: proven",
        Exit.FAILED: "the operation failed in a way without a code of its own; a check of `doctor` failed",
        Exit.USAGE: "the command line is wrong",
        Exit.INPUT_REFUSED: "a value, name or state does not allow it; nothing was changed",
        Exit.NO_ENGINE: "no running engine was found, or it cannot be reached",
        Exit.NOT_READY: "the engine is there and cannot work at the moment; try again",
        Exit.NOT_PERMITTED: "the token is unknown, expired, or does not have this right",
        Exit.IN_DOUBT: "a secret may be in force or not; it waits for a person, and every candidate is kept",
        Exit.WAIT_TIMEOUT: "waiting took longer than --timeout; the operation goes on",
        Exit.CANCELED: "the operation was canceled or expired before anything was sent",
        Exit.TARGET_UNREACHABLE: "outcomes unreachable, timeout",
        Exit.LOGIN_REFUSED: "outcomes bad_login, locked_out",
        Exit.TARGET_REFUSED: (
            "outcomes refused_by_policy, too_soon, permission_denied, account_missing, account_disabled"
        ),
        Exit.UNTRUSTED_HOST: "outcome untrusted_host",
        Exit.TEMPLATE: "outcomes bad_template, script_mismatch",
        Exit.NOT_SAVED: "outcome not_saved: in force and proven, and the device did not save it",
        Exit.NOT_PROVEN: "the template ran, and its secret does not open the account",
        Exit.AUDIT_BROKEN: "the audit record is not whole; the first bad entry is named",
    }
)

_BY_OUTCOME: Final[Mapping[str, Exit]] = MappingProxyType(
    {
        "ok": Exit.OK,
        "unreachable": Exit.TARGET_UNREACHABLE,
        "timeout": Exit.TARGET_UNREACHABLE,
        "bad_login": Exit.LOGIN_REFUSED,
        "locked_out": Exit.LOGIN_REFUSED,
        "refused_by_policy": Exit.TARGET_REFUSED,
        "too_soon": Exit.TARGET_REFUSED,
        "permission_denied": Exit.TARGET_REFUSED,
        "account_missing": Exit.TARGET_REFUSED,
        "account_disabled": Exit.TARGET_REFUSED,
        "untrusted_host": Exit.UNTRUSTED_HOST,
        "bad_template": Exit.TEMPLATE,
        "script_mismatch": Exit.TEMPLATE,
        "not_saved": Exit.NOT_SAVED,
    }
)

TERMINAL: Final = frozenset({"succeeded", "failed", "canceled", "expired"})


def of_outcome(outcome: str | None) -> Exit:
    """The code of how a run ended; FAILED for what has none of its own."""
    return _BY_OUTCOME.get(outcome or "", Exit.FAILED)


def of_operation(state: str, outcome: str | None, needs_person: bool) -> Exit:
    """The code of an operation that was waited for, wherever it stands when the waiting ends."""
    if state == "succeeded":
        return Exit.NOT_SAVED if outcome == "not_saved" else Exit.OK
    if state == "failed":
        return of_outcome(outcome) or Exit.FAILED
    if state in TERMINAL:
        return Exit.CANCELED
    return Exit.IN_DOUBT if state == "in_doubt" and needs_person else Exit.WAIT_TIMEOUT


def of_status(status: int, code: str) -> Exit:
    """The code of an HTTP answer that is a problem."""
    if status in (401, 403):
        return Exit.NOT_PERMITTED
    if status == 409 and code == "in_doubt":
        return Exit.IN_DOUBT
    return Exit.INPUT_REFUSED if status < 500 else Exit.NOT_READY
