"""tests/unit/operations/test_reveal.py on PostgreSQL."""

from tests.unit.operations.test_reveal import *  # noqa: F403
