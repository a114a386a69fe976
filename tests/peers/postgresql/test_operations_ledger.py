"""tests/unit/operations/test_ledger.py on PostgreSQL."""

from tests.unit.operations.test_ledger import *  # noqa: F403
