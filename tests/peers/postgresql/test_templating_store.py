"""tests/unit/templating/test_store.py on PostgreSQL."""

from tests.unit.templating.test_store import *  # noqa: F403
