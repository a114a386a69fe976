"""The library for Unix hosts and appliances by the whole ssh executor: real SSH on loopback, emulated targets
behind it, and a proof on a fresh connection at the end."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from engine.catalog.states import LoginAs
from engine.templating.library import shipped
from executors.contract import Outcome, Proof, ProofPlan, Report, Secret, Target, Value, ValueKind, Verdict
from executors.emulated.account import Account, Rules
from executors.emulated.catalogue import PLATFORMS
from executors.emulated.device import Device
from executors.emulated.ssh import SshDevice
from executors.emulated.trouble import Drop, Point, Silence, Troubles
from executors.session import Job, Session
from executors.ssh import SshExecutor
from tests.peers.ssh_drive import password

OLD, NEW, SHORT = "Old-pass1", "New-pass2 #$%", "Sh0rt"
PATIENCE, DEADLINE = 15.0, 120.0  # seconds
LIBRARY = {file.name: file for file in shipped()}
ON = {
    "alpine-own-password": "alpine",
    "alpine-by-root": "alpine",
    "aix-own-password": "aix",
    "aix-by-root": "aix",
    "aix-by-pwdadm": "aix",
    "solaris-own-password": "solaris",
    "solaris-by-root": "solaris",
    "freebsd-own-password": "freebsd",
    "freebsd-by-root": "freebsd",
    "openbsd-own-password": "openbsd",
    "openbsd-by-root": "openbsd",
    "f5-own-password": "f5",
    "f5-by-administrator": "f5",
    "fortios-own-password": "fortios",
    "fortios-by-administrator": "fortios",
    "panos-own-password": "panos",
    "panos-by-administrator": "panos",
    "gaia-own-password": "checkpoint",
    "gaia-by-administrator": "checkpoint",
    "ilo-own-password": "ilo",
    "ilo-by-administrator": "ilo",
    "idrac-own-password": "idrac",
    "idrac-by-administrator": "idrac",
}
UNIX = ("alpine", "aix", "solaris", "freebsd", "openbsd")
each = pytest.mark.parametrize("template", ON)


@dataclass(frozen=True)
class Done:
    report: Report
    saved: Report | None = None
    new: Proof | None = None
    old: Proof | None = None


def device(platform: str, troubles: Troubles | None = None, rules: Rules | None = None) -> Device:
    accounts = [
        Account("root", OLD),
        Account("admin", OLD),
        Account("svc", OLD, privilege=1 if platform in UNIX else 15),
    ]
    return Device(PLATFORMS[platform], accounts, troubles=troubles, rules=rules)


def job_for(template: str, served: SshDevice, new: str) -> Job:
    file = LIBRARY[template]
    user = {LoginAs.SELF: "svc", LoginAs.ROOT: "root"}.get(file.login or LoginAs.OTHER, "admin")
    known = {
        "USERNAME": Value(ValueKind.USERNAME, "svc"),
        "CURRENT_PASSWORD": Value(ValueKind.SECRET, Secret(OLD)),
        "AUTH_PASSWORD": Value(ValueKind.SECRET, Secret(OLD)),
        "NEW_PASSWORD": Value(ValueKind.SECRET, Secret(new)),
    }
    values = {name: known[name] for name in file.tags or {}}
    target = Target("device", served.address, served.port, (served.host_key,), read_timeout=PATIENCE)
    return Job("ssh", file.body, file.first_line_of_body, target, password(user, OLD), values, (), DEADLINE)


def change(template: str, served: SshDevice, new: str) -> Done:
    """As the engine does it. No secret may be left in what people read."""
    with Session(SshExecutor(), job_for(template, served, new)) as session:
        report = session.prepare()
        if report.outcome is Outcome.OK:
            report = session.apply()
        done = Done(report)
        if report.outcome is Outcome.OK:
            proofs = [session.prove(password("svc", text), ProofPlan()) for text in (new, OLD)]
            done = Done(report, session.persist(), *proofs)
        written = session.transcript() + repr(done)
    assert OLD not in written
    assert new not in written
    return done


def of(template: str) -> str:
    """A password that the platform's way of typing it carries."""
    return NEW.replace(" ", "~") if ON[template] == "ilo" else NEW


@each
def test_the_new_secret_opens_and_the_old_one_does_not(template: str) -> None:
    target = device(ON[template])
    with SshDevice(target) as served:
        done = change(template, served, of(template))
    assert (done.report.outcome, done.report.message) == (Outcome.OK, "")
    assert done.new is not None
    assert done.old is not None
    assert (done.new.verdict, done.old.verdict) == (Verdict.OPENS, Verdict.REFUSED)
    assert done.saved is not None
    assert done.saved.outcome is Outcome.OK
    target.reload()
    assert target.opens("svc", of(template))


@each
def test_a_connection_lost_right_after_the_change_is_no_success(template: str) -> None:
    target = device(ON[template], {Point.AFTER_CHANGE: [Drop()]})
    with SshDevice(target) as served:
        assert change(template, served, of(template)).report.outcome is Outcome.UNREACHABLE
    assert target.opens("svc", of(template))


ASKED = [
    name for name in ON if name not in ("alpine-by-root", "aix-by-root", "solaris-by-root", "freebsd-by-root")
]


@pytest.mark.parametrize("template", ASKED)
def test_a_password_that_is_too_short_is_refused(template: str) -> None:
    target = device(ON[template], rules=Rules(min_length=8))
    with SshDevice(target) as served:
        assert change(template, served, SHORT).report.outcome is Outcome.REFUSED_BY_POLICY
    assert target.opens("svc", OLD)


@pytest.mark.parametrize("template", ["freebsd-by-root", "openbsd-own-password", "fortios-by-administrator"])
def test_a_target_that_falls_silent_is_given_up_in_time(template: str) -> None:
    target = device(ON[template], {Point.AFTER_CHANGE: [Silence()]})
    with SshDevice(target) as served:
        job = job_for(template, served, of(template))
        impatient = replace(job.target, read_timeout=2.0)
        short = replace(job, target=impatient, body=job.body.replace("timeout 30", "timeout 2"))
        with Session(SshExecutor(), short) as session:
            assert session.prepare().outcome is Outcome.OK
            assert session.apply().outcome is Outcome.TIMEOUT
    assert target.opens("svc", of(template))
