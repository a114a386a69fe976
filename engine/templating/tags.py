"""Which tags exist, what they mean, and where their values come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from engine.templating.errors import UnresolvableTag
from engine.templating.values import check
from executors.contract import Secret, Value, ValueKind, Values
from executors.language.tags import ALIASES


@dataclass(frozen=True, slots=True, kw_only=True)
class TagFacts:
    """What the engine knows about one operation. None: not known, or not part of this operation."""

    username: str | None = None
    current_password: Secret | None = None
    new_password: Secret | None = None
    current_public_key: str | None = None
    new_public_key: str | None = None
    old_public_keys: str | None = None
    auth_user: str | None = None
    auth_password: Secret | None = None
    auth_domain: str | None = None
    become_user: str | None = None
    become_password: Secret | None = None
    ip: str | None = None
    hostname: str | None = None
    port: int | None = None
    domain: str | None = None
    add_info: str | None = None


@dataclass(frozen=True, slots=True)
class TagSpec:
    """One tag: `missing` is what a person does when there is no value."""

    name: str
    kind: ValueKind
    meaning: str
    read: Callable[[TagFacts], str | Secret | None]
    missing: str


def _port_of(facts: TagFacts) -> str | None:
    return None if facts.port is None else str(facts.port)


_K = ValueKind
_NO_AUTH = "nobody else logs in for this operation; name the credential that does with `--auth`"
_NO_BECOME = "no account is named whose rights are taken on; set it in the profile"

TAGS: Final = {
    spec.name: spec
    for spec in (
        TagSpec(
            "USERNAME", _K.USERNAME, "user name of the target credential",
            lambda facts: facts.username, "the operation has no target account; register the credential",
        ),
        TagSpec(
            "CURRENT_PASSWORD", _K.SECRET, "the target credential's secret now in force",
            lambda facts: facts.current_password, "it is not known; set it, or use a template that resets",
        ),
        TagSpec(
            "NEW_PASSWORD", _K.SECRET, "the secret that the change sets",
            lambda facts: facts.new_password, "this action sets none; use the tag in change templates only",
        ),
        TagSpec(
            "CURRENT_PUBLIC_KEY", _K.TEXT, "public half of the SSH key now in force: `TYPE BLOB COMMENT`",
            lambda facts: facts.current_public_key, "the current secret is no SSH key; set one",
        ),
        TagSpec(
            "NEW_PUBLIC_KEY", _K.TEXT, "public half of the SSH key that is set: `TYPE BLOB COMMENT`",
            lambda facts: facts.new_public_key, "this action sets no SSH key; only change templates do",
        ),
        TagSpec(
            "OLD_PUBLIC_KEYS", _K.TEXT, "BLOBs of SSH keys that are or will be replaced, newest first",
            lambda facts: facts.old_public_keys, "nothing is known of earlier SSH keys",
        ),
        TagSpec(
            "AUTH_USER", _K.USERNAME, "user name of the credential that logs in",
            lambda facts: facts.auth_user, _NO_AUTH,
        ),
        TagSpec(
            "AUTH_PASSWORD", _K.SECRET, "secret of the credential that logs in",
            lambda facts: facts.auth_password, _NO_AUTH,
        ),
        TagSpec(
            "AUTH_DOMAIN", _K.TEXT, "domain of the credential that logs in",
            lambda facts: facts.auth_domain, "the credential that logs in has no domain; set it there",
        ),
        TagSpec(
            "BECOME_USER", _K.USERNAME, "account whose rights are taken on after login (su, sudo, enable)",
            lambda facts: facts.become_user, _NO_BECOME,
        ),
        TagSpec(
            "BECOME_PASSWORD", _K.SECRET, "secret that taking on those rights asks for",
            lambda facts: facts.become_password, _NO_BECOME,
        ),
        TagSpec(
            "IP", _K.HOSTNAME, "the device's address",
            lambda facts: facts.ip, "the device has no address; set it there",
        ),
        TagSpec(
            "HOSTNAME", _K.HOSTNAME, "the device's host name",
            lambda facts: facts.hostname, "the device has no host name; set it there",
        ),
        TagSpec(
            "PORT", _K.PORT, "port of the device's service that the profile names",
            _port_of, "the device has no such service; add it there",
        ),
        TagSpec(
            "DOMAIN", _K.TEXT, "domain of the target credential, or else of its device",
            lambda facts: facts.domain, "neither the credential nor its device has a domain; set it",
        ),
        TagSpec(
            "ADD_INFO", _K.TEXT, "the credential's additional information, such as a database's name",
            lambda facts: facts.add_info, "the credential has no additional information; set it",
        ),
    )
}  # fmt: skip


def known_tag(name: str) -> TagSpec | None:
    """The tag of that name or alias, in any case."""
    upper = name.upper()
    return TAGS.get(ALIASES.get(upper, upper))


def resolve(needed: Iterable[str], facts: TagFacts) -> Values:
    """A checked value for each needed tag, by the name it is used by. Raises UnresolvableTag, BadValue."""
    return {name.upper(): _value(name.upper(), facts) for name in sorted(needed)}


def _value(name: str, facts: TagFacts) -> Value:
    spec = known_tag(name)
    if spec is None:
        raise UnresolvableTag(name, f"there is no such tag; known: {', '.join(TAGS)}")
    content = spec.read(facts)
    if content is None:
        raise UnresolvableTag(name, spec.missing)
    return check(spec.kind, content, name)
