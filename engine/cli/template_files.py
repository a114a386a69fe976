"""Files of templates as people name them: single ones, and directories, which are walked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from engine.cli.errors import input_refused
from executors.language.source import MAX_CHARACTERS
from executors.language.tree import is_template

MAX_BYTES: Final = 4 * MAX_CHARACTERS + 1  # more cannot be a template, whatever its encoding
DOCUMENTS: Final = frozenset({".md", ".rst", ".txt", ".png", ".jpg", ".svg", ".pdf"})
DIALOGUE: Final = ".lines"  # beside a template: its recorded dialogue


def gather(paths: Iterable[Path]) -> list[tuple[str, bytes | None]]:
    """Path and content of each, once; None where it cannot be read. Raises CommandFailed."""
    found: dict[str, bytes | None] = {}
    for path in paths:
        if not path.exists():
            raise input_refused(f"there is no {path}")
        for file in _files(path) if path.is_dir() else [path]:
            found.setdefault(str(file), _read(file))
    return list(found.items())


def _files(directory: Path) -> Iterator[Path]:
    """Links to directories are not followed, so a walk ends. What cannot be listed is there as a path."""
    unlisted: list[str] = []
    for folder, folders, names in os.walk(directory, onerror=lambda error: unlisted.append(error.filename)):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names) if _is_meant(Path(folder, name)))
    yield from map(Path, unlisted)


def _is_meant(file: Path) -> bool:
    """Not what lies in a tree beside its templates: hidden files, dialogues, documents above the folders."""
    beside = file.suffix == DIALOGUE and file.with_suffix("").exists()
    document = file.suffix.lower() in DOCUMENTS or file.name in ("LICENSE", "README")
    in_place = is_template(Path(os.path.abspath(file)))
    return not file.name.startswith(".") and not beside and (in_place or not document)


def _read(file: Path) -> bytes | None:
    """At most one byte more than a template may have. Pipes and devices are not opened: they may not end."""
    if not file.is_file():
        return None
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES)
    except OSError:
        return None
