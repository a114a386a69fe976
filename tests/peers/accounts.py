"""Real local accounts of this machine, made for one test run and removed with it. Needs root."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.peers import workdir

MARK = "keyturn-test"  # in the GECOS field of passwd(5), followed by the process id of the test run
SUDOERS = Path("/etc/sudoers.d")
TRIES = 10
NAME_LENGTH = 31


class AccountCommandFailed(Exception):
    """useradd, chpasswd or one of their family refused; its own words follow."""


class LocalAccounts:
    """Accounts named `kt<6 hex digits>_<suffix>`. Passwords reach chpasswd(8) through a pipe only."""

    def __init__(self) -> None:
        _remove_abandoned()
        self.run_id = f"kt{secrets.token_hex(3)}"
        self._sudo_rules: list[str] = []
        self._names: set[str] = set()

    def add(
        self,
        suffix: str,
        password: str | None = None,
        *,
        shell: str = "/bin/bash",
        sudo: Sequence[str] = (),
        expired: bool = False,
    ) -> str:
        """Make an account with a home and return its name; without a password it is locked: useradd(8).

        `sudo` holds what sudoers(5) accepts after `ALL=(root)`, such as `/usr/sbin/chpasswd`, or
        `NOPASSWD: /usr/bin/passwd kt123456_app`. Raises AccountCommandFailed.
        """
        name = f"{self.run_id}_{suffix}"
        if name in self._names:  # another test had the same idea
            name += f"_{len(self._names)}"
        self._names.add(name)
        if len(name) > NAME_LENGTH:
            raise ValueError(f"{name} has more than {NAME_LENGTH} characters; choose a shorter suffix")
        _run(["useradd", "-m", "-s", shell, "-c", f"{MARK} {os.getpid()}", name])
        if password is not None:
            self.set_password(name, password)
        if sudo:
            self._allow(name, sudo)
        if expired:
            self.expire(name)
        return name

    def set_password(self, name: str, password: str) -> None:
        """Change it behind everybody's back, as root."""
        _run(["chpasswd"], f"{name}:{password}\n")

    def lock(self, name: str) -> None:
        """Lock the password only: a key still logs in (usermod -L)."""
        _run(["usermod", "-L", name])

    def unlock(self, name: str) -> None:
        """Undo `lock`."""
        _run(["usermod", "-U", name])

    def expire(self, name: str) -> None:
        """The password must be changed at the next login (chage -d 0)."""
        _run(["chage", "-d", "0", name])

    def disable(self, name: str) -> None:
        """The account expired in 1970, neither password nor key opens it (usermod -e 1)."""
        _run(["usermod", "-e", "1", name])

    def set_shell(self, name: str, shell: str) -> None:
        """The login shell from the next login on."""
        _run(["usermod", "-s", shell, name])

    def shadow_hash(self, name: str) -> str:
        """The second field of shadow(5): the target's own record of the password."""
        for line in Path("/etc/shadow").read_text().splitlines():
            user, stored, *_ = line.split(":")
            if user == name:
                return stored
        raise KeyError(name)

    def opens(self, name: str, password: str) -> bool:
        """Whether the target's record accepts this password; a locked password accepts none."""
        return accepts(self.shadow_hash(name), password)

    def remove_all(self) -> None:
        """Remove every account of this run, with home, processes and sudo rules."""
        for entry in pwd.getpwall():
            if entry.pw_name.startswith(f"{self.run_id}_"):
                _remove(entry)
        (SUDOERS / self.run_id).unlink(missing_ok=True)
        self._sudo_rules.clear()

    def _allow(self, name: str, commands: Sequence[str]) -> None:
        rules = [*self._sudo_rules, *(f"{name} ALL=(root) {command}" for command in commands)]
        draft = SUDOERS / f"{self.run_id}.draft"  # sudo ignores a file with a dot in its name: sudoers(5)
        draft.touch(mode=0o440)
        draft.write_text("\n".join(rules) + "\n")
        try:
            _run(["visudo", "-cf", str(draft)])
            draft.replace(SUDOERS / self.run_id)
        finally:
            draft.unlink(missing_ok=True)
        self._sudo_rules = rules


def _run(command: Sequence[str], stdin: str = "") -> None:
    """Run as root, and again while another process holds the lock of the password files."""
    for _ in range(TRIES):
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
        )
        if done.returncode == 0:
            return
        if "lock" not in done.stderr:
            break
        time.sleep(0.2)
    raise AccountCommandFailed(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()}")


def _remove(entry: pwd.struct_passwd) -> None:
    for pid in _processes_of(entry.pw_uid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _run(["userdel", "-r", "-f", entry.pw_name])


def _processes_of(uid: int) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_uid == uid:
                yield int(folder.name)


def _remove_abandoned() -> None:
    for entry in pwd.getpwall():
        mark, _, pid = entry.pw_gecos.partition(" ")
        ours = entry.pw_name.startswith("kt") and mark == MARK and pid.isdigit()
        if ours and not workdir.alive(int(pid)):
            # Another test run may clear away the same accounts at this very moment.
            with contextlib.suppress(AccountCommandFailed):
                _remove(entry)
            (SUDOERS / entry.pw_name.partition("_")[0]).unlink(missing_ok=True)


def accepts(stored: str, password: str) -> bool:
    """Whether this second field of shadow(5) accepts the password."""
    return _crypt(password, stored) == stored


def _crypt(password: str, setting: str) -> str:
    """crypt_r(3). Python's own crypt module is deprecated; libcrypt is what PAM itself calls."""
    function = ctypes.CDLL("libcrypt.so.1").crypt_r
    function.restype = ctypes.c_char_p
    function.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p]
    workspace = ctypes.create_string_buffer(32768)  # sizeof(struct crypt_data), which must start zeroed
    hashed: bytes | None = function(password.encode(), setting.encode(), workspace)
    return "" if hashed is None else hashed.decode()
