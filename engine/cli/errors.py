"""How a command says that it cannot go on: one sentence on standard error, one exit code."""

from __future__ import annotations

import json
from typing import IO, Any

import click

from engine.cli.exits import Exit


class CommandFailed(click.ClickException):
    """With `--json` the same is a problem document on standard error; standard output then stays empty."""

    def __init__(self, exit_code: Exit, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.exit_code = int(exit_code)  # type: ignore[misc]  # a constant of click's classes, not of ours
        self.code = code or exit_code.name.lower()
        self.as_json = False

    def show(self, file: IO[Any] | None = None) -> None:
        problem = json.dumps({"error": {"code": self.code, "detail": self.message, "exit": self.exit_code}})
        click.echo(problem if self.as_json else f"error: {self.message}", file=file, err=True)


def input_refused(message: str, code: str = "bad_input") -> CommandFailed:
    return CommandFailed(Exit.INPUT_REFUSED, message, code)
