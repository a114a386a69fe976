"""Alembic's scripts, run by `engine.store.upgrade`; shipped with the package."""
