"""SSH keys of real accounts, changed and removed by a running engine at the request of its commands."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from pwd import getpwnam
from typing import Any

import pytest

from engine.catalog.ssh_keys import public_key
from engine.cli.exits import Exit
from executors.contract import Secret, Verdict
from tests.acceptance.engine import RunningEngine, Site, running
from tests.peers.accounts import LocalAccounts
from tests.peers.ssh_drive import at, authorize, key, prove
from tests.peers.sshd import SshServer

PATIENCE = 60.0  # seconds in which the engine surely has done what is due


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, sshd: SshServer, accounts: LocalAccounts
) -> Iterator[Site]:
    with running(RunningEngine(tmp_path_factory.mktemp("keys") / "data")) as engine:
        yield Site(engine, sshd, accounts)


def removal_of(site: Site, name: str) -> dict[str, Any]:
    """The one that the change has asked for, once it has ended."""
    number = site.credential(name)["id"]
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = [each for each in site.operations(limit=1000) if each["credential_id"] == number]
        removals = [each for each in found if each["action"] == "remove_old_secret"]
        if removals and removals[-1]["state"] not in ("scheduled", "running"):
            return removals[-1]
        time.sleep(0.2)
    raise AssertionError(f"no removal for {name} has ended")


def test_a_rotated_key_opens_and_the_old_one_is_gone_soon_after(site: Site) -> None:
    box = site.device()
    user = site.account("key")
    old = authorize(user)
    name = f"{user}@{box}"
    assert site.add(name, old, "--kind", "ssh_key")["state"] == "managed"
    assert site.rotate(name).end == (Exit.OK, "succeeded", "ok")
    removal = removal_of(site, name)
    assert (removal["state"], removal["outcome"], removal["trigger"]) == (
        "succeeded",
        "ok",
        "secret_replaced",
    )
    new = site.revealed(name)
    assert prove(at(site.sshd), key(user, new)).verdict is Verdict.OPENS
    assert prove(at(site.sshd), key(user, old)).verdict is Verdict.REFUSED
    lines = (Path(getpwnam(user).pw_dir) / ".ssh" / "authorized_keys").read_text()
    assert lines == f"{public_key(Secret(new))} keyturn:{name}:2\n"
