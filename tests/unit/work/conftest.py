"""The room that these tests work in."""

from tests.unit.operations.room import room  # noqa: F401
