"""Alembic scripts, run by `todo.db.migrate` and never imported while serving."""
