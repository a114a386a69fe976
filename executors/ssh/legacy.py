"""SSH Legacy: the ssh executor for templates in which `write` sends a whole line and `read` takes stars."""

from __future__ import annotations

from executors.contract import Program
from executors.ssh.executor import SshExecutor
from executors.terminal import program


class SshLegacyExecutor(SshExecutor):
    name = "ssh_legacy"

    def parse(self, body: str, first_line: int = 1) -> Program:
        """Parse a body in the field's older language. Raises TemplateError."""
        return program.parse(body, "ssh_legacy", first_line, logs_in=lambda _: False)
