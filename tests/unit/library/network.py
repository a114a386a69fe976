"""Every shipped template for a network device, and what it is tried on."""

from __future__ import annotations

from dataclasses import dataclass

from executors.emulated.account import Account
from tests.native_rig import ADMIN, Rig

OLD, NEW, ENABLE, ADMINS = "Old-pass1", "New-pass2", "Enable-pass3", "Admin-pass4"
TARGET = "svc"


@dataclass(frozen=True)
class Way:
    """One template on one platform. `secret` is the account that it changes; `level` the administrator's."""

    template: str
    platform: str
    secret: str = TARGET
    level: int = 15

    def __str__(self) -> str:
        return self.template

    @property
    def own(self) -> bool:
        return self.template.endswith("-own-password")

    @property
    def asks(self) -> bool:
        """The device asks for the old password and the new one."""
        return self.template in ASKING

    def accounts(self, target: Account | None = None) -> list[Account]:
        enable = Account("enable", ENABLE, service=True)
        return [Account(ADMIN, ADMINS, privilege=self.level), target or Account(TARGET, OLD), enable]

    def rig(self, *, chunk: int = 65536, target: Account | None = None, **settings: object) -> Rig:
        return Rig(self.platform, *self.accounts(target), chunk=chunk, **settings)

    def given(self, **other: str) -> dict[str, str]:
        old = ENABLE if self.secret == "enable" else OLD
        known = {"USERNAME": TARGET, "CURRENT_PASSWORD": old, "NEW_PASSWORD": NEW, "BECOME_PASSWORD": ENABLE}
        return {**known, **other}


IOS = (
    Way("cisco-ios-by-administrator", "ios"),
    Way("cisco-ios-by-administrator-enable", "ios", level=1),
    Way("cisco-ios-by-administrator-revert", "ios"),
    Way("cisco-ios-own-password", "ios"),
)
ENABLING = (
    Way("cisco-ios-enable", "ios", secret="enable", level=1),
    Way("cisco-asa-enable", "asa", secret="enable", level=1),
)
OTHERS = (
    Way("cisco-nxos-by-administrator", "nxos"),
    Way("cisco-nxos-own-password", "nxos"),
    Way("cisco-iosxr-by-administrator", "iosxr"),
    Way("cisco-iosxr-own-password", "iosxr"),
    Way("cisco-asa-by-administrator", "asa"),
    Way("cisco-asa-own-password", "asa"),
    Way("juniper-junos-by-administrator", "junos"),
    Way("juniper-junos-own-password", "junos"),
    Way("arista-eos-by-administrator", "eos"),
    Way("arista-eos-own-password", "eos"),
    Way("huawei-vrp-by-administrator", "vrp"),
    Way("huawei-vrp-own-password", "vrp"),
    Way("mikrotik-routeros-by-administrator", "mikrotik"),
    Way("mikrotik-routeros-own-password", "mikrotik"),
)
WAYS = (*IOS, *ENABLING, *OTHERS)
ASKING = (
    "cisco-nxos-own-password",
    "cisco-asa-own-password",
    "huawei-vrp-own-password",
    "mikrotik-routeros-own-password",
)
