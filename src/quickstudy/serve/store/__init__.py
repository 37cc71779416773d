"""Where tasks are kept: SQLite by default, PostgreSQL for several machines."""
