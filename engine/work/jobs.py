"""From a claim to what the executor child is handed: the template's body, the values of its tags, logins,
target."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from engine.catalog.ssh_keys import public_key
from engine.catalog.states import Action, CredentialKind
from engine.operations.claims import Claim, DeviceRef
from engine.templating.header import TemplateFile, parse_file
from engine.templating.library import tags_of
from engine.templating.tags import TagFacts, resolve
from engine.templating.values import MAX_TEXT
from engine.vault.keys import ZoneKeys
from engine.vault.refs import SealedVersion
from engine.vault.sealing import open_sealed
from executors.contract import Hop, Login, ProofKind, ProofPlan, Secret, SecretKind, Target, Values
from executors.session import Job

NOT_IN_A_COMMENT: Final = re.compile(r"[^A-Za-z0-9@._/-]")  # a comment stands in files that programs read


class Secrets:
    """The claim's secrets, opened when they are first needed and kept for this claim only."""

    def __init__(self, claim: Claim, keys: ZoneKeys) -> None:
        self._claim = claim
        self._keys = keys
        self._own: dict[int, Secret] = {}
        self._others: dict[str, Secret] = {}
        self._public: dict[int, str | None] = {}

    def own(self, number: int) -> Secret:
        if number not in self._own:
            self._own[number] = self._open(self._claim.versions[number])
        return self._own[number]

    def remember(self, number: int, secret: Secret) -> None:
        """The candidate that this claim has just made."""
        self._own[number] = secret

    def public(self, number: int | None) -> str | None:
        """The public half of an own version, `TYPE BLOB`. What is opened for that alone goes nowhere else.

        None: there is no such version, or it is no SSH key that can be read.
        """
        if number is None or self._claim.credential.kind != CredentialKind.SSH_KEY:
            return None
        if number not in self._public:
            opened = self._own.get(number)
            self._public[number] = public_key(opened or self._open(self._claim.versions[number]))
        return self._public[number]

    def of(self, role: str) -> Secret | None:
        """The secret of the credential that logs in as `role`; None if no such one is named or it has no
        secret."""
        if role not in self._claim.logins:
            return None
        if role not in self._others:
            self._others[role] = self._open(self._claim.logins[role])
        return self._others[role]

    def parent(self) -> Secret:
        """What a `same` child's candidate must be."""
        if self._claim.parent is None:
            raise LookupError("this credential has no parent")
        return self._open(self._claim.parent)

    def known(self) -> tuple[Secret, ...]:
        """Everything opened so far, for redaction."""
        return (*self._own.values(), *self._others.values())

    def _open(self, version: SealedVersion) -> Secret:
        key = self._keys.private(version.zone)
        return open_sealed(version.sealed, key, version.context)


def job_for(claim: Claim, secrets: Secrets, login: int | None, candidate: int | None, deadline: float) -> Job:
    """What the child may do. `login` is the own version that logs in, None where another account does.

    Raises TemplateError, UnresolvableTag, BadValue.
    """
    template = claim.plan.template
    file = parsed(template.content, template.name, template.executor, template.action) if template else None
    return Job(
        executor=claim.plan.executor,
        body=file.body if file else "",
        first_line=file.first_line_of_body if file else 1,
        target=target_of(claim, secrets),
        login=_login(claim, secrets, login),
        values=_values(claim, secrets, login, candidate, file),
        redact=secrets.known(),
        deadline=deadline,
    )


def probing_job(claim: Claim, secrets: Secrets, deadline: float) -> Job:
    """For a take-over: it tries secrets and changes nothing, so it gets no template and no tags."""
    target = target_of(claim, secrets)
    return Job(claim.plan.executor, "", 1, target, None, {}, secrets.known(), deadline)


@lru_cache(maxsize=256)
def parsed(content: str, name: str, executor: str, action: Action) -> TemplateFile:
    return parse_file(content, name, executor=executor, action=action)


def target_of(claim: Claim, secrets: Secrets) -> Target:
    return _target(claim.device, claim.plan.port, _hop(claim, secrets))


