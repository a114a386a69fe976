"""Everything an operation needs to know before anything is touched: way, template, proof, logins, limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sqlalchemy import Connection, bindparam, select

from engine.catalog import rules
from engine.catalog.generator import satisfiable
from engine.catalog.lookup import name_of
from engine.catalog.models import credential, device
from engine.catalog.policies import LockoutBudget, PolicyData
from engine.catalog.profiles import Profile
from engine.catalog.rules import Logins
from engine.catalog.states import Action, LoginAs
from engine.store.errors import KeyturnError, Kind
from engine.templating.header import TemplateFile, Tier, parse_file
from engine.templating.library import load_and_check, tags_of
from engine.templating.store import Template, newest
from executors.contract import ProofKind, Section
from executors.registry import load

SECRETS_MADE: Final = frozenset({Action.CHANGE_SECRET, Action.RECONCILE})


class NoTemplate(KeyturnError):
    """The profile has no template for the action."""

    code = "no_template"
    kind = Kind.CONFLICT


class TemplateDoesNotFit(KeyturnError):
    """The credential's own template would act on another account than meant."""

    code = "template_does_not_fit"
    kind = Kind.CONFLICT


class NoReconcileAccount(KeyturnError):
    code = "no_reconcile_account"
    kind = Kind.CONFLICT


class NoTryAllowed(KeyturnError):
    """The account locks so soon that not one login may fail, and here every proof is a login."""

    code = "no_try_allowed"
    kind = Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class Plan:
    """`template` None: the proof alone does the work. `login_id` is the credential itself in a self-change.

    `own_template`: a person chose it for this one credential. `emulated`: it was never run against the real
    product here. `undo_seconds`: the target takes the change back then, unless persisting confirms it.
    `lockout`, `settle_seconds` and `overlap_seconds` are the stricter of what platform and policy say.
    """

    credential_id: int
    action: Action
    profile: str
    executor: str
    service: str
    port: int
    options: Mapping[str, str | int | float | bool]
    template: Template | None
    own_template: bool
    emulated: bool
    persists: bool
    undo_seconds: int
    removes_old: bool  # what was replaced stays valid on the target until an operation removes it
    proof: ProofKind
    login_as: LoginAs
    login_id: int
    become_id: int | None
    lockout: LockoutBudget
    platform_threshold: int | None
    settle_seconds: float
    overlap_seconds: float
    policy: PolicyData

    @property
    def overlaps(self) -> bool:
        """Whether the target may accept two secrets for a while."""
        return self.removes_old or self.overlap_seconds > 0


_PLANNED = (
    select(credential.c.template, credential.c.policy_id, credential.c.reconcile_id, device.c.ports)
    .join(device, device.c.id == credential.c.device_id)
    .where(credential.c.id == bindparam("which"))
)


def plan_for(connection: Connection, credential_id: int, action: Action) -> Plan:
    """Raises, with nothing touched: UnknownCredential, NoProfile, ProfileTie, UnknownTemplate, NoTemplate,
    TemplateDoesNotFit, NoReconcileAccount, NoTryAllowed, TemplateError, ExecutorUnavailable,
    UnsatisfiablePolicy.
    """
    logins = rules.logins(connection, credential_id, action)
    if action is Action.RECONCILE and logins.login_as is LoginAs.SELF:
        raise NoReconcileAccount(
            f"no other account may reset {name_of(connection, credential_id)}; "
            "register it again with `--reconcile` or `--auth`, or set its right secret by hand"
        )
    row = connection.execute(_PLANNED, {"which": credential_id}).one()
    own = None if row.template is None else newest(connection, row.template)
    executor = load(own.executor).name if own else None  # before the profile: what cannot run needs none
    profile = rules.match(connection, credential_id, action, executor, logins.login_as)
    policy = rules.get_policy(connection, row.policy_id).rules
    if action in SECRETS_MADE:
        satisfiable(policy.generator, load(profile.executor).capabilities.alphabet)
    own_serves = own is not None and (
        own.action is action or (_resets_by(own, action) and row.reconcile_id is None)
    )
    template = own if own_serves else _of_profile(connection, profile, action)
    file, persists = (None, False) if template is None else _checked(template, logins)
    return Plan(
        credential_id=credential_id,
        action=action,
        profile=profile.name,
        executor=profile.executor,
        service=profile.service,
        port=row.ports[profile.service],
        options=profile.options,
        template=template,
        own_template=own_serves,
        emulated=file is not None and file.tier is Tier.EMULATED,
        persists=persists,
        undo_seconds=(file and file.undo) or 0,
        removes_old=Action.REMOVE_OLD_SECRET in profile.templates,
        proof=profile.proof,
        login_as=logins.login_as,
        login_id=logins.login_id,
        become_id=logins.become_id,
        lockout=_with_tries(stricter(profile.lockout_threshold, policy.lockout)),
        platform_threshold=profile.lockout_threshold,
        settle_seconds=max(profile.settle_seconds, policy.settle_seconds),
        overlap_seconds=max(profile.overlap_seconds, policy.overlap_seconds),
        policy=policy,
    )


