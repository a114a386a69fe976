"""tests/unit/catalog/test_rules.py on PostgreSQL."""

from tests.unit.catalog.test_rules import *  # noqa: F403
