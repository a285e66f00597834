"""Alembic's scripts; run by `todo.db.migrate`, never imported while serving."""
