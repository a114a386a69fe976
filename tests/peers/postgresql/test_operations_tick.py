"""tests/unit/operations/test_tick.py on PostgreSQL."""

from tests.unit.operations.test_tick import *  # noqa: F403
