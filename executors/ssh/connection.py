"""A logged-in connection: each command on a channel of its own."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Self

import paramiko

from executors.contract import (
    Failure,
    Login,
    Outcome,
    Program,
    Report,
    Section,
    Target,
    TemplateError,
    Transcript,
    Values,
)
from executors.ssh.commands import Commands, Open
from executors.ssh.dialogue import Ended
from executors.ssh.login import AnyTransport, log_in, prepare
from executors.ssh.path import Path, reach
from executors.ssh.program import Script, SshProgram, Way
from executors.ssh.shell import open_shell
from executors.ssh.transport import Start
from executors.terminal.connection import TerminalConnection, timed
from executors.terminal.program import FieldProgram
from executors.terminal.recording import RecordedStream, Recorder, Source

if TYPE_CHECKING:
    from executors.ssh.weak import WeakChannel

CHUNK = 32768  # bytes
LOCALE = "env LC_ALL=C "  # what programs say is matched, so never translated; env(1) serves every login shell


class SshConnection:
    """Logged in; stays open until `close`."""

    def __init__(self, target: Target, path: Path, transcript: Transcript) -> None:
        self._target = target
        self._path = path
        self._transcript = transcript
        self._shell: TerminalConnection | None = None
        self._recorder: Recorder | None = None
        self._commands = Commands(self._opened, transcript, target.read_timeout)

    def run(self, program: Program, section: Section, values: Values) -> Report:
        """Run one section once, stopping at the first command that does not end well.

        Raises Failure for a broken connection, and TemplateError, before anything is sent, for a value that
        does not fit.
        """
        if isinstance(program, FieldProgram):
            return self._on_shell(program, section, values)
        if not isinstance(program, SshProgram) or not program.has(section):
            raise TemplateError(0, f"it has no section [{section}] for ssh")
        scripts = program.render(section, values)
        if self._recorder is not None:
            self._recorder.begins([source for script in scripts for source in _sources(script)])
        return self._commands.run(scripts)

    def _on_shell(self, program: FieldProgram, section: Section, values: Values) -> Report:
        if self._shell is None:
            shell = open_shell(self._target, self._path.transport)
            self._shell = TerminalConnection(shell, self._transcript, shell.close)
            if self._recorder is not None:
                self._shell.record(self._recorder)
        return self._shell.run(program, section, values)

    def perform(self, script: Script) -> Ended:
        """One command from its start to its end. Raises Failure for a broken connection."""
        return self._commands.perform(script)

    def record(self, recorder: Recorder) -> None:
        """Note the dialogue from its beginning: nothing has been run yet."""
        self._recorder = recorder

    def at_rest(self) -> bool:
        """Each command had a channel of its own, which is closed; the login itself has no state, but a shell
        that a script has used does."""
        return self._shell is None and self._commands.at_rest() and self._path.transport.is_active()

    def close(self) -> None:
        """Close politely; never raises for a connection that is already gone."""
        if self._shell is not None:
            self._shell.close()
        self._commands.close()
        self._path.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self, script: Script, silence: float) -> Open:
        stream = self._open(script, silence)
        if self._recorder is None:
            return stream
        self._recorder.starts(script.command.text, on_terminal=script.command.way is not Way.RUN)
        return RecordedStream(stream, self._recorder)

    def _open(self, script: Script, silence: float) -> ChannelStream:
        transport = self._path.transport
        try:
            channel = transport.begin(_start(script), silence)
        except TimeoutError:
            raise Failure(Outcome.TIMEOUT, f"{self._target.device}: no answer to {script.shown!r}") from None
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise self._not_started(script, error) from None
        return ChannelStream(self._target.device, channel, transport)

    def _not_started(self, script: Script, error: Exception) -> Failure:
        device = self._target.device
        if self._path.transport.is_active():
            return Failure(
                Outcome.PERMISSION_DENIED, f"{device}: the server does not start {script.shown!r}: {error}"
            )
        return Failure(
            Outcome.UNREACHABLE, f"{device}: the connection broke before {script.shown!r}: {error}"
        )


def connect(target: Target, login: Login, transcript: Transcript) -> SshConnection:
    """Connect and log in, once. Raises Failure."""
    key = prepare(login)
    path = reach(timed(target), login, transcript)
    try:
        log_in(path.transport, target, login, key, transcript)
    except BaseException:
        path.close()
        raise
    return SshConnection(target, path, transcript)


def _sources(script: Script) -> list[Source]:
    answers = zip(script.answers, script.command.answers, strict=True)
    inputs = zip(script.inputs, script.command.inputs, strict=True)
    return [
        *(Source(rendered.wire, answer.text) for (_, rendered), answer in answers),
        *(Source(rendered.wire, text) for rendered, text in inputs),
    ]


def _start(script: Script) -> Start:
    way = script.command.way
    command = None if way is Way.SHELL else LOCALE + script.text.wire.reveal()
    return Start(command, on_terminal=way is not Way.RUN)


class ChannelStream:
    """A channel as the dialogue wants it: waits have a bound, and only a broken connection is an error."""

    def __init__(self, device: str, channel: paramiko.Channel | WeakChannel, transport: AnyTransport) -> None:
        self._device = device
        self._channel = channel
        self._transport = transport

    def receive(self, seconds: float) -> bytes:
        self._channel.settimeout(seconds)
        return self._channel.recv(CHUNK)

    def send(self, data: bytes) -> None:
        """Raises TimeoutError; a command that has ended reads no more, and its output tells why."""
        try:
            self._channel.sendall(data)
        except TimeoutError:
            raise
        except OSError:
            return

    def end_input(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._channel.shutdown_write()

    def exit_status(self, seconds: float) -> int | None:
        """Raises TimeoutError, and Failure if the connection broke rather than the command ended."""
        if not self._channel.status_event.wait(seconds):
            raise TimeoutError
        if self._channel.exit_status >= 0:
            return self._channel.exit_status
        if self._channel.eof_received and self._transport.is_active():
            return None
        raise Failure(
            Outcome.UNREACHABLE, f"{self._device}: the connection broke while a command was running"
        )

    def close(self) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.close()
