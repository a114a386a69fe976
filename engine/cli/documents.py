"""Files that hold one JSON or YAML object."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from engine.cli.errors import input_refused


def read_document(file: Path) -> dict[str, Any]:
    """The object in the file, or on standard input for `-`. JSON is YAML, which a safe loader reads."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        found = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise input_refused(f"{file} cannot be read: {type(error).__name__}") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise input_refused(f"{file} is neither JSON nor YAML{where}") from None
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise input_refused(f"{file} must hold one object with named fields")
    return found
