"""A real PostgreSQL of our own: free loopback port, temporary data, scram-sha-256."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg

from tests.peers import workdir

HOW = "run tests/peers/install as root"
STARTS = 5


class PostgresCommandFailed(Exception):
    """initdb or pg_ctl refused; its own words and the end of the server's log follow."""


def binaries() -> Path | None:
    """The folder of initdb and pg_ctl: Debian's newest, pg_config's, or the one on PATH."""
    return next((folder for folder in _candidates() if (folder / "initdb").exists()), None)


def available() -> bool:
    """PostgreSQL refuses to run as root, so root needs the package's own account."""
    return binaries() is not None and (os.geteuid() != 0 or _service_account() is not None)


class PostgresServer:
    """One server, started. `fsync=True` when a test is about what survives; it costs time.

    Raises PostgresCommandFailed.
    """

    host = "127.0.0.1"
    superuser = "ktadmin"

    def __init__(self, *, fsync: bool = False) -> None:
        clear_abandoned()
        self._fsync = fsync
        self._password = secrets.token_urlsafe(18)
        self._dir = workdir.make("pg")
        self._data = self._dir / "data"
        self.log_path = self._dir / "log"
        self.port = workdir.free_port()
        _hand_over(self._dir)
        self._initdb()
        self._start_first()

    @property
    def pid(self) -> int:
        """The first process; all others are its children (postmaster.pid, first line)."""
        return int((self._data / "postmaster.pid").read_text().split("\n", 1)[0])

    def create_database(self) -> str:
        """A new empty database; returns its SQLAlchemy URL, which holds the superuser's password."""
        name = f"kt_{secrets.token_hex(6)}"
        with self._connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"postgresql+psycopg://{self.superuser}:{self._password}@{self.host}:{self.port}/{name}"

    def start(self) -> None:
        """Start on the same data and port, and return when it answers."""
        options = (
            f"-p {self.port} -c listen_addresses={self.host} -c unix_socket_directories={self._dir}"
            f" -c fsync={'on' if self._fsync else 'off'} -c max_connections=200"
        )
        self._pg_ctl("-w", "-t", "60", "-l", str(self.log_path), "-o", options, "start")

    def stop(self, *, immediate: bool = False) -> None:
        """Stop it; `immediate` is a crash: connections are cut, and the next start recovers from the log."""
        self._pg_ctl("-w", "-t", "60", "-m", "immediate" if immediate else "fast", "stop")

    def remove(self) -> None:
        """Stop it if it runs, and remove its data."""
        if (self._data / "postmaster.pid").exists():
            self.stop(immediate=True)
        shutil.rmtree(self._dir)

    def _initdb(self) -> None:
        password_file = self._dir / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self._password)
        _hand_over(password_file)
        arguments = (
            "-U",
            self.superuser,
            "--pwfile",
            str(password_file),
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
        )
        self._as_service("initdb", "-D", str(self._data), *arguments, "--no-locale", "--no-sync")
        password_file.unlink()

    def _start_first(self) -> None:
        for _ in range(STARTS - 1):
            with contextlib.suppress(PostgresCommandFailed):
                return self.start()
            self.port = workdir.free_port()
        return self.start()

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.superuser,
            password=self._password,
            dbname="postgres",
            autocommit=True,
        )

    def _pg_ctl(self, *arguments: str) -> None:
        self._as_service("pg_ctl", "-D", str(self._data), "-s", *arguments)

    def _as_service(self, program: str, *arguments: str) -> None:
        _as_service(self._dir, program, arguments)


def _as_service(folder: Path, program: str, arguments: Sequence[str]) -> None:
    directory = binaries()
    if directory is None:
        raise PostgresCommandFailed(f"there is no {program} here: {HOW}")
    account = _service_account() if os.geteuid() == 0 else None
    # Output goes to a file: the server inherits it, and a pipe would never reach its end.
    output = folder / "output"
    with output.open("wb") as sink:
        done = subprocess.run(
            [str(directory / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            check=False,
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            start_new_session=True,
            user=account and account.pw_uid,
            group=account and account.pw_gid,
            extra_groups=account and (),
        )
    if done.returncode != 0:
        log = folder / "log"
        tail = log.read_text()[-2000:] if log.exists() else ""
        raise PostgresCommandFailed(f"{program} ended with {done.returncode}: {output.read_text()}{tail}")


def _candidates() -> Iterator[Path]:
    debian = Path("/usr/lib/postgresql").glob("[0-9]*/bin")
    yield from sorted(debian, key=lambda folder: int(folder.parent.name), reverse=True)
    if pg_config := shutil.which("pg_config"):
        done = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        yield Path(done.stdout.strip())
    if initdb := shutil.which("initdb"):
        yield Path(initdb).resolve().parent


def _service_account() -> pwd.struct_passwd | None:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres")
    return None


def _hand_over(path: Path) -> None:
    account = _service_account()
    if os.geteuid() == 0 and account is not None:
        os.chown(path, account.pw_uid, account.pw_gid)


def clear_abandoned() -> None:
    """End the servers of test runs that were killed, and remove their folders."""
    for folder in workdir.abandoned("pg"):
        if (folder / "data" / "postmaster.pid").exists():
            with contextlib.suppress(PostgresCommandFailed):
                _as_service(folder, "pg_ctl", ("-D", str(folder / "data"), "-s", "-m", "immediate", "stop"))
        shutil.rmtree(folder, ignore_errors=True)
