"""A second account with the number 0, so that su(1) to it asks for a password; root stays as it is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pwd import getpwall
from secrets import token_hex

from tests.peers import workdir


@contextmanager
def superuser(password: str) -> Iterator[str]:
    """Its name. What a killed run left goes first.

    Never one of `LocalAccounts`: those end the processes of the numbers that they remove.
    """
    for entry in getpwall():
        ours = entry.pw_name.startswith("sukt") and entry.pw_uid == 0 and entry.pw_gecos.isdigit()
        if ours and not workdir.alive(int(entry.pw_gecos)):
            _remove(entry.pw_name)
    name = f"sukt{token_hex(3)}"
    options = ["-o", "-u", "0", "-g", "0", "-M", "-N", "-d", "/", "-s", "/bin/bash", "-c", str(os.getpid())]
    subprocess.run(["useradd", *options, name], check=True)
    try:
        subprocess.run(["chpasswd"], input=f"{name}:{password}", text=True, check=True)
        yield name
    finally:
        _remove(name)


def _remove(name: str) -> None:
    """Without -r and with -f: its number is in use by everything that root runs."""
    subprocess.run(["userdel", "-f", name], check=True, capture_output=True)
