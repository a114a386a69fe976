"""Legal names of templates for files of a tree, whose names hold blanks, quotes and any script's letters."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePath
from typing import Final

LONGEST: Final = 128  # characters, as the column
NOT_IN_A_NAME: Final = re.compile(r"[^a-z0-9]+")


def names_of(paths: Iterable[str], prefix: str | None = None) -> dict[str, str]:
    """`[PREFIX/]EXECUTOR-FOLDER/ACTION-FOLDER/NAME` by path.

    Where several files would have one name, or a name is too long, a digest of folders and file name is
    added, to each of them: whatever else is imported later, no file takes over another's name.
    """
    places = {path: PurePath(os.path.abspath(path)).parts[-3:] for path in paths}
    plain = {path: _joined(parts, prefix) for path, parts in places.items()}
    times = Counter(plain.values())
    return {
        path: name if times[name] == 1 and _is_whole(name) else _distinct(name, places[path])
        for path, name in plain.items()
    }


def _joined(parts: tuple[str, ...], prefix: str | None) -> str:
    return "/".join(([prefix] if prefix else []) + [_plain(part) for part in parts])


def _plain(part: str) -> str:
    """Lower-case words of ASCII letters and digits; accents are dropped, other scripts are left out."""
    ascii_part = unicodedata.normalize("NFKD", part.casefold()).encode("ascii", "ignore").decode()
    return NOT_IN_A_NAME.sub("-", ascii_part).strip("-")


def _is_whole(name: str) -> bool:
    return len(name) <= LONGEST and all(name.split("/"))


def _distinct(name: str, parts: tuple[str, ...]) -> str:
    digest = hashlib.sha256(os.fsencode("/".join(parts))).hexdigest()[:8]
    kept = "/".join(part for part in name[: LONGEST - len(digest) - 1].split("/") if part).rstrip("-./")
    return f"{kept}-{digest}"
