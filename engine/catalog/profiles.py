"""Profiles: which executor, templates, login and proof serve a credential, and how the one is chosen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, field_serializer

from engine.catalog.states import Action, CredentialKind, LoginAs
from engine.store.errors import KeyturnError, Kind
from executors.contract import ProofKind


class NoProfile(KeyturnError):
    """No profile serves the credential. The message says what is known of it and how to add one."""

    code = "no_profile"
    kind = Kind.INVALID


class ProfileTie(KeyturnError):
    """Two profiles serve the credential equally well. The message names both."""

    code = "profile_tie"
    kind = Kind.INVALID


class _Rules(BaseModel):
    """Stored as JSON: `model_dump(mode="json")` and `model_validate` are each other's inverse."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Match(_Rules):
    """What a profile asks of a credential and its device; None and no tags ask for nothing. Ignores case."""

    vendor: str | None = None
    model: str | None = None
    device_type: str | None = None
    kind: CredentialKind | None = None
    tags: frozenset[str] = frozenset()

    @field_serializer("tags", when_used="json")
    def _in_order(self, tags: frozenset[str]) -> list[str]:
        return sorted(tags)


class Profile(_Rules):
    """`service` names the device's service, and so the port, to connect to. `login` None: any.

    The last three are what is known of the platform, as in `engine.catalog.policies`; a policy may be
    stricter.
    """

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)
    executor: str
    service: str
    templates: dict[Action, str]
    priority: int = Field(default=0, strict=True)
    match: Match = Match()
    login: LoginAs | None = None
    proof: ProofKind = ProofKind.LOGIN
    options: dict[str, str | int | float | bool] = Field(default_factory=dict)
    lockout_threshold: int | None = Field(default=None, strict=True, ge=1)
    settle_seconds: float = Field(default=0.0, strict=True, ge=0, allow_inf_nan=False)
    overlap_seconds: float = Field(default=0.0, strict=True, ge=0, allow_inf_nan=False)

    @property
    def specificity(self) -> int:
        """How many things it asks for; each tag counts."""
        asked = (self.match.vendor, self.match.model, self.match.device_type, self.match.kind, self.login)
        return sum(item is not None for item in asked) + len(self.match.tags)


@dataclass(frozen=True, slots=True)
class ProfileFacts:
    """What is known when a profile is chosen.

    `profile` and `executor` are set by overrides: the device's own profile, and the executor of the
    credential's own template.
    """

    kind: CredentialKind
    services: frozenset[str]
    login: LoginAs
    vendor: str = ""
    model: str = ""
    device_type: str = ""
    tags: frozenset[str] = frozenset()
    profile: str | None = None
    executor: str | None = None


def choose(profiles: Iterable[Profile], facts: ProfileFacts) -> Profile:
    """The serving profile of the highest priority, then the most specific. Raises NoProfile, ProfileTie."""
    serving = [profile for profile in profiles if _serves(profile, facts)]
    if not serving:
        raise NoProfile(
            f"no profile serves {_described(facts)}; add one with `keyturn profile add`, "
            "or name another login with `--auth`"
        )
    serving.sort(key=_rank, reverse=True)
    best = [profile for profile in serving if _rank(profile) == _rank(serving[0])]
    if len(best) > 1:
        names = " and ".join(sorted(profile.name for profile in best))
        raise ProfileTie(
            f"the profiles {names} serve {_described(facts)} equally well; "
            "give one a higher priority, or set the device's own profile"
        )
    return best[0]


def _rank(profile: Profile) -> tuple[int, int]:
    return profile.priority, profile.specificity


def _serves(profile: Profile, facts: ProfileFacts) -> bool:
    match = profile.match
    return (
        facts.profile in (None, profile.name)
        and facts.executor in (None, profile.executor)
        and profile.service in facts.services
        and profile.login in (None, facts.login)
        and match.kind in (None, facts.kind)
        and _same(match.vendor, facts.vendor)
        and _same(match.model, facts.model)
        and _same(match.device_type, facts.device_type)
        and _folded(match.tags) <= _folded(facts.tags)
    )


def _same(asked: str | None, known: str) -> bool:
    return asked is None or asked.casefold() == known.casefold()


def _folded(tags: frozenset[str]) -> frozenset[str]:
    return frozenset(tag.casefold() for tag in tags)


def _described(facts: ProfileFacts) -> str:
    known = {
        "kind": str(facts.kind),
        "login": str(facts.login),
        "services": ", ".join(sorted(facts.services)) or "none",
        "vendor": facts.vendor,
        "model": facts.model,
        "device type": facts.device_type,
        "tags": ", ".join(sorted(facts.tags)),
        "profile set on the device": facts.profile or "",
        "executor of its own template": facts.executor or "",
    }
    return "a credential with " + "; ".join(f"{name}: {value}" for name, value in known.items() if value)


