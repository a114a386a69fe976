"""The audit chain, and events out, all from one outbox."""
