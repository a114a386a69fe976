"""tests/unit/catalog/test_workers.py on PostgreSQL."""

from tests.unit.catalog.test_workers import *  # noqa: F403
