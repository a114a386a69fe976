"""The database's own clock, so that all processes compare times of one origin."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Double
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class now(FunctionElement[float]):  # noqa: N801 - reads as the SQL function that it is
    """Seconds since 1970-01-01 UTC at the moment of execution (not of the transaction's begin)."""

    type = Double()
    inherit_cache = True


@compiles(now, "postgresql")
def _postgresql(_: now, __: Any, **___: Any) -> str:
    return "extract(epoch from clock_timestamp())::double precision"


@compiles(now, "sqlite")
def _sqlite(_: now, __: Any, **___: Any) -> str:
    # unixepoch('subsec') is NULL before SQLite 3.42; 2440587.5 is the Julian day of 1970-01-01
    return "((julianday('now') - 2440587.5) * 86400.0)"
