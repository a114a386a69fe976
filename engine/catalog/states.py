"""What can be done to a credential, and how a credential can stand; declared as data."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Action(StrEnum):
    """What a template does. A template has one action, a profile at most one template an action."""

    CHANGE_SECRET = "change_secret"  # noqa: S105 - the name of an action
    VERIFY = "verify"
    RECONCILE = "reconcile"
    REMOVE_OLD_SECRET = "remove_old_secret"  # noqa: S105 - the name of an action
    ACTIVATE = "activate"
    DEACTIVATE = "deactivate"
    CREATE_ACCOUNT = "create_account"
    DELETE_ACCOUNT = "delete_account"
    CREATE_GROUP = "create_group"
    DELETE_GROUP = "delete_group"
    ADD_TO_GROUP = "add_to_group"
    REMOVE_FROM_GROUP = "remove_from_group"
    PUBLISH_CERTIFICATE = "publish_certificate"
    REVOKE_CERTIFICATE = "revoke_certificate"
    SIGN_CERTIFICATE = "sign_certificate"
    RELEASE_CERTIFICATE_REQUEST = "release_certificate_request"
    PUSH_SECRET = "push_secret"  # noqa: S105 - the name of an action
    RUN_TASK = "run_task"
    DISCOVER = "discover"


class CredentialKind(StrEnum):
    """What the secret of a credential is. A credential is unique per account and kind."""

    PASSWORD = "password"  # noqa: S105 - the name of a kind
    SSH_KEY = "ssh_key"
    ENABLE = "enable"
    COMMUNITY = "community"
    API_KEY = "api_key"
    CERTIFICATE = "certificate"
    INFORMATION = "information"  # stored, never rotated


class LoginAs(StrEnum):
    """Whose login a change goes through."""

    SELF = "self"  # the account changes its own secret
    ROOT = "root"  # the system's own administrator logs in
    OTHER = "other"  # another account logs in and raises its rights


class CredentialState(StrEnum):
    UNVERIFIED = "unverified"
    MANAGED = "managed"
    CHANGING = "changing"
    IN_DOUBT = "in_doubt"
    DRIFTED = "drifted"
    SUSPENDED = "suspended"
    INACTIVE = "inactive"
    UNMANAGED = "unmanaged"
    RETIRED = "retired"


_S = CredentialState

MEANING: Mapping[CredentialState, str] = MappingProxyType(
    {
        _S.UNVERIFIED: "Imported or set by hand; no login has proven the stored secret yet.",
        _S.MANAGED: "The current secret was proven, and the engine may change it.",
        _S.CHANGING: "An operation is changing the secret; reads return the last proven version.",
        _S.IN_DOUBT: "A secret of ours was sent and may or may not apply; every candidate is kept.",
        _S.DRIFTED: "Nothing of ours is pending, and the current secret does not open the account.",
        _S.SUSPENDED: "Stopped by a rule or a person; the reason is recorded.",
        _S.INACTIVE: "Deactivated on the target, proven by the right secret being refused.",
        _S.UNMANAGED: "Stored, and left alone by the engine.",
        _S.RETIRED: "The account is gone or given up; its versions stay readable to those who may.",
    }
)

TRANSITIONS: Mapping[tuple[CredentialState, CredentialState], str] = MappingProxyType(
    {
        (_S.UNVERIFIED, _S.MANAGED): "a proof showed that the stored secret opens the account",
        (
            _S.UNVERIFIED,
            _S.CHANGING,
        ): "a person asked for a reset by another account, or the policy wants no proof",
        (_S.UNVERIFIED, _S.IN_DOUBT): "an escrow journal holds a candidate that may have been sent",
        (_S.UNVERIFIED, _S.DRIFTED): "a proof was tried and the stored secret was refused",
        (_S.UNVERIFIED, _S.SUSPENDED): "a rule or a person stopped it",
        (_S.UNVERIFIED, _S.INACTIVE): "deactivated on the target",
        (_S.UNVERIFIED, _S.UNMANAGED): "a person took it out of management",
        (_S.UNVERIFIED, _S.RETIRED): "a person gave up the account",
        (_S.MANAGED, _S.CHANGING): "an operation claimed it",
        (_S.MANAGED, _S.IN_DOUBT): "an escrow journal holds a candidate that may have been sent",
        (_S.MANAGED, _S.DRIFTED): "the current secret was refused while nothing was pending",
        (_S.MANAGED, _S.UNVERIFIED): "a person set the secret by hand",
        (_S.MANAGED, _S.SUSPENDED): "a rule or a person stopped it",
        (_S.MANAGED, _S.INACTIVE): "deactivated on the target",
        (_S.MANAGED, _S.UNMANAGED): "a person took it out of management",
        (_S.MANAGED, _S.RETIRED): "a person gave up the account",
        (
            _S.CHANGING,
            _S.MANAGED,
        ): "the candidate was proven and committed, or was never sent or proven unused",
        (_S.CHANGING, _S.IN_DOUBT): "a candidate was sent and no proof could decide",
        (_S.CHANGING, _S.DRIFTED): "the current secret was refused before anything was sent",
        (_S.CHANGING, _S.UNVERIFIED): "nothing was sent, or the policy wants no proof of what was",
        (
            _S.CHANGING,
            _S.SUSPENDED,
        ): "the target refused in a way that a person must settle; nothing is pending",
        (_S.CHANGING, _S.INACTIVE): "deactivated on the target, or still so",
        (_S.IN_DOUBT, _S.UNVERIFIED): "a proof decided, and no person has enabled it",
        (_S.IN_DOUBT, _S.CHANGING): "the same candidate is sent again, or the account is reconciled",
        (_S.IN_DOUBT, _S.MANAGED): "a proof showed which version opens the account",
        (_S.IN_DOUBT, _S.DRIFTED): "every candidate was proven unused and the current secret was refused",
        (_S.IN_DOUBT, _S.RETIRED): "a person gave up the account; every candidate is kept",
        (_S.DRIFTED, _S.MANAGED): "a proof showed that an own version opens the account; it was adopted",
        (_S.DRIFTED, _S.CHANGING): "the account is reconciled",
        (_S.DRIFTED, _S.IN_DOUBT): "an escrow journal holds a candidate that may have been sent",
        (_S.DRIFTED, _S.UNVERIFIED): "a person set the secret by hand",
        (_S.DRIFTED, _S.SUSPENDED): "a rule or a person stopped it",
        (_S.DRIFTED, _S.INACTIVE): "deactivated on the target",
        (_S.DRIFTED, _S.UNMANAGED): "a person took it out of management",
        (_S.DRIFTED, _S.RETIRED): "a person gave up the account",
        (_S.SUSPENDED, _S.MANAGED): "a person resumed it and a proof showed that the current secret opens it",
        (_S.SUSPENDED, _S.UNVERIFIED): "a person resumed it, or set the secret by hand; not proven yet",
        (_S.SUSPENDED, _S.IN_DOUBT): "an escrow journal holds a candidate that may have been sent",
        (_S.SUSPENDED, _S.UNMANAGED): "a person took it out of management",
        (_S.SUSPENDED, _S.RETIRED): "a person gave up the account",
        (_S.INACTIVE, _S.MANAGED): "activated on the target, and the current secret was proven",
        (
            _S.INACTIVE,
            _S.UNVERIFIED,
        ): "activated on the target, or the secret was set by hand; not proven yet",
        (_S.INACTIVE, _S.UNMANAGED): "a person took it out of management",
        (_S.INACTIVE, _S.RETIRED): "a person gave up the account",
        (_S.UNMANAGED, _S.UNVERIFIED): "a person put it under management",
        (_S.UNMANAGED, _S.RETIRED): "a person gave up the account",
    }
)
"""Every allowed change of state, and when it happens. What is not here is refused."""


def allowed(before: CredentialState, after: CredentialState) -> bool:
    return (before, after) in TRANSITIONS
