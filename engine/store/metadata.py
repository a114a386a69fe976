"""The one `MetaData` that every room's tables belong to, and the types they share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Column, Double, ForeignKey, Index, Integer, MetaData, text
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Json = JSON().with_variant(JSONB(), "postgresql")


def identity() -> Column[int]:
    """A public integer id."""
    return Column("id", Integer, primary_key=True)


def moment(name: str, *, nullable: bool = False) -> Column[float]:
    """A moment in UTC, seconds since 1970-01-01 by the database's clock."""
    return Column(name, Double, nullable=nullable)


def reference(name: str, target: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, Integer, ForeignKey(f"{target}.id"), nullable=nullable)


def partial_index(name: str, *columns: Any, where: str, unique: bool = True) -> Index:
    """An index over the rows that satisfy `where`, the same on both databases."""
    condition = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
