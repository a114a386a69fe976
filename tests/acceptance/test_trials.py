"""A shipped template that has only met an emulation: refused, tried on one account, then used by all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from engine.cli.exits import Exit
from executors.emulated.account import Account
from executors.emulated.catalogue import PLATFORMS
from executors.emulated.device import Device
from executors.emulated.ssh import SshDevice
from tests.acceptance.engine import ADD, FROM_INPUT, RunningEngine, running
from tests.demo.engine import EngineFailed

TEMPLATE = "huawei-vrp-by-administrator"
FIRST = "Old.Passw0rd-1"


@dataclass
class Site:
    engine: RunningEngine
    switch: Device

    def changes(self, name: str) -> int:
        """Ask for a change and wait; the exit code says how it ended."""
        return self.engine.run("credential", "rotate", name, "--wait", "--json").returncode

    def revealed(self, name: str) -> str:
        shown = self.engine.ask("credential", "reveal", name, "--reason", "compared by a test")
        return str(shown["secret"])

    def opens(self, user: str) -> bool:
        """By the device's own record."""
        return self.switch.opens(user, self.revealed(f"{user}@switch"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """To the engine the switch is a real one: SSH over loopback."""
    switch = Device(PLATFORMS["vrp"], [Account(name, FIRST) for name in ("admin", "ann", "bob")])
    with (
        SshDevice(switch) as served,
        running(RunningEngine(tmp_path_factory.mktemp("trials") / "data")) as engine,
    ):
        where = ("--address", served.address, "--port", f"ssh={served.port}", "--host-key", served.host_key)
        engine.ask("device", "add", "switch", *where, "--vendor", "Huawei", "--model", "VRP")
        for name, more in (
            ("admin", ()),
            ("ann", ("--auth", "admin@switch")),
            ("bob", ("--auth", "admin@switch")),
        ):
            engine.ask(*ADD, f"{name}@switch", *FROM_INPUT, "--enable", *more, stdin=FIRST + "\n")
        yield Site(engine, switch)


def test_nothing_uses_it_before_a_trial(site: Site) -> None:
    with pytest.raises(EngineFailed, match=rf"keyturn template trial {TEMPLATE} USER@DEVICE"):
        site.engine.ask("credential", "rotate", "ann@switch")
    assert site.switch.opens("ann", FIRST)
    listed = {each["name"]: each["tier"] for each in site.engine.ask("template", "list")}
    assert listed[TEMPLATE] == "emulated"


def test_a_trial_is_a_change_that_is_proven_and_recorded(site: Site) -> None:
    done = site.engine.run("template", "trial", TEMPLATE, "ann@switch", "--wait", "--json")
    assert done.returncode == Exit.OK, done.stderr
    assert site.opens("ann")
    assert not site.switch.opens("ann", FIRST)
    [trial] = site.engine.api("GET", "/trials").json()
    assert (trial["template"], trial["credential"], trial["requester"]) == (TEMPLATE, "ann@switch", "admin")


def test_then_other_accounts_are_changed_by_their_profile(site: Site) -> None:
    assert site.changes("bob@switch") == Exit.OK
    assert site.opens("bob")
    assert not site.switch.opens("bob", FIRST)


def test_a_proven_template_needs_no_trial(site: Site) -> None:
    with pytest.raises(EngineFailed, match="needs no trial"):
        site.engine.ask("template", "trial", "linux-by-root", "ann@switch")
