"""tests/unit/operations/test_requests.py on PostgreSQL."""

from tests.unit.operations.test_requests import *  # noqa: F403
