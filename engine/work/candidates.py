"""What the next secret is: the parent's version for a `same` child, otherwise what the policy generates."""

from __future__ import annotations

from engine.catalog.generator import generate
from engine.catalog.ssh_keys import generate_key
from engine.catalog.states import CredentialKind
from engine.operations.claims import Claim
from engine.work.jobs import Secrets
from executors.contract import Secret
from executors.registry import load


def candidate_for(claim: Claim, secrets: Secrets) -> Secret:
    """Raises UnsatisfiablePolicy, which was checked when the operation was asked for."""
    if claim.parent is not None:
        return secrets.parent()
    if claim.credential.kind == CredentialKind.SSH_KEY:
        return generate_key(claim.plan.policy.ssh_key)
    alphabet = load(claim.plan.executor).capabilities.alphabet
    return generate(claim.plan.policy.generator.within(alphabet))
