"""tests/unit/operations/test_rejoin.py on PostgreSQL."""

from tests.unit.operations.test_rejoin import *  # noqa: F403