def _target(device: DeviceRef, port: int, jump: Hop | None) -> Target:
    return Target(
        device.name,
        device.address,
        port,
        device.host_keys,
        jump=jump,
        cleartext=device.cleartext,
        weak_algorithms=device.weak_algorithms,
    )


def _hop(claim: Claim, secrets: Secrets) -> Hop | None:
    secret = secrets.of("jump")
    if claim.jump_device is None or secret is None:
        return None
    port = claim.jump_device.ports.get("ssh", 22)
    return Hop(_target(claim.jump_device, port, None), _as_login(claim.logins["jump"], secret))


def _login(claim: Claim, secrets: Secrets, own: int | None) -> Login | None:
    if own is not None:
        return own_login(claim, secrets.own(own))
    secret = secrets.of("auth")
    return None if secret is None else _as_login(claim.logins["auth"], secret)


def own_login(claim: Claim, secret: Secret) -> Login:
    kind = SecretKind.SSH_KEY if claim.credential.kind == "ssh_key" else SecretKind.PASSWORD
    return Login(claim.credential.username, secret, kind)


def _as_login(version: SealedVersion, secret: Secret) -> Login:
    kind = SecretKind.SSH_KEY if version.credential.kind == "ssh_key" else SecretKind.PASSWORD
    return Login(version.credential.username, secret, kind)


def proof_plan(claim: Claim, secrets: Secrets) -> ProofPlan:
    """How a secret of the account is tried; `su` starts from the account that logs in."""
    via = _login(claim, secrets, None) if claim.plan.proof is ProofKind.SU else None
    return ProofPlan(claim.plan.proof, via)


def _values(
    claim: Claim, secrets: Secrets, login: int | None, candidate: int | None, file: TemplateFile | None
) -> Values:
    """Only what the template uses; a secret that it does not name never leaves this process."""
    if file is None:
        return {}
    auth, become = claim.logins.get("auth"), claim.logins.get("become")
    wanted = tags_of(file)
    current = login if login is not None else claim.facts.current
    facts = TagFacts(
        username=claim.credential.username,
        current_password=secrets.own(current)
        if current is not None and "CURRENT_PASSWORD" in wanted
        else None,
        new_password=secrets.own(candidate) if candidate is not None and "NEW_PASSWORD" in wanted else None,
        auth_user=auth.credential.username if auth else None,
        auth_password=secrets.of("auth") if "AUTH_PASSWORD" in wanted else None,
        auth_domain=auth.credential.domain if auth else None,
        become_user=become.credential.username if become else None,
        become_password=secrets.of("become") if "BECOME_PASSWORD" in wanted else None,
        current_public_key=_commented(claim, secrets, current) if "CURRENT_PUBLIC_KEY" in wanted else None,
        new_public_key=_commented(claim, secrets, candidate) if "NEW_PUBLIC_KEY" in wanted else None,
        old_public_keys=_replaced(claim, secrets, candidate or current)
        if "OLD_PUBLIC_KEYS" in wanted
        else None,
        ip=claim.device.address,
        hostname=claim.device.name,
        port=claim.plan.port,
        domain=claim.credential.domain or claim.device.domain or None,
        add_info=claim.credential.additional or None,
    )
    return resolve(wanted, facts)


def _commented(claim: Claim, secrets: Secrets, number: int | None) -> str | None:
    """With a comment that says whose it is; programs find a key by its blob alone."""
    public = secrets.public(number)
    name = NOT_IN_A_COMMENT.sub("_", claim.credential.name)
    return public and f"{public} keyturn:{name}:{number}"


def _replaced(claim: Claim, secrets: Secrets, in_force: int | None) -> str:
    """The blobs of all own versions but the one in force, or about to be: as many as a value can hold."""
    kept, text = secrets.public(in_force), ""
    for number in (claim.facts.current, *claim.facts.history):
        public = secrets.public(number)
        if public is None or public == kept:
            continue
        longer = f"{text} {public.split()[1]}".lstrip()
        if len(longer) > MAX_TEXT:
            break
        text = longer
    return text
