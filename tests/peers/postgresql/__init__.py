"""What tests/unit says about what is stored, said again of a real PostgreSQL; and what rivals may do."""
