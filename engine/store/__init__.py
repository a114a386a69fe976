"""Tables' base, sessions, migrations: one port, SQLite and PostgreSQL."""
