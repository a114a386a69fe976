"""Emulated devices behind real SSH and Telnet servers, spoken to by paramiko and by a bare socket."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import paramiko
import pytest

from executors.emulated.account import Access, Account, Rules
from executors.emulated.catalogue import PLATFORMS
from executors.emulated.device import Device
from executors.emulated.scripted import Hear, Offer, ScriptedDevice
from executors.emulated.ssh import SshDevice
from executors.emulated.telnet import TelnetDevice
from executors.emulated.trouble import Drop, Noise, Point

OLD, NEW = "Old-pass1", "New-pass2"
PATIENCE = 20.0
CHANGE = ("configure terminal", f"username admin privilege 15 secret {NEW}", "end")


def router(name: str = "ios", **settings: object) -> Device:
    return Device(PLATFORMS[name], [Account("admin", OLD)], **settings)  # type: ignore[arg-type]


@contextlib.contextmanager
def logged_in(served: SshDevice, password: str = OLD, user: str = "admin") -> Iterator[paramiko.SSHClient]:
    """A client that knows the host key of this start, and no other."""
    kind, body = served.host_key.split()
    key = paramiko.PKey.from_type_string(kind, base64.b64decode(body))
    with paramiko.SSHClient() as client:
        client.get_host_keys().add(f"[{served.address}]:{served.port}", kind, key)
        client.connect(
            served.address, served.port, user, password,
            allow_agent=False, look_for_keys=False, timeout=PATIENCE,
        )  # fmt: skip
        yield client


def until(channel: paramiko.Channel | socket.socket, end: str) -> str:
    """What arrives until this is at its end, or the connection ends."""
    said = b""
    channel.settimeout(PATIENCE)
    while not said.endswith(end.encode()) and (data := channel.recv(4096)):
        said += data
    return said.decode(errors="replace")


def test_a_password_is_changed_over_ssh() -> None:
    target = router()
    with SshDevice(target) as served:
        with logged_in(served) as client:
            shell = client.invoke_shell()
            until(shell, "Router#")
            for line in CHANGE:
                shell.send(f"{line}\n".encode())
                until(shell, "#")
        assert target.opens("admin", NEW)
        with pytest.raises(paramiko.AuthenticationException), logged_in(served, OLD):
            pass
        with logged_in(served, NEW):
            assert target.received == list(CHANGE)


def answer(_title: str, _instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
    return [OLD for _ in prompts]


def test_a_server_may_ask_questions_only() -> None:
    with (
        SshDevice(router(), keyboard_interactive=True) as served,
        contextlib.closing(paramiko.Transport((served.address, served.port))) as asked,
        contextlib.closing(paramiko.Transport((served.address, served.port))) as told,
    ):
        asked.start_client(timeout=PATIENCE)
        asked.auth_interactive("admin", answer)
        assert asked.is_authenticated()
        told.start_client(timeout=PATIENCE)
        with pytest.raises(paramiko.BadAuthenticationType):
            told.auth_password("admin", OLD, fallback=False)


def test_tries_over_ssh_lock_the_account() -> None:
    target = router(rules=Rules(tries=2))
    with SshDevice(target) as served:
        for password in ("a", "b", OLD):
            with pytest.raises(paramiko.AuthenticationException), logged_in(served, password):
                pass
    assert target.authenticate("admin", OLD) is Access.LOCKED


def test_a_command_runs_without_a_terminal() -> None:
    target = Device(PLATFORMS["debian"], [Account("root", OLD), Account("op", OLD)])
    with SshDevice(target) as served, logged_in(served, OLD, "root") as client:
        pipe, output, _ = client.exec_command("chpasswd", timeout=PATIENCE)
        pipe.write(f"op:{NEW}\n")
        pipe.channel.shutdown_write()
        assert output.channel.recv_exit_status() == 0
        assert output.read() == b""
        assert target.opens("op", NEW)


def test_a_connection_is_lost_in_the_middle() -> None:
    target = router(troubles={Point.AFTER_CHANGE: [Drop()]})
    with SshDevice(target) as served, logged_in(served) as client:
        shell = client.invoke_shell()
        for line in CHANGE:
            shell.send(f"{line}\n".encode())
        transport = client.get_transport()
        assert transport is not None
        until(shell, "never")
        assert target.opens("admin", NEW)


def test_every_start_has_a_host_key_of_its_own() -> None:
    with SshDevice(router()) as first, SshDevice(router()) as second:
        assert first.host_key != second.host_key
        assert first.port != second.port


def test_a_password_is_changed_over_telnet() -> None:
    target = router(troubles={Point.BANNER: [Noise(b"\xff")]})
    with TelnetDevice(target) as served:
        with socket.create_connection((served.address, served.port), PATIENCE) as line:
            greeting = until(line, "Username: ")
            assert "User Access Verification" in greeting
            line.sendall(b"\xff\xfd\x01\xff\xfd\x03\xff\xfd\x18admin\r\n")
            assert until(line, "Password: ").endswith("Password: ")
            line.sendall(f"{OLD}\r\0".encode())
            assert "�" in until(line, "Router#")
            for each in CHANGE:
                line.sendall(f"{each}\r\n".encode())
                until(line, "#")
        assert target.opens("admin", NEW)
        assert target.received == ["admin", OLD, *CHANGE]


def test_a_telnet_device_hangs_up_after_three_wrong_logins() -> None:
    with TelnetDevice(router()) as served, socket.create_connection((served.address, served.port)) as line:
        line.sendall(b"admin\r\nwrong\r\n" * 3)
        assert until(line, "never").count("% Login invalid") == 3


def test_a_mirror_is_served_over_ssh() -> None:
    mirror = ScriptedDevice([Offer("New password: "), Hear(), Offer("done\n")])
    with SshDevice(mirror) as served, logged_in(served, "anything", "anybody") as client:
        shell = client.invoke_shell()
        until(shell, "New password: ")
        shell.send(f"{NEW}\n".encode())
        assert until(shell, "done\r\n").endswith("done\r\n")
    assert mirror.received == [NEW]


def test_stopping_a_server_ends_its_connections_and_its_thread() -> None:
    before = set(threading.enumerate())
    with TelnetDevice(router()) as served:
        line = socket.create_connection((served.address, served.port), PATIENCE)
        until(line, "Username: ")
    with line:
        assert until(line, "never") == ""
    assert set(threading.enumerate()) <= before


def test_it_can_be_tried_by_hand() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "executors.emulated", "junos", "--port", "0", "--telnet"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # without a terminal, the password is read from standard input
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        print(OLD, file=process.stdin, flush=True)
        try:
            port = re.search(r"port ([0-9]+)", process.stdout.readline())
            assert port is not None
            with socket.create_connection(("127.0.0.1", int(port[1])), PATIENCE) as line:
                assert until(line, "login: ").endswith("junos (ttyp0)\r\n\r\nlogin: ")
        finally:
            process.terminate()
