"""Sitting at an emulated device without a socket: lines in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from executors.emulated.account import Account
from executors.emulated.catalogue import PLATFORMS
from executors.emulated.device import Device

OLD = "Old-pass1"
NEW = "New-pass2"


def device(platform: str, **settings: Any) -> Device:
    """One with an administrator, an operator of the least rights, and its services, all with OLD."""
    product = PLATFORMS[platform]
    services = [Account(name, OLD, service=True) for name in product.services]
    root = [Account("root", "Root-pass1")] if platform in UNIX else []
    accounts = [*root, Account("admin", OLD), Account("op", OLD, privilege=1)]
    return Device(product, [*accounts, *services], **settings)


UNIX = ("debian", "rhel", "suse", "alpine", "freebsd", "openbsd", "aix", "solaris")


class Seat:
    """Somebody at a console. `text` is all that was shown."""

    def __init__(self, target: Device, user: str | None = "admin") -> None:
        self.console = target.open(user)
        self.text = ""
        self.type("")

    def type(self, text: str) -> str:
        said = self.console.feed(text.encode()).decode().replace("\r\n", "\n")
        self.text += said
        return said

    def say(self, line: str) -> str:
        return self.type(line + "\r")

    def lines(self, lines: Sequence[str], new: str = NEW, old: str = OLD) -> str:
        """Type lines in which NEW and OLD stand for passwords; what was shown since."""
        return "".join(self.say(line.replace("NEW", new).replace("OLD", old)) for line in lines)
