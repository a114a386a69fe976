"""What the record refuses, and what to do about it."""

from __future__ import annotations


class NotRecordable(ValueError):
    """A value cannot be kept in an audit entry or a notice; the caller's transaction must not commit.

    The message names the field and never repeats the value.
    """


class ChainNotPrepared(Exception):
    """The audit chain has no head row. Bring the schema up to date (`engine.store.upgrade`) first."""
