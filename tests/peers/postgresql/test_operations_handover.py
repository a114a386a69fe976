"""tests/unit/operations/test_handover.py on PostgreSQL."""

from tests.unit.operations.test_handover import *  # noqa: F403
