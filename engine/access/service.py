"""What a principal may do: the one seam that access control goes through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from engine.access.errors import Forbidden


class Permission(StrEnum):
    SEE = "see"
    REVEAL = "reveal"
    REQUEST = "request"
    APPROVE = "approve"
    READ_TRANSCRIPT = "read_transcript"
    WRITE_TEMPLATE = "write_template"
    ADMINISTER = "administer"
    BREAK_GLASS = "break_glass"


class Role(StrEnum):
    ADMIN = "admin"
    READER = "reader"


PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = MappingProxyType(
    {Role.ADMIN: frozenset(Permission), Role.READER: frozenset({Permission.SEE})}
)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls; `name` is the actor of audit entries."""

    name: str
    role: Role


def allow(principal: Principal, permission: Permission, obj: str) -> None:
    """`obj` in words, such as `credential root@web1`. Raises Forbidden."""
    if permission not in PERMISSIONS[principal.role]:
        raise Forbidden(principal.name, permission, obj)
