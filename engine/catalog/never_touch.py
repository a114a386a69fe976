"""Accounts that the engine refuses to change, because something else owns their secret or depends on it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Hint(StrEnum):
    """What is known about an account beside its name, and forbids changing it."""

    GMSA = "gmsa"  # group or delegated managed service account
    TRUST = "trust"  # trustedDomain secret
    LAPS = "laps"  # ms-Mcs-AdmPwd* or msLAPS-* attributes are set
    CLOUD_ROOT = "cloud_root"
    LOCAL_ON_DOMAIN_CONTROLLER = "local_on_domain_controller"
    ENGINE_OWN = "engine_own"


@dataclass(frozen=True, slots=True)
class Rule:
    """`pattern` is matched against the whole user name without case; `vendors` empty means every vendor."""

    pattern: re.Pattern[str]
    reason: str
    vendors: frozenset[str] = frozenset()


def _rule(pattern: str, reason: str, *vendors: str) -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE | re.DOTALL), reason, frozenset(vendors))


BY_NAME: Final = (
    _rule(
        r"krbtgt.*",
        "it signs every Kerberos ticket of its domain; it is changed only by its own two-step task, "
        "twice, at least 10 hours apart",
    ),
    _rule(
        r".*\$", "names ending in '$' are machine, trust or managed service accounts, which change their own"
    ),
    _rule(r"MSOL_.*", "the directory synchronisation of Entra Connect logs in with it and changes it itself"),
    _rule(
        r"AZUREADSSOACC.*",
        "seamless single sign-on decrypts tickets with it; roll it over with Entra's own tool",
    ),
    _rule(r"HealthMailbox.*", "Exchange's managed availability makes it and changes its password itself"),
    _rule(r"##MS_.*", "SQL Server uses it internally, and it is disabled on purpose"),
    _rule(r"rdsadmin", "Amazon RDS manages the database through it"),
    _rule(r"vpxuser", "vCenter manages the host through it and changes its password itself"),
    _rule(
        r"root", "it is the root of a cloud account; keep it as break-glass", "aws", "amazon", "gcp", "azure"
    ),
)

BY_HINT: Final = {
    Hint.GMSA: "the domain controllers make and change the password of a managed service account",
    Hint.TRUST: "both domains of a trust change its secret together",
    Hint.LAPS: "LAPS changes it; two managers of one password would lock each other out",
    Hint.CLOUD_ROOT: "it is the root of a cloud account; keep it as break-glass",
    Hint.LOCAL_ON_DOMAIN_CONTROLLER: (
        "a domain controller has no local accounts: it would reset the domain's Administrator; "
        "register the account with the domain as its authority"
    ),
    Hint.ENGINE_OWN: "the engine itself works with it; change it as the operations manual says",
}


def never_touch(username: str, *, vendor: str = "", hints: frozenset[Hint] = frozenset()) -> str | None:
    """Why this account is never changed, as a sentence for people; None if it may be.

    `username` may carry a domain before '\\' or after '@'. Matching errs towards refusing.
    """
    for hint in sorted(hints):
        return f"this account is never changed: {BY_HINT[hint]}"
    for form in _forms(username):
        for rule in BY_NAME:
            if rule.pattern.fullmatch(form) and (not rule.vendors or vendor.casefold() in rule.vendors):
                return f"this account is never changed: {rule.reason}"
    return None


def _forms(username: str) -> Iterator[str]:
    # NFKC, because full-width letters name the same account in directories that ignore width
    name = unicodedata.normalize("NFKC", username).strip()
    yield name
    after_domain = name.rpartition("\\")[2]
    yield after_domain
    yield after_domain.partition("@")[0]
