"""tests/unit/operations/test_cascade.py on PostgreSQL."""

from tests.unit.operations.test_cascade import *  # noqa: F403
