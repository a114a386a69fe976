"""A tree of templates brought into the engine, file by file, each as what its folders say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from engine.cli.client import Client
from engine.cli.errors import CommandFailed
from engine.cli.exits import Exit
from engine.templating.header import parse_file
from engine.templating.linting import has_header, lint
from engine.templating.names import names_of
from executors.language.findings import Severity, Status
from executors.language.lint import Linted
from executors.language.source import text_of

LEFT_OUT: Final = "left out"
REFUSED: Final = "refused"
WOULD_IMPORT: Final = "would import"


def import_all(
    files: Mapping[str, bytes | None], prefix: str | None, client: Client | None
) -> Iterator[dict[str, Any]]:
    """What `template lint` says of each file, with the name, version and result of its import.

    Without a client nothing is sent. A file that cannot be run is left out, one that the engine refuses says
    why; the others go on. Raises CommandFailed where the engine itself does not answer.
    """
    linted = lint(files.items())
    names = _names(linted, files, prefix)
    for each in linted:
        data, name = files[each.path], names.get(each.path)
        row = {**each.as_json(), "name": name, "version": None, "result": LEFT_OUT, "message": _reason(each)}
        if data is not None and name is not None:
            row |= {"result": WOULD_IMPORT, "message": None}
            row |= {} if client is None else _sent(client, name, each, data)
        yield row


def _reason(linted: Linted) -> str | None:
    """Why it is left out, if it is."""
    serious = [each for each in linted.findings if each.severity is Severity.ERROR]
    placed = [each for each in linted.findings if each.code == "unknown-folder"]
    return next((f"line {each.line}: {each.message}" for each in [*serious, *placed]), None)


def _names(linted: list[Linted], files: Mapping[str, bytes | None], prefix: str | None) -> dict[str, str]:
    """Of those that can be imported: with a header their own, else by their path."""
    good = [each.path for each in linted if each.executor and each.action and each.status is not Status.ERROR]
    native = {path for path in good if has_header(files[path] or b"")}
    own = {path: parse_file(files[path] or b"", path).name for path in native}
    return own | names_of([path for path in good if path not in native], prefix)


def _sent(client: Client, name: str, linted: Linted, data: bytes) -> dict[str, Any]:
    body = {"content": text_of(data), "executor": linted.executor, "action": linted.action}
    try:
        stored = client.put(f"/templates/{quote(name, safe='/')}", body)
    except CommandFailed as failed:
        if failed.exit_code != Exit.INPUT_REFUSED:
            raise
        return {"result": REFUSED, "message": failed.message}
    return {"result": stored["change"], "version": stored["version"]}
