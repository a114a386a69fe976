"""What the database knows about itself."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, String, Table

from engine.store.metadata import identity, metadata, moment

SINGLE_ROW = 1

engine_state = Table(
    "engine_state",
    metadata,
    Column("id", Integer, primary_key=True),  # always SINGLE_ROW
    # Random, drawn anew when a database is restored; with the epoch it makes the fencing token.
    Column("incarnation", String(32), nullable=False),
    Column("restored", Boolean, nullable=False, default=False),
    Column("paused", Boolean, nullable=False, default=False),
    Column("pause_reason", String(200)),
    # The latest time ever seen; claims stop while the clock is behind it.
    moment("clock_high"),
    # Random, drawn once: the broker's queues are named after it, so that two engines may share a broker.
    Column("installation", String(32), nullable=False, server_default=""),
    # The oldest schema whose code may work on this one: what `upgrade` last ran said so.
    Column("supports", String(32), nullable=False, server_default=""),
)

# What one process of all does every so often, whichever comes first: `done` is when that was last.
duty = Table(
    "duty",
    metadata,
    identity(),
    Column("name", String(64), nullable=False, unique=True),
    moment("done"),
)
