"""Runs the migrations in the transaction that `engine.store.upgrade` holds; Alembic executes this file."""

from __future__ import annotations

from alembic import context

from engine.store.metadata import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
