"""ansible-core's `user` module and a login check with the new password, as its users would write it.

It lives in an environment of its own under `build/`, installed by pip at exact versions.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.ground import KEX, LANES, Ground, Login, password

VERSION = "2.19.3"
PINS = (f"ansible-core=={VERSION}", "passlib==1.7.4")  # its password_hash filter needs passlib
HOME = Path(__file__).parents[1] / "build" / "bench-ansible"
INSTALL_SECONDS = 600.0

# The password's hash is made here, as the module wants it; `raw` is the cheapest login check there is.
PLAYBOOK = """
- hosts: all
  gather_facts: false
  become: true
  tasks:
    - ansible.builtin.user:
        name: "{{ account }}"
        password: "{{ secret | password_hash('sha512') }}"
      no_log: true
- hosts: all
  gather_facts: false
  vars: {ansible_user: "{{ account }}", ansible_password: "{{ secret }}"}
  tasks:
    - ansible.builtin.raw: "true"
      changed_when: false
"""
CONFIG = """
[defaults]
forks = {forks}
host_key_checking = true
[connection]
pipelining = {pipelining}
[ssh_connection]
password_mechanism = ssh_askpass
control_path_dir = {directory}/cp
ssh_args = -o ControlMaster=auto -o ControlPersist=30s -o KexAlgorithms={kex} {known}
"""


class Ended(Exception):
    """A playbook failed; its last lines follow."""


def install() -> Path | str:
    """The directory of the programs, or why there are none."""
    programs = HOME / "bin"
    if not (programs / "ansible-playbook").exists():
        for command in (
            [sys.executable, "-m", "venv", str(HOME)],
            [str(programs / "pip"), "install", "--quiet", "--disable-pip-version-check", *PINS],
        ):
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS
            )
            if done.returncode != 0:
                return f"ansible-core {VERSION} could not be installed: {done.stderr.strip()[-300:]}"
    return programs


class Playbook:
    """Pipelining on or off. Everything that it leaves running is ended and counted by `bench.reap`."""

    def __init__(self, programs: Path, directory: Path, ground: Ground, pipelining: bool) -> None:
        self._programs = programs
        self._directory = directory
        self._ground = ground
        directory.mkdir(mode=0o700)
        (directory / "cp").mkdir(mode=0o700)
        (directory / "site.yml").write_text(PLAYBOOK)
        (directory / "known_hosts").write_text(f"[{ground.host}]:{ground.port} {ground.host_key}\n")
        known = f"-o UserKnownHostsFile={directory}/known_hosts"
        config = CONFIG.format(forks=LANES, pipelining=pipelining, directory=directory, kex=KEX, known=known)
        (directory / "ansible.cfg").write_text(config)

    def change(self, accounts: Sequence[tuple[Login, str]]) -> list[Login]:
        """Pairs of administrator and account. Raises Ended."""
        logins = [Login(name, password()) for _, name in accounts]
        with self._inventory([admin for admin, _ in accounts], logins) as inventory:
            done = subprocess.run(
                [
                    *(sys.executable, "-P", str(Path(__file__).with_name("reap.py"))),
                    str(self._programs / "ansible-playbook"),
                    *("-i", str(inventory), str(self._directory / "site.yml")),
                ],
                capture_output=True,
                text=True,
                check=False,
                env=self._environment(),
            )
        if done.returncode != 0:
            raise Ended(done.stdout[-1500:] + done.stderr[-500:])
        return logins

    @contextmanager
    def _inventory(self, admins: Sequence[Login], logins: Sequence[Login]) -> Iterator[Path]:
        path = self._directory / "inventory.ini"
        path.touch(mode=0o600)
        path.write_text("".join(self._host(*pair) for pair in zip(admins, logins, strict=True)))
        try:
            yield path
        finally:
            path.unlink()

    def _host(self, admin: Login, login: Login) -> str:
        facts = {
            "ansible_host": self._ground.host,
            "ansible_port": self._ground.port,
            "ansible_user": admin.name,
            "ansible_password": admin.password,
            "ansible_become_password": admin.password,
            "ansible_python_interpreter": "/usr/bin/python3",
            "account": login.name,
            "secret": login.password,
        }
        return login.name + "".join(f" {key}={value}" for key, value in facts.items()) + "\n"

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self._programs}:{os.environ['PATH']}",
            "HOME": str(self._directory),
            "ANSIBLE_CONFIG": str(self._directory / "ansible.cfg"),
            "LC_ALL": "C.UTF-8",
        }
