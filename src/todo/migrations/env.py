"""Alembic's environment: runs inside of the transaction that `todo.migrate` opened."""

from alembic import context

from todo.models import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite alters a table by copying it.
    render_as_batch=True,
)
context.run_migrations()
