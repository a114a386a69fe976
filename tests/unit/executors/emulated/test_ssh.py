"""The SSH server of an emulated device, as far as it needs no socket."""

from __future__ import annotations

import sys

import pytest

from executors.emulated.ssh import AsyncsshMissing, SshDevice
from tests.unit.executors.emulated.talking import device


def test_without_asyncssh_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    with pytest.raises(AsyncsshMissing, match="pip install asyncssh"):
        SshDevice(device("ios"))
