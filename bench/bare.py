"""The yardstick: paramiko alone, with as little around it as does the work."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

import paramiko

from bench.ground import Ground, Login, password

TIMEOUT = 30.0  # seconds that any answer may take
LOCALE = "env LC_ALL=C "
KEX = ("curve25519-sha256@libssh.org",)


class Unexpected(Exception):
    """The target did not answer as a healthy one does; the machine is unfit for this measurement."""


def connect(ground: Ground, login: Login) -> paramiko.Transport:
    link = socket.create_connection((ground.host, ground.port), TIMEOUT)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = paramiko.Transport(link)
    transport.get_security_options().kex = KEX
    transport.banner_timeout = transport.auth_timeout = TIMEOUT
    transport.start_client(timeout=TIMEOUT)
    key = transport.get_remote_server_key()
    if f"{key.get_name()} {key.get_base64()}" != ground.host_key:
        raise Unexpected("another host key")
    transport.auth_password(login.name, login.password)
    return transport


def close(transport: paramiko.Transport) -> None:
    transport.sock.shutdown(socket.SHUT_RDWR)  # wakes the reading thread at once
    transport.close()


def run(transport: paramiko.Transport, command: str, stdin: str = "") -> None:
    channel = transport.open_session(timeout=TIMEOUT)
    channel.settimeout(TIMEOUT)
    channel.set_combine_stderr(True)
    channel.exec_command(command)
    channel.sendall(stdin.encode())
    channel.shutdown_write()
    said = b"".join(iter(lambda: channel.recv(32768), b""))
    status = channel.recv_exit_status()
    channel.close()
    if status != 0:
        raise Unexpected(f"{command.split(maxsplit=1)[0]}: {status}: {said.decode(errors='replace')}")


def chpasswd(transport: paramiko.Transport, admin: Login, login: Login, locale: str = "") -> None:
    """sudo reads its own password from the first line, chpasswd(8) what is left."""
    stdin = f"{admin.password}\n{login.name}:{login.password}\n"
    run(transport, f"{locale}sudo -S -k -p '' chpasswd", stdin)


def prove(ground: Ground, login: Login) -> None:
    close(connect(ground, login))


def fresh(ground: Ground, admin: Login, accounts: Sequence[str]) -> list[Login]:
    """A connection of its own for each change, and one for each proof."""
    done = []
    for name in accounts:
        login = Login(name, password())
        transport = connect(ground, admin)
        chpasswd(transport, admin, login)
        close(transport)
        prove(ground, login)
        done.append(login)
    return done


def same_steps(ground: Ground, admin: Login, accounts: Sequence[str]) -> list[Login]:
    """Every command that the engine's template and its proof send, in their order."""
    done = []
    for name in accounts:
        login = Login(name, password())
        transport = connect(ground, admin)
        run(transport, f"{LOCALE}id -u -- {name}")
        run(transport, f"{LOCALE}sudo -S -k -p '' passwd -S -- {name}", f"{admin.password}\n")
        chpasswd(transport, admin, login, LOCALE)
        second = connect(ground, login)
        run(second, f"{LOCALE}true")
        close(second)
        close(transport)
        done.append(login)
    return done


def reused(ground: Ground, admin: Login, accounts: Sequence[str]) -> list[Login]:
    """One administrative connection for all of them; the proofs are fresh logins."""
    done = []
    transport = connect(ground, admin)
    for name in accounts:
        login = Login(name, password())
        chpasswd(transport, admin, login)
        prove(ground, login)
        done.append(login)
    close(transport)
    return done


def by_itself(ground: Ground, current: Login) -> Login:
    """The dialogue of passwd(1) on a terminal."""
    login = Login(current.name, password())
    transport = connect(ground, current)
    channel = transport.open_session(timeout=TIMEOUT)
    channel.settimeout(TIMEOUT)
    channel.get_pty(term="dumb")
    channel.exec_command(f"{LOCALE}passwd")
    for prompt, answer in (
        ("urrent password:", current.password),
        ("New password:", login.password),
        ("Retype new password:", login.password),
    ):
        _await(channel, prompt)
        channel.sendall(answer.encode() + b"\n")
    _await(channel, "updated successfully")
    if channel.recv_exit_status() != 0:
        raise Unexpected("passwd ended badly")
    channel.close()
    close(transport)
    prove(ground, login)
    return login


def _await(channel: paramiko.Channel, words: str) -> None:
    said = ""
    until = time.monotonic() + TIMEOUT
    while words not in said:
        received = channel.recv(32768)
        said += received.decode(errors="replace")
        if not received or time.monotonic() > until:
            raise Unexpected(f"no {words!r} from passwd")
