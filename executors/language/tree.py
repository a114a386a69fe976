"""The tree that the field keeps its templates in: `Executor folder/Action folder/Name`."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from executors.language.findings import Finding, finding

EXECUTORS: Final[Mapping[str, str]] = {
    "ssh": "ssh",
    "net ssh": "ssh",
    "ssh legacy": "ssh_legacy",
    "telnet": "telnet",
    "tk expect": "tk_expect",
    "windows rm": "winrm",
    "winrm": "winrm",
    "windows rpc": "windows_rpc",
    "windows smb": "windows_smb",
    "http": "http",
    "curl": "curl",
    "selenium": "selenium",
    "ldap": "ldap",
    "postgresql": "postgresql",
    "mysql": "mysql",
    "oracle": "oracle",
    "sql server": "sql_server",
    "vmware esxi": "esxi",
    "esxi": "esxi",
    "ibm 3270 terminal": "x3270",
    "x3270": "x3270",
    "ansible": "ansible",
}
"""Executor by its folder's name in lower case."""

ACTIONS: Final[Mapping[str, str]] = {
    "change password": "change_secret",
    "create user": "create_account",
    "delete user": "delete_account",
    "create group": "create_group",
    "delete group": "delete_group",
    "enable credential": "activate",
    "disable credential": "deactivate",
    "secret management automation": "push_secret",
}
"""The engine's name of the action by the folder's name in lower case."""

BLANKS = re.compile(r"[ _-]+")
ODD_NAME = re.compile(r"\A\s|\s\Z|  |['\"+()]")


@dataclass(frozen=True, slots=True)
class Place:
    """None where a folder's name is not known."""

    executor: str | None
    action: str | None
    name: str
    findings: tuple[Finding, ...]


def place_of(path: PurePath) -> Place:
    """By the last three parts of a path. A name has no suffix: a dot belongs to it."""
    parts = path.parts[-3:]
    executor = executor_named(parts[-3]) if len(parts) > 2 else None
    action = action_named(parts[-2]) if len(parts) > 1 else None
    name = parts[-1] if parts else ""
    found = [finding("odd-file-name", 0)] if ODD_NAME.search(name) else []
    if executor is None or action is None:
        found.append(finding("unknown-folder", 0))
    return Place(executor, action, name, tuple(found))


def is_template(path: PurePath) -> bool:
    """Whether a file of a tree is one: it lies in an action's folder in an executor's. READMEs do not."""
    return "unknown-folder" not in {each.code for each in place_of(path).findings} and path.name[:1] != "."


def executor_named(folder: str) -> str | None:
    """By folder or by the engine's own name."""
    word = BLANKS.sub(" ", folder).strip().lower()
    return EXECUTORS.get(word) or (folder if folder in EXECUTORS.values() else None)


def action_named(folder: str) -> str | None:
    word = BLANKS.sub(" ", folder).strip().lower()
    return ACTIONS.get(word) or (folder if folder in ACTIONS.values() else None)


def same_bodies(bodies: Iterable[tuple[str, bytes]]) -> dict[str, list[str]]:
    """For each path whose body others have too (blanks at the ends apart), those others' paths."""
    groups: defaultdict[bytes, list[str]] = defaultdict(list)
    for path, body in bodies:
        if body.strip():
            groups[hashlib.sha256(body.strip()).digest()].append(path)
    return {
        path: [other for other in group if other != path]
        for group in groups.values()
        if len(group) > 1
        for path in group
    }
