"""A recorded dialogue played to a native template: as `executors.terminal.replay`, command by command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from executors.contract import Failure, Outcome, Report, Section, Transcript, Values
from executors.ssh.commands import Commands
from executors.ssh.dialogue import INTERRUPT
from executors.ssh.encoders import ENCODERS
from executors.ssh.program import Script, SshProgram, Way
from executors.terminal.replay import LOST, WHOLE, Act, Dialogue, Language, PlayedDevice

LANGUAGE: Final = Language(ENCODERS, command="sh")
SILENCE: Final = 20.0  # seconds, of which a played device needs none


@dataclass
class PlayedStream:
    """One command of the dialogue, as `executors.ssh.dialogue.Stream`."""

    device: PlayedDevice

    def receive(self, seconds: float) -> bytes:
        data = self.device.read()
        if data or self.device.fault or self.device.ended is not None:
            return data
        self.device.sleep(seconds)
        raise TimeoutError

    def send(self, data: bytes) -> None:
        if data != INTERRUPT and self.device.ended is None:
            self.device.send(data)

    def end_input(self) -> None:
        """The dialogue does not say when; a command that waits for it says nothing until then anyway."""

    def exit_status(self, seconds: float) -> int | None:
        ended = self.device.ended
        if ended is None:
            self.device.sleep(seconds)
            raise TimeoutError
        if ended == LOST:
            raise Failure(Outcome.UNREACHABLE, "the connection broke, as it did when this was recorded")
        return int(ended) if ended.isdecimal() else None

    def close(self) -> None:
        """What the command would still have said is not heard any more."""
        turns = self.device.turns
        self.device.read()
        while turns and turns[0].act is Act.SAYS:
            turns.pop(0)


class NativePlay:
    """A native ssh template before a played device."""

    def __init__(
        self, program: SshProgram, dialogue: Dialogue, values: Values, *, bytewise: bool, echoing: bool
    ) -> None:
        self._program = program
        self._values = values
        self._device = PlayedDevice(list(dialogue.turns), 1 if bytewise else WHOLE, echoing)
        self._echoing = echoing
        self._commands = Commands(self._opened, Transcript(), SILENCE)

    def has(self, section: Section) -> bool:
        return self._program.has(section)

    def run(self, section: Section) -> Report:
        """Raises TemplateError for a value that does not fit the template."""
        try:
            return self._commands.run(self._program.render(section, self._values))
        except Failure as failure:
            return Report(failure.outcome, failure.message)

    def fault(self) -> str:
        """Where the template left the dialogue; empty if it kept to it to its end."""
        return self._device.left()

    def _opened(self, script: Script, silence: float) -> PlayedStream:
        del silence
        device = self._device
        device.echoing = self._echoing and script.command.way is not Way.RUN
        device.ended = None
        if not device.turns or device.turns[0].act is not Act.STARTS:
            device.fault = device.fault or device.left() or f"the device is not asked for: {script.shown}"
        elif device.turns[0].data != _command(script).encode():
            device.fault = (
                f"dialogue line {device.turns[0].line}: another command was started: {script.shown}"
            )
        else:
            device.turns.pop(0)
        return PlayedStream(device)


def _command(script: Script) -> str:
    return script.text.wire.reveal() if script.command.way is not Way.SHELL else ""
