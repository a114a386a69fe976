"""Celery app, dispatcher, sweeper, leases and executor child: the thin shell around rotation."""
