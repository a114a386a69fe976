"""What a policy holds: how strong, how patient, how many tries. Stored as JSON, the same both ways."""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from engine.catalog.generator import GeneratorRules
from engine.catalog.ssh_keys import KeyType

_DAY: Final = 86_400.0


class _Data(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Retry(_Data):
    """Exponential back-off, full jitter: after n failed tries wait between 0 and base * 2**(n-1), capped."""

    attempts: int = Field(default=5, ge=1, le=100)
    base_seconds: float = Field(default=30.0, gt=0, le=_DAY, allow_inf_nan=False)
    cap_seconds: float = Field(default=3600.0, gt=0, le=30 * _DAY, allow_inf_nan=False)

    def delay(self, failed: int, choose: random.Random) -> float:
        """Seconds to wait after `failed` failed tries, counted from 1."""
        doublings = min(failed - 1, 62)  # 2**62 times any base is over every cap; more would overflow a float
        return choose.uniform(0.0, min(self.cap_seconds, self.base_seconds * 2.0**doublings))


class LockoutBudget(_Data):
    """How the target counts failed logins: `threshold` of them within `window_seconds` lock the account."""

    threshold: int | None = Field(default=None, ge=1)  # None: not known
    window_seconds: float = Field(default=1800.0, gt=0, le=30 * _DAY, allow_inf_nan=False)

    @property
    def probes_allowed(self) -> int:
        """Failed probes allowed per window, always leaving people at least one try of their own.

        0 means: only evidence that costs no login, or a reconcile.
        """
        if self.threshold is None or self.threshold == 3:
            return 1
        return 2 if self.threshold >= 4 else 0


class PolicyData(_Data):
    """How strong and how patient. `generator` makes passwords, `ssh_key` says what a new key is.

    A change takes up to `settle_seconds` to show everywhere on the target; the old secret may still open for
    `overlap_seconds`. Where the engine itself removes the old one, it does so then; 0: after the commit.
    """

    generator: GeneratorRules = GeneratorRules()
    ssh_key: KeyType = "ed25519"
    retry: Retry = Retry()
    lockout: LockoutBudget = LockoutBudget()
    settle_seconds: float = Field(default=0.0, ge=0, le=_DAY, allow_inf_nan=False)
    overlap_seconds: float = Field(default=0.0, ge=0, le=30 * _DAY, allow_inf_nan=False)


DEFAULT: Final = PolicyData()

SHIPPED: Final[Mapping[str, PolicyData]] = MappingProxyType({"default": DEFAULT})
