"""The words of the change protocol: facts it starts from, effects it asks for, events that answer them.

Names in brackets are the writes and effects of the protocol: W0 claim, W1 journal, W2 mark, W3 commit, W4
adopt; E1 apply, E2 probe. A *version* is the number of a secret version of the credential at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Goal(StrEnum):
    """What the operation is for. Reconcile is a change in `Mode.RESET` with the reconcile account."""

    CHANGE = "change"
    VERIFY = "verify"
    ACTIVATE = "activate"
    DEACTIVATE = "deactivate"


class Mode(StrEnum):
    """Who changes the secret: the account itself (needs a secret that opens) or another one (needs none)."""

    SELF = "self"
    RESET = "reset"


class Reply(StrEnum):
    """What the changing dialogue said, in the classes that matter here. A hint, never proof, in either
    direction."""

    OK = "ok"
    POLICY = "policy"  # this secret was refused: another one may pass
    STOP = "stop"  # a person must do something first
    RETRY = "retry"  # could pass at once: unreachable, timeout
    LATER = "later"  # could pass when time has gone by: too soon
    UNSURE = "unsure"


class Verdict(StrEnum):
    """What one probe showed. *Right but restricted* counts as `OPENS`: the secret is the one in force."""

    OPENS = "opens"
    REFUSED = "refused"
    LOCKED = "locked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the store holds when an operation is claimed.

    `history` is newest first. `budget` is how many refused probes an account may have in a window,
    `probes` how many of them are left. `refused` are the versions refused since the last change request,
    `reply` is what that request was told: the store keeps both per credential from a `Close` that carries
    them, and forgets both at the next `Mark`. `resends` and `regenerations` are what is left to the
    *operation*: counted anew at each claim they would never end.
    """

    goal: Goal = Goal.CHANGE
    mode: Mode = Mode.SELF
    current: int | None = None
    candidate: int | None = None
    sent: bool = False
    committed: bool = False  # the change is proven and current; only `persist` is missing
    history: tuple[int, ...] = ()
    budget: int = 2
    probes: int = 2
    refused: frozenset[int] = frozenset()
    reply: Reply | None = None
    resends: int = 2
    regenerations: int = 2
    replaced: bool = False  # an earlier candidate of this operation was sent, and was proven unused
    overlap: bool = False  # the target may accept two secrets for a while
    persist: bool = False  # the template has a `persist` section


# Effects: what the shell is to do next. Exactly one is outstanding at any time.


@dataclass(frozen=True, slots=True)
class Journal:
    """W1: make a candidate, escrow it, store it. `replaces` was proven unused and moves to the history."""

    replaces: int | None = None


@dataclass(frozen=True, slots=True)
class Connect:
    """Log in for the change and read the status; change nothing. `login` is the own version to use, None
    for another's."""

    login: int | None


@dataclass(frozen=True, slots=True)
class Mark:
    """W2: record, on every condition still holding, that the candidate goes out now."""

    version: int | None


@dataclass(frozen=True, slots=True)
class Apply:
    """E1: run the template once."""

    version: int | None


@dataclass(frozen=True, slots=True)
class Probe:
    """E2: try one version on a fresh connection; charged to the account's budget beforehand."""

    version: int


@dataclass(frozen=True, slots=True)
class Commit:
    """W3: the version is proven: make it current, with everything that follows, in one transaction."""

    version: int


@dataclass(frozen=True, slots=True)
class Adopt:
    """W4: an older version of ours opens: make it current; a pending candidate stays pending."""

    version: int


@dataclass(frozen=True, slots=True)
class Persist:
    """Run the template's `persist` section over the connection that made the change."""


class Result(StrEnum):
    """How a claim of an operation ends."""

    SUCCEEDED = "succeeded"
    NOT_SAVED = "not_saved"  # committed; `persist` failed and is tried again
    ADOPTED = "adopted"  # verification found an older version of ours in force
    DRIFTED = "drifted"  # nothing of ours is pending, and nothing of ours opens
    FAILED = "failed"
    RETRY = "retry"  # nothing was sent; try again later
    CANCELED = "canceled"
    IN_DOUBT = "in_doubt"  # something may be in force; look again later
    NEEDS_PERSON = "needs_person"  # something may be in force, and nothing of ours opens
    FENCED = "fenced"  # somebody else holds the account now; write nothing


class Why(StrEnum):
    """Why a claim ended without a decision."""

    REPLY = "reply"
    UNREACHABLE = "unreachable"
    BUDGET = "budget"
    LOCKED = "locked"
    NOTHING_OPENS = "nothing_opens"
    FORBIDDEN = "forbidden"
    PROVEN_UNUSED = "proven_unused"


@dataclass(frozen=True, slots=True)
class Close:
    """The last effect: record the result. `discard` names the candidate that is surely not in force."""

    result: Result
    why: Why | None = None
    discard: int | None = None
    refused: frozenset[int] = frozenset()
    reply: Reply | None = None


Effect = Journal | Connect | Mark | Apply | Probe | Commit | Adopt | Persist | Close


# Events: what the shell reports. Each answers the outstanding effect; `Fenced` answers any.


@dataclass(frozen=True, slots=True)
class Journaled:
    version: int


@dataclass(frozen=True, slots=True)
class NotJournaled:
    """No room, or the journal cannot be written: nothing may be sent."""


@dataclass(frozen=True, slots=True)
class Connected:
    pass


@dataclass(frozen=True, slots=True)
class NotConnected:
    reply: Reply


@dataclass(frozen=True, slots=True)
class Marked:
    pass


@dataclass(frozen=True, slots=True)
class MarkRefused:
    """Canceled, paused, expired, template changed: the permission to send is gone."""


@dataclass(frozen=True, slots=True)
class Applied:
    reply: Reply


@dataclass(frozen=True, slots=True)
class Probed:
    version: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Committed:
    pass


@dataclass(frozen=True, slots=True)
class Adopted:
    pass


@dataclass(frozen=True, slots=True)
class Persisted:
    saved: bool


@dataclass(frozen=True, slots=True)
class Closed:
    pass


@dataclass(frozen=True, slots=True)
class Fenced:
    """A guarded write found a newer epoch, or the holder's own clock says that the lease is over."""


Event = (
    Journaled
    | NotJournaled
    | Connected
    | NotConnected
    | Marked
    | MarkRefused
    | Applied
    | Probed
    | Committed
    | Adopted
    | Persisted
    | Closed
    | Fenced
)