def _resets_by(own: Template, action: Action) -> bool:
    return action is Action.RECONCILE and own.action is Action.CHANGE_SECRET


def _of_profile(connection: Connection, profile: Profile, action: Action) -> Template | None:
    """A verification needs none; a reconcile without its own template is a change by another account."""
    name = profile.templates.get(action)
    if name is None and action is Action.RECONCILE:
        name = profile.templates.get(Action.CHANGE_SECRET)
    if name is not None:
        return newest(connection, name)
    if action is Action.VERIFY:
        return None
    able = ", ".join(sorted(profile.templates)) or "none"
    raise NoTemplate(
        f"the profile {profile.name} has no template for {action} (it has: {able}); "
        "name another login with `--auth`, or add a profile that has one"
    )


def _checked(template: Template, logins: Logins) -> tuple[TemplateFile, bool]:
    """The file, and whether it has a `persist` section, after a check that it acts on the account meant."""
    file, persists = _parsed(template.executor, template.action, template.name, template.content)
    if file.login is not None and (file.login is LoginAs.SELF) != (logins.login_as is LoginAs.SELF):
        # A self-change script run by another login would change that login's own secret.
        raise TemplateDoesNotFit(
            f"the template {template.name} is for a login as {file.login}, and here the login is "
            f"{logins.login_as}; choose another template or another `--auth`"
        )
    if logins.login_as is not LoginAs.SELF and _changes_whoever_runs_it(template, file):
        raise TemplateDoesNotFit(
            f"the template {template.name} names no [#USERNAME#]: run by another login it would change that "
            "login's own secret; let the credential log in as itself, or name the account in the template"
        )
    return file, persists


def _changes_whoever_runs_it(template: Template, file: TemplateFile) -> bool:
    """Of templates without a header: a bare `passwd` acts on the login. What sets a device's `enable` secret
    has no account to name."""
    if template.action not in SECRETS_MADE or file.tags is not None:
        return False
    return "USERNAME" not in tags_of(file) and not _ENABLE.search(file.body)


_ENABLE: Final = re.compile(r"\benable\b")


@lru_cache(maxsize=256)
def _parsed(executor: str, action: Action, name: str, content: str) -> tuple[TemplateFile, bool]:
    file = parse_file(content, name, executor=executor, action=action)
    return file, load_and_check(file, load(executor)).has(Section.PERSIST)


def stricter(platform_threshold: int | None, policy: LockoutBudget) -> LockoutBudget:
    known = [each for each in (platform_threshold, policy.threshold) if each is not None]
    return policy.model_copy(update={"threshold": min(known, default=None)})


def _with_tries(lockout: LockoutBudget) -> LockoutBudget:
    if lockout.probes_allowed < 1:
        raise NoTryAllowed(
            f"the account locks after {lockout.threshold} refused logins, which leaves none to prove a "
            "secret with; raise the threshold on the target and in the policy"
        )
    return lockout
