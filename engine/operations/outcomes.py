"""What follows each outcome, as one table. A policy may be stricter, never laxer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from engine.rotation.protocol import Reply
from executors.contract import Outcome


@dataclass(frozen=True, slots=True)
class Following:
    """`reply` is the class that the change protocol knows; `suspend` stops the credential until a person
    acts."""

    reply: Reply
    suspend: bool
    advice: str


FOLLOWING: Final[Mapping[Outcome, Following]] = MappingProxyType(
    {
        Outcome.OK: Following(Reply.OK, False, ""),
        Outcome.UNREACHABLE: Following(Reply.RETRY, False, "check that the target answers from this zone"),
        Outcome.TIMEOUT: Following(Reply.RETRY, False, "the target was too slow; it is tried again"),
        Outcome.BAD_LOGIN: Following(
            Reply.STOP, False, "the account that logs in was refused; verify or set its secret first"
        ),
        Outcome.LOCKED_OUT: Following(Reply.RETRY, False, "the target refuses all tries for a while"),
        Outcome.REFUSED_BY_POLICY: Following(
            Reply.POLICY,
            False,
            "the target's password rules refuse what the policy generates; adapt the policy",
        ),
        Outcome.TOO_SOON: Following(
            Reply.LATER, False, "the target's minimum age is not over, or it knows the secret"
        ),
        Outcome.PERMISSION_DENIED: Following(
            Reply.STOP, True, "give the account that logs in the right to do this"
        ),
        Outcome.ACCOUNT_MISSING: Following(
            Reply.STOP, True, "the account is not there; create it or retire it here"
        ),
        Outcome.ACCOUNT_DISABLED: Following(
            Reply.STOP,
            True,
            "the account is locked or disabled on the target and is left so; unlock it there first",
        ),
        Outcome.UNTRUSTED_HOST: Following(
            Reply.STOP,
            True,
            "the target showed another key than the pinned one; if it is right, `keyturn device trust`",
        ),
        Outcome.BAD_TEMPLATE: Following(Reply.STOP, True, "correct the template or its tags' values"),
        Outcome.SCRIPT_MISMATCH: Following(
            Reply.UNSURE, False, "read the transcript: the dialogue went another way"
        ),
        Outcome.NOT_SAVED: Following(
            Reply.UNSURE, False, "the change is in force but not saved on the device"
        ),
        Outcome.UNKNOWN: Following(Reply.UNSURE, False, "read the transcript"),
    }
)
