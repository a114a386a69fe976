"""Devices that do otherwise than they say, behind a real Telnet and a real SSH server: the proof tells.

The report of a change is what the device said. Whether the new secret opens, and the old one no more, is what
two logins say, and they are right whatever the device said.
"""

from __future__ import annotations

import pytest

from executors.contract import Executor, Outcome, Target, Verdict
from executors.emulated.account import Account, Lies
from executors.emulated.catalogue import PLATFORMS
from executors.emulated.device import Device
from executors.emulated.ssh import SshDevice
from executors.emulated.telnet import TelnetDevice
from executors.ssh import SshExecutor
from executors.telnet import TelnetExecutor
from tests.peers.terminal_drive import Done, change

OLD, NEW = "Old-pass1", "New-pass2"
OPENS, REFUSED = Verdict.OPENS, Verdict.REFUSED
SAID_YES, SAID_NO = Outcome.OK, Outcome.SCRIPT_MISMATCH
BODY = """
set-read-timeout 10
expect "*#"
exec "configure terminal"
expect "*(config)#"
exec "username [#USERNAME#] secret [#NEW_PASSWORD#]"
no-expect "% "
expect "*(config)#"
exec "end"
expect "*#"
end
"""
TELNET, SSH = TelnetExecutor(), SshExecutor()


def changed(executor: Executor, lies: Lies, new: str) -> Done:
    device = Device(PLATFORMS["ios"], [Account("admin", OLD)], lies=lies)
    if executor is TELNET:
        with TelnetDevice(device) as served:
            target = Target("r1", "127.0.0.1", served.port, read_timeout=15.0, cleartext=True)
            return change(executor, BODY, target, "admin", OLD, new)
    with SshDevice(device) as shown:
        target = Target("r1", "127.0.0.1", shown.port, host_keys=(shown.host_key,), read_timeout=15.0)
        return change(executor, BODY, target, "admin", OLD, new)


LIES = {
    "honest": (Lies(), NEW, SAID_YES, OPENS, REFUSED),
    "truncates when it stores": (Lies(cut_at=8), NEW, SAID_YES, REFUSED, REFUSED),
    "truncates at both ends": (Lies(significant=4), NEW, SAID_YES, OPENS, REFUSED),
    "truncates what differs": (Lies(significant=4), OLD[:4] + "another9", SAID_YES, OPENS, OPENS),
    "folds case": (Lies(folds_case=True), NEW, SAID_YES, OPENS, REFUSED),
    "folds all that differs": (Lies(folds_case=True), OLD.swapcase(), SAID_YES, OPENS, OPENS),
    "says no and does": (Lies(says_no_but_does=True), NEW, SAID_NO, OPENS, REFUSED),
    "says yes and does not": (Lies(says_yes_but_does_not=True), NEW, SAID_YES, REFUSED, OPENS),
    "applies late": (Lies(late=3600.0), NEW, SAID_YES, REFUSED, OPENS),
}
OVER_SSH = ("truncates when it stores", "says no and does", "says yes and does not", "applies late")
CASES = [*((TELNET, lie) for lie in LIES), *((SSH, lie) for lie in OVER_SSH)]


@pytest.mark.parametrize(("executor", "lie"), CASES, ids=lambda each: getattr(each, "name", each))
def test_two_logins_tell_what_the_device_did(executor: Executor, lie: str) -> None:
    lies, new, said, new_verdict, old_verdict = LIES[lie]
    done = changed(executor, lies, new)
    assert done.report.outcome is said, done.report
    assert (done.new.verdict, done.old.verdict) == (new_verdict, old_verdict)
