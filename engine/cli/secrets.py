"""Secrets come from a file or standard input, never from the command line, which every process can read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from engine.cli.errors import CommandFailed, input_refused
from executors.contract import Secret

STDIN: Final = "-"
MAX_BYTES: Final = 64 * 1024


def read_secret(source: str, *, lines: bool = False) -> Secret:
    """The whole of the file, or of standard input for `-`, less one newline at its end.

    `lines`: more newlines may stand in it, as in a key.
    Raises CommandFailed for what no secret can be, naming the place and never the content.
    """
    data = _bytes(source)
    place = "standard input" if source == STDIN else source
    if len(data) > MAX_BYTES:
        raise _refused(place, f"is longer than {MAX_BYTES // 1024} KiB")
    text = _without_newline(data)
    if not text:
        raise _refused(place, "is empty")
    if not lines and (b"\n" in text or b"\r" in text):
        raise _refused(place, "holds a newline; a password is one line")
    try:
        return Secret.from_bytes(text)
    except ValueError:
        raise _refused(place, "is not UTF-8") from None


def _refused(place: str, fault: str) -> CommandFailed:
    return input_refused(f"the secret in {place} {fault}", "bad_secret")


def _bytes(source: str) -> bytes:
    if source == STDIN:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    try:
        with Path(source).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise input_refused(
            f"the secret file {source} cannot be read: {error.strerror}", "bad_secret"
        ) from None


def _without_newline(data: bytes) -> bytes:
    return data.removesuffix(b"\n").removesuffix(b"\r") if data.endswith(b"\n") else data
