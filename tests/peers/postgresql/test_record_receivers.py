"""tests/unit/record/test_receivers.py on PostgreSQL."""

from tests.unit.record.test_receivers import *  # noqa: F403
