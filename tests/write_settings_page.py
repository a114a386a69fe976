"""Writes docs/settings.md from the settings: `.venv/bin/python -m tests.write_settings_page`."""

from __future__ import annotations

import typing
from pathlib import Path
from types import NoneType, UnionType
from typing import Any

from pydantic.fields import FieldInfo

from engine.settings import CONFIG_FILE, Settings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"

HEAD = f"""\
# Settings

Generated from the code: `.venv/bin/python -m tests.write_settings_page`.

Each process reads `{CONFIG_FILE}` in its data directory; an environment variable `KEYTURN_<NAME>` overrides
it, an option of the command overrides both. Times are seconds where nothing else is said. No password is a
setting: those of database and broker are in files of their own.

| setting | value | default | |
| --- | --- | --- | --- |
"""


def page() -> str:
    return HEAD + "".join(_row(name, field) for name, field in Settings.model_fields.items())


def _row(name: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else _told(field.default)
    return f"| `{name}` | {_kind(field.annotation)} | {default} | {field.description or ''} |\n"


def _told(value: Any) -> str:
    if value is None or value == ():
        return "none"
    return f"`{value}`"


def _kind(kind: Any) -> str:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin is tuple:
        return f"list of {_kind(inner[0])}"
    if origin in (UnionType, typing.Union):
        return " or ".join(_kind(each) for each in inner if each is not NoneType)
    return {str: "text", Path: "path", float: "number", int: "whole number"}.get(kind, str(kind))


if __name__ == "__main__":
    PAGE.write_text(page())
