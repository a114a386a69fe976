"""tests/unit/work/test_conductor.py on PostgreSQL."""

from tests.unit.work.test_conductor import *  # noqa: F403
