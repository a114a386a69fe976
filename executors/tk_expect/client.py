"""SSH as a script sees it that was written for ssh(1): the password is asked for on the terminal."""

from __future__ import annotations

from executors.contract import Failure, Login, Outcome, Secret, Target, Transcript
from executors.ssh.login import log_in
from executors.ssh.path import reach
from executors.ssh.shell import ShellChannel, open_shell

LONGEST_PASSWORD = 4096  # bytes


class SshClient:
    """`executors.terminal.channel.Channel`. The first line that is sent is the password, and tried once."""

    def __init__(self, target: Target, login: Login, transcript: Transcript) -> None:
        """The host key is checked, nobody is logged in. Raises Failure."""
        self._target = target
        self._login = login
        self._transcript = transcript
        self._path = reach(target, login, transcript)
        self._shell: ShellChannel | None = None
        self._shown = f"{login.username}@{target.address}'s password: ".encode()
        self._typed = b""

    def send(self, data: bytes) -> None:
        """Raises Failure, for a refused password too."""
        if self._shell is not None:
            self._shell.send(data)
            return
        self._typed += data
        if len(self._typed) > LONGEST_PASSWORD:
            raise Failure(Outcome.SCRIPT_MISMATCH, f"{self._target.device}: no line end after the password")
        if self._typed.endswith((b"\r", b"\n")):
            password, self._typed = Secret(self._typed.decode().rstrip("\r\n")), b""
            login = Login(self._login.username, password)
            log_in(self._path.transport, self._target, login, None, self._transcript)
            self._shell = open_shell(self._target, self._path.transport)
            self._shown += b"\r\n"

    def receive(self, seconds: float) -> bytes:
        if self._shown:
            shown, self._shown = self._shown, b""
            return shown
        if self._shell is None:
            raise TimeoutError  # at the password prompt nothing comes
        return self._shell.receive(seconds)

    def close(self) -> None:
        """Never raises."""
        if self._shell is not None:
            self._shell.close()
        self._path.close()
