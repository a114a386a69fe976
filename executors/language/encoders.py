"""Every encoder that a tag of some dialect may have; at a terminal the default is `line`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from executors.contract import COMMON_ENCODERS, Encoder
from executors.language import ldap, sql

ENCODERS: Final[Mapping[str, Encoder]] = {**COMMON_ENCODERS, **sql.ENCODERS, **ldap.ENCODERS}
