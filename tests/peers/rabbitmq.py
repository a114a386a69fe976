"""A real RabbitMQ of our own: private node, cookie, port mapper and data, all on loopback.

It takes 8 to 22 seconds to start, so one serves a whole test run.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

from kombu import Connection
from kombu.exceptions import OperationalError

from tests.peers import workdir

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
HOW = "run tests/peers/install as root"
READY_SECONDS = 120.0
END_SECONDS = 30.0
KINDS = ("node", "epmd")


class RabbitDidNotStart(Exception):
    """It ended or stayed silent; the message ends with its own words."""


def available() -> bool:
    """It should not run as root, so root needs the package's own account."""
    found = SERVER.exists() and shutil.which("epmd") is not None
    return found and (os.geteuid() != 0 or _service_account() is not None)


class RabbitServer:
    """One node, started. Raises RabbitDidNotStart."""

    host = "127.0.0.1"
    user = "keyturn"

    def __init__(self) -> None:
        clear_abandoned()
        self._dir = workdir.make("rabbit")
        self._password = secrets.token_urlsafe(18)
        self.password_file = self._dir / "password"
        self.port = workdir.free_port()
        self._node = f"keyturn{secrets.token_hex(4)}@localhost"
        self._epmd_port, self._dist_port = workdir.free_port(), workdir.free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._write_files()
        self.start()

    @property
    def url(self) -> str:
        """Without the password, as `broker` is set."""
        return f"amqp://{self.user}@{self.host}:{self.port}//"

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes.values()]

    def start(self) -> None:
        """Start on the same ports and data; returns when somebody can log in. Raises RabbitDidNotStart."""
        self._launch("epmd", "epmd", "-port", str(self._epmd_port), "-address", self.host)
        process = self._launch("node", str(SERVER))
        until = time.monotonic() + READY_SECONDS
        while process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OperationalError, OSError), self.connection() as connection:
                connection.connect()
                return
            time.sleep(0.1)
        self.kill()
        raise RabbitDidNotStart((self._dir / "output").read_text()[-2000:])

    def kill(self) -> None:
        """SIGKILL to the node and its port mapper; what a durable queue holds survives."""
        for process in self._processes.values():
            _kill_group(process.pid)
            process.wait(END_SECONDS)

    def connection(self) -> Connection:
        """A client's connection, not yet opened: close it."""
        return Connection(
            hostname=self.host,
            port=self.port,
            userid=self.user,
            password=self._password,
            transport="amqp",
            connect_timeout=5,
        )

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self._dir)

    def _write_files(self) -> None:
        files = {
            "password": self._password,
            ".erlang.cookie": secrets.token_hex(16),
            "enabled_plugins": "[].",
            "rabbitmq.conf": f"listeners.tcp.1 = {self.host}:{self.port}\n"
            f"default_user = {self.user}\ndefault_pass = {self._password}\n"
            "loopback_users = none\nlog.console = true\nlog.file = false\n",
        }
        for name, content in files.items():
            path = self._dir / name
            path.touch(mode=0o600)
            path.write_text(content + "\n" if name == "password" else content)
            path.chmod(0o400)
            _hand_over(path)
        _hand_over(self._dir)

    def _launch(self, kind: str, *command: str) -> subprocess.Popen[bytes]:
        account = _service_account() if os.geteuid() == 0 else None
        with (self._dir / "output").open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._dir,
                env=self._environment(),
                start_new_session=True,  # the node is the grandchild of a shell script: ended as a group
                user=account and account.pw_uid,
                group=account and account.pw_gid,
                extra_groups=account and (),
            )
        (self._dir / f"{kind}.pid").write_text(f"{process.pid}\n")
        self._processes[kind] = process
        return process

    def _environment(self) -> dict[str, str]:
        own = str(self._dir)
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "HOME": own,
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": self.host,
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": f"{own}/mnesia",
            "RABBITMQ_LOG_BASE": f"{own}/log",
            "RABBITMQ_CONFIG_FILE": f"{own}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{own}/enabled_plugins",
            "RABBITMQ_PID_FILE": f"{own}/node-itself.pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _service_account() -> pwd.struct_passwd | None:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("rabbitmq")
    return None


def _hand_over(path: Path) -> None:
    account = _service_account()
    if os.geteuid() == 0 and account is not None:
        os.chown(path, account.pw_uid, account.pw_gid)


def clear_abandoned() -> None:
    """End the nodes of test runs that were killed, and remove their folders."""
    for folder in workdir.abandoned("rabbit"):
        for kind in KINDS:
            with contextlib.suppress(OSError, ValueError):
                pid = int((folder / f"{kind}.pid").read_text())
                if Path(f"/proc/{pid}/cwd").readlink() == folder:  # nobody else's process of this number
                    _kill_group(pid)
        shutil.rmtree(folder, ignore_errors=True)
