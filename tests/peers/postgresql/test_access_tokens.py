"""tests/unit/access/test_tokens.py on PostgreSQL."""

from tests.unit.access.test_tokens import *  # noqa: F403
