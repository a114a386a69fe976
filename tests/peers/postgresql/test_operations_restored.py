"""tests/unit/operations/test_restored.py on PostgreSQL."""

from tests.unit.operations.test_restored import *  # noqa: F403
