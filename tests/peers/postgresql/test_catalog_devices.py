"""tests/unit/catalog/test_devices.py on PostgreSQL."""

from tests.unit.catalog.test_devices import *  # noqa: F403