# Local Linux accounts lock only where pam_faillock is configured. Its own default is 3 (faillock.conf(5),
# `deny`): where that is in force, a policy says so and wins.
_LINUX_THRESHOLD: Final = 5


def _shipped(name: str, service: str, login: LoginAs, templates: dict[Action, str]) -> Profile:
    return Profile(
        name=name,
        executor=service,
        service=service,
        templates=templates,
        match=Match(kind=CredentialKind.PASSWORD),
        login=login,
        lockout_threshold=_LINUX_THRESHOLD if service == "ssh" else None,
    )


def _ssh_key(name: str, login: LoginAs) -> Profile:
    """authorized_keys holds several keys: the old one is removed by an operation of its own."""
    return Profile(
        name=name,
        executor="ssh",
        service="ssh",
        templates={Action.CHANGE_SECRET: name, Action.REMOVE_OLD_SECRET: f"{name}-remove-old"},
        match=Match(kind=CredentialKind.SSH_KEY),
        login=login,
        lockout_threshold=_LINUX_THRESHOLD,
    )


def _product(vendor: str, model: str, prefix: str, other: LoginAs = LoginAs.OTHER) -> tuple[Profile, ...]:
    """The profiles of a device whose record names this vendor and model, called as their templates are."""
    by = "root" if other is LoginAs.ROOT else "administrator"
    match = Match(vendor=vendor, model=model, kind=CredentialKind.PASSWORD)
    return tuple(
        Profile(
            name=name,
            executor="ssh",
            service="ssh",
            templates={Action.CHANGE_SECRET: name},
            match=match,
            login=login,
        )
        for name, login in ((f"{prefix}-own-password", LoginAs.SELF), (f"{prefix}-by-{by}", other))
    )


def _enable(vendor: str, model: str, name: str) -> Profile:
    """An enable secret opens no login: the template itself tries it."""
    return Profile(
        name=name,
        executor="ssh",
        service="ssh",
        templates={Action.CHANGE_SECRET: name},
        match=Match(vendor=vendor, model=model, kind=CredentialKind.ENABLE),
        login=LoginAs.OTHER,
        proof=ProofKind.NONE,
    )


SHIPPED: Final = (
    _shipped("linux-own-password", "ssh", LoginAs.SELF, {Action.CHANGE_SECRET: "linux-own-password"}),
    _shipped(
        "linux-by-root",
        "ssh",
        LoginAs.ROOT,
        {
            Action.CHANGE_SECRET: "linux-by-root",
            Action.ACTIVATE: "linux-unlock-by-root",
            Action.DEACTIVATE: "linux-lock-by-root",
        },
    ),
    _shipped(
        "linux-by-sudoer",
        "ssh",
        LoginAs.OTHER,
        {
            Action.CHANGE_SECRET: "linux-by-sudoer",
            Action.ACTIVATE: "linux-unlock-by-sudoer",
            Action.DEACTIVATE: "linux-lock-by-sudoer",
        },
    ),
    _ssh_key("linux-ssh-key", LoginAs.SELF),
    _ssh_key("linux-ssh-key-by-root", LoginAs.ROOT),
    _ssh_key("linux-ssh-key-by-sudoer", LoginAs.OTHER),
    _shipped("fake-own", "fake", LoginAs.SELF, {Action.CHANGE_SECRET: "fake-own-password"}),
    _shipped("fake-by-admin", "fake", LoginAs.OTHER, {Action.CHANGE_SECRET: "fake-by-admin"}),
    *_product("IBM", "AIX", "aix", LoginAs.ROOT),
    *_product("Oracle", "Solaris", "solaris", LoginAs.ROOT),
    *_product("FreeBSD", "FreeBSD", "freebsd", LoginAs.ROOT),
    *_product("OpenBSD", "OpenBSD", "openbsd", LoginAs.ROOT),
    *_product("Alpine", "Alpine Linux", "alpine", LoginAs.ROOT),
    *_product("Cisco", "IOS", "cisco-ios"),
    *_product("Cisco", "IOS XR", "cisco-iosxr"),
    *_product("Cisco", "NX-OS", "cisco-nxos"),
    *_product("Cisco", "ASA", "cisco-asa"),
    _enable("Cisco", "IOS", "cisco-ios-enable"),
    _enable("Cisco", "ASA", "cisco-asa-enable"),
    *_product("Juniper", "Junos", "juniper-junos"),
    *_product("Arista", "EOS", "arista-eos"),
    *_product("Huawei", "VRP", "huawei-vrp"),
    *_product("MikroTik", "RouterOS", "mikrotik-routeros"),
    *_product("F5", "BIG-IP", "f5"),
    *_product("Fortinet", "FortiOS", "fortios"),
    *_product("Palo Alto Networks", "PAN-OS", "panos"),
    *_product("Check Point", "Gaia", "gaia"),
    *_product("HPE", "iLO", "ilo"),
    *_product("Dell", "iDRAC", "idrac"),
)
