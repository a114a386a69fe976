"""tests/unit/operations/test_plan.py on PostgreSQL."""

from tests.unit.operations.test_plan import *  # noqa: F403
