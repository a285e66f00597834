"""Alembic's environment: runs inside of the transaction that `todo.db.migrate` opened."""

from alembic import context

from todo.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite alters a table by copying it.
    render_as_batch=True,
)
context.run_migrations()
