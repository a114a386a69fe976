"""tests/unit/operations/test_claims.py on PostgreSQL."""

from tests.unit.operations.test_claims import *  # noqa: F403
