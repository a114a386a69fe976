"""tests/unit/work/test_batches.py on PostgreSQL."""

from tests.unit.work.test_batches import *  # noqa: F403
