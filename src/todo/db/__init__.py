"""The database: engine, pool, sessions, statements, tables and migrations."""
