"""tests/unit/work/test_remove_old.py on PostgreSQL."""

from tests.unit.work.test_remove_old import *  # noqa: F403
