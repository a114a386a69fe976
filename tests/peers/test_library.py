"""The shipped templates for network devices, over real SSH connections to the emulated ones, by the verbs and
in the order of the engine: prepare, apply, prove, persist."""

from __future__ import annotations

import pytest

from executors.contract import (
    Login,
    Outcome,
    ProofKind,
    ProofPlan,
    Secret,
    Target,
    Value,
    ValueKind,
    Values,
    Verdict,
)
from executors.emulated.account import Account
from executors.emulated.catalogue import PLATFORMS
from executors.emulated.console import Console
from executors.emulated.device import Device
from executors.emulated.ssh import SshDevice
from executors.session import Job, Session
from executors.ssh import SshExecutor
from tests.native_rig import ADMIN, library
from tests.unit.library.network import ADMINS, NEW, OLD, TARGET, WAYS, Way

PATIENCE = 20.0  # seconds
LOGIN = ProofPlan(ProofKind.LOGIN)


def values_of(way: Way) -> Values:
    given, kinds = way.given(), library()[way.template].tags or {}
    return {
        name: Value(kind, Secret(given[name]) if kind is ValueKind.SECRET else given[name])
        for name, kind in kinds.items()
    }


def job_for(way: Way, served: SshDevice) -> Job:
    file = library()[way.template]
    return Job(
        executor=file.executor,
        body=file.body,
        first_line=file.first_line_of_body,
        target=Target(way.platform, served.address, served.port, (served.host_key,), read_timeout=PATIENCE),
        login=Login(TARGET, Secret(OLD)) if way.own else Login(ADMIN, Secret(ADMINS)),
        values=values_of(way),
        redact=(),
        deadline=10 * PATIENCE,
    )


def proven(session: Session, user: str, secret: str) -> Verdict:
    return session.prove(Login(user, Secret(secret)), LOGIN).verdict


class OneByOne(Device):
    """Counts its sessions."""

    opened = 0

    def open(
        self, username: str | None = None, command: str | None = None, *, terminal: bool = True
    ) -> Console:
        self.opened += 1
        return super().open(username, command, terminal=terminal)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_change_is_made_proven_and_kept(way: Way) -> None:
    """Status, change and saving go over one session: real devices give no second one."""
    device = OneByOne(PLATFORMS[way.platform], way.accounts())
    with SshDevice(device) as served, Session(SshExecutor(), job_for(way, served)) as session:
        prepared = session.prepare()
        assert (prepared.outcome, prepared.message) == (Outcome.OK, "")
        applied = session.apply()
        assert (applied.outcome, applied.message) == (Outcome.OK, "")
        assert device.opens(way.secret, NEW)
        proofs = 0
        if library()[way.template].proof is ProofKind.LOGIN:
            assert proven(session, way.secret, NEW) is Verdict.OPENS
            assert proven(session, way.secret, way.given()["CURRENT_PASSWORD"]) is Verdict.REFUSED
            proofs = 1
        kept = session.persist()
        assert (kept.outcome, kept.message) == (Outcome.OK, "")
        assert device.is_saved
        assert device.opened == 1 + proofs
        said = session.transcript()
        assert [secret for secret in (NEW, OLD, ADMINS) if secret in said] == []


def test_a_password_that_must_be_changed_first_proves_no_more_than_that() -> None:
    way = next(way for way in WAYS if way.platform == "vrp" and way.own)
    device = Device(PLATFORMS["vrp"], way.accounts(Account(TARGET, OLD, must_change=True)))
    with SshDevice(device) as served, Session(SshExecutor(), job_for(way, served)) as session:
        assert session.prepare().outcome is Outcome.OK
        assert proven(session, TARGET, OLD) is Verdict.RESTRICTED
        assert session.apply().outcome is Outcome.OK
        assert proven(session, TARGET, NEW) is Verdict.OPENS
