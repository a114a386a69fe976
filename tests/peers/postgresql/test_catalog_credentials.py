"""tests/unit/catalog/test_credentials.py on PostgreSQL."""

from tests.unit.catalog.test_credentials import *  # noqa: F403
