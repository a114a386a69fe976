"""Profiles: which executor, templates, login and proof serve a credential, and how the one is chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from engine.catalog.states import Action, CredentialKind, LoginAs
from executors.contract import ProofKind


class NoProfile(LookupError):
    """No profile serves the credential. The message says what is known of it and how to add one."""

    code = "no_profile"


class ProfileTie(LookupError):
    """Two profiles serve the credential equally well. The message names both."""

    code = "profile_tie"


@dataclass(frozen=True, slots=True)
class Match:
    """What a profile asks of a credential and its device; None and no tags ask for nothing. Ignores case."""

    vendor: str | None = None
    model: str | None = None
    device_type: str | None = None
    kind: CredentialKind | None = None
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Profile:
    """`service` names the device's service, and so the port, to connect to. `login` None: any."""

    name: str
    executor: str
    service: str
    templates: Mapping[Action, str]
    priority: int = 0
    match: Match = Match()
    login: LoginAs | None = None
    proof: ProofKind = ProofKind.LOGIN
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)

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


_PASSWORD: Final = Match(kind=CredentialKind.PASSWORD)


def _shipped(name: str, executor: str, login: LoginAs, **templates: str) -> Profile:
    by_action = {Action(action): template for action, template in templates.items()}
    return Profile(name, executor, executor, MappingProxyType(by_action), match=_PASSWORD, login=login)


SHIPPED: Final = ()
