"""tests/unit/operations/test_budget.py on PostgreSQL."""

from tests.unit.operations.test_budget import *  # noqa: F403
