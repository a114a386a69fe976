"""tests/unit/operations/test_figures.py on PostgreSQL."""

from tests.unit.operations.test_figures import *  # noqa: F403
