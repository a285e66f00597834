"""Alembic's scripts; run by `todo.migrate`, never imported while serving."""
