"""How a step can end, as the whole engine names it. What follows each outcome is `engine.operations`'
business."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """The typed end of a step, an attempt or an operation."""

    OK = "ok"
    UNREACHABLE = "unreachable"  # no connection, or it broke
    TIMEOUT = "timeout"  # connected, but no answer in time
    BAD_LOGIN = "bad_login"  # the account that logs in was refused
    LOCKED_OUT = "locked_out"  # refused because of too many tries
    REFUSED_BY_POLICY = "refused_by_policy"  # the target's rules refuse this secret
    TOO_SOON = "too_soon"  # minimum age or history
    PERMISSION_DENIED = "permission_denied"
    ACCOUNT_MISSING = "account_missing"
    ACCOUNT_DISABLED = "account_disabled"  # locked, disabled or without a password
    UNTRUSTED_HOST = "untrusted_host"  # host key or certificate is not the pinned one
    BAD_TEMPLATE = "bad_template"  # does not parse, or names a tag that has no value
    SCRIPT_MISMATCH = "script_mismatch"  # the dialogue went another way than the template says
    NOT_SAVED = "not_saved"  # changed and proven, but the `persist` section failed
    UNKNOWN = "unknown"


class Verdict(StrEnum):
    """What a try with one secret showed."""

    OPENS = "opens"
    RESTRICTED = "restricted"  # the target says that the secret is right and refuses for another reason
    REFUSED = "refused"
    LOCKED = "locked"  # refused without being judged: too many tries
    UNKNOWN = "unknown"  # not reached, or no answer


class Failure(Exception):
    """A step ended otherwise than OK. The message is for people; it may quote a target and so passes the
    redactor."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.message = message


class TemplateError(Exception):
    """A template does not parse. `line` counts from 1 within the whole file; 0 means the file as such."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.line = line
        self.reason = reason
