"""A small clean process that forks one executor child a job: no database, no keys, no engine in it."""
